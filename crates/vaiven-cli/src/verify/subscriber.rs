//! One subscriber: whatever happens to its connection, it goes on, and keeps book.

use super::clock;
use super::job::{Findings, Job, Protocol};
use super::ledger::{Ledger, Numbered, Sent};
use super::route::Route;
use super::socketio::{Connection, Incoming, Session};
use super::times::Times;
use rand::RngExt;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use vaiven::Message;
use vaiven_client::{Event, Status, Subscribe};

/// Why nobody can subscribe is told once.
static TOLD: Once = Once::new();

/// What a subscriber has seen.
#[derive(Debug)]
pub(super) struct Book {
    ledger: Ledger,
    reconnects: u64,
    unrecovered: u64,
}

/// What the subscribers of a process share.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    pub(super) latency: Times,
    pub(super) replay: Times,
    pub(super) away: Times,
}

/// A subscriber as the process sees it.
#[derive(Debug)]
pub(super) struct Subscriber {
    book: Arc<Mutex<Book>>,
}

impl Subscriber {
    /// Starts one; `there` counts those whose subscription stands, `turns` bounds those that open at the same time.
    pub(super) fn start(
        job: &Arc<Job>,
        route: &Route,
        clocks: &Arc<Mutex<Clocks>>,
        there: &Arc<watch::Sender<usize>>,
        turns: &Arc<Semaphore>,
    ) -> Self {
        let book = Book { ledger: Ledger::new(job.publishers), reconnects: 0, unrecovered: 0 };
        let book = Arc::new(Mutex::new(book));
        let task = Task {
            job: Arc::clone(job),
            route: route.clone(),
            book: Arc::clone(&book),
            clocks: Arc::clone(clocks),
            there: Arc::clone(there),
            turns: Arc::clone(turns),
        };
        match job.protocol {
            Protocol::V1 => tokio::spawn(task.channel()),
            Protocol::Plain => tokio::spawn(task.room()),
            Protocol::SocketIo => tokio::spawn(task.namespace()),
        };
        Self { book }
    }

    pub(super) fn is_complete(&self, sent: &[Sent]) -> bool {
        lock(&self.book).ledger.is_complete(sent)
    }

    pub(super) fn add_to(&self, findings: &mut Findings, sent: &[Sent]) {
        let book = lock(&self.book);
        let tally = book.ledger.tally(sent);
        findings.complete += u64::from(tally.lost == 0 && tally.doubled == 0 && tally.out_of_order == 0);
        findings.tally.add(tally);
        findings.reconnects += book.reconnects;
        findings.unrecovered += book.unrecovered;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Task {
    job: Arc<Job>,
    route: Route,
    book: Arc<Mutex<Book>>,
    clocks: Arc<Mutex<Clocks>>,
    there: Arc<watch::Sender<usize>>,
    turns: Arc<Semaphore>,
}

/// When the connection was lost, and when the one that took its place was begun.
#[derive(Default)]
struct Away {
    lost: Option<Instant>,
    began: Option<Instant>,
    missed: u64,
}

impl Task {
    fn note(&self, message: &Numbered) {
        let sent = Duration::from_micros(message.sent);
        lock(&self.clocks).latency.note(clock::now().saturating_sub(sent));
        lock(&self.book).ledger.note(message.publisher, message.number);
    }

    /// Over `vaiven.v1`.
    async fn channel(self) {
        let turn = self.turns.acquire().await.ok();
        let client = self.route.client();
        let mut status = client.status();
        let subscribed = client.subscribe(&self.job.channel, Subscribe::new()).await;
        drop(turn);
        let mut subscription = match subscribed {
            Ok(subscription) => subscription,
            // It is missed by whoever waits for all to be there.
            Err(error) => return TOLD.call_once(|| eprintln!("vaiven verify: cannot subscribe: {error}")),
        };
        self.there.send_modify(|there| *there += 1);
        let mut away = Away::default();
        loop {
            tokio::select! {
                biased;
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = Instant::now();
                    match &*status.borrow_and_update() {
                        Status::Waiting { .. } => drop(away.lost.get_or_insert(now)),
                        Status::Connecting => away.began = Some(now),
                        _ => {}
                    }
                }
                event = subscription.recv() => match event {
                    Some(event) => self.event(event, &mut away),
                    None => return,
                }
            }
        }
    }

    fn event(&self, event: Event, away: &mut Away) {
        match event {
            Event::Publication(publication) => {
                if let Ok(message) = publication.data.parse() {
                    self.note(&message);
                }
                if away.missed > 0 {
                    away.missed -= 1;
                    self.caught_up(away);
                }
            }
            Event::Subscribed { recovered, missed, .. } => {
                let Some(recovered) = recovered else { return };
                let mut book = lock(&self.book);
                book.reconnects += 1;
                book.unrecovered += u64::from(!recovered);
                drop(book);
                if let Some(lost) = away.lost.take() {
                    lock(&self.clocks).away.note(lost.elapsed());
                }
                away.missed = missed;
                self.caught_up(away);
            }
            _ => {}
        }
    }

    fn caught_up(&self, away: &mut Away) {
        if away.missed == 0
            && let Some(began) = away.began.take()
        {
            lock(&self.clocks).replay.note(began.elapsed());
        }
    }

    /// Over a bare WebSocket, which comes back and has missed what it has missed.
    async fn room(self) {
        let mut turn = self.turns.acquire().await.ok();
        let mut lost: Option<Instant> = None;
        let mut tries = 0;
        loop {
            let Ok(mut socket) = self.route.connect().await else {
                tries += 1;
                tokio::time::sleep(pause(tries)).await;
                continue;
            };
            tries = 0;
            match lost.take() {
                Some(lost) => {
                    lock(&self.book).reconnects += 1;
                    lock(&self.clocks).away.note(lost.elapsed());
                }
                None => self.there.send_modify(|there| *there += 1),
            }
            drop(turn.take());
            while let Ok(Some(message)) = socket.recv().await {
                if let Message::Text(text) = message
                    && let Ok(message) = serde_json::from_str(&text)
                {
                    self.note(&message);
                }
            }
            lost = Some(Instant::now());
        }
    }

    /// Over Socket.IO, whose client comes back with what it was given to be recovered.
    async fn namespace(self) {
        let mut turn = self.turns.acquire().await.ok();
        let mut session = Session::default();
        let mut lost: Option<Instant> = None;
        let mut tries = 0;
        loop {
            let (began, began_at) = (Instant::now(), clock::now());
            let mut connection = match Connection::join(&self.route, &self.job.channel, &mut session).await {
                Ok(connection) => connection,
                Err(why) => {
                    if lost.is_none() {
                        TOLD.call_once(|| eprintln!("vaiven verify: cannot join: {why}"));
                    }
                    tries += 1;
                    tokio::time::sleep(pause(tries)).await;
                    continue;
                }
            };
            tries = 0;
            // How long it took until the last of what was missed was here.
            let mut replay = lost.is_some().then(|| began.elapsed());
            match lost.take() {
                Some(lost) => {
                    let mut book = lock(&self.book);
                    book.reconnects += 1;
                    book.unrecovered += u64::from(!connection.is_recovered);
                    drop(book);
                    lock(&self.clocks).away.note(lost.elapsed());
                }
                None => self.there.send_modify(|there| *there += 1),
            }
            drop(turn.take());
            while let Ok(incoming) = connection.recv(&mut session).await {
                let Incoming::Publication(message) = incoming else { continue };
                self.note(&message);
                // Nobody says how much was missed: it ends with the first message that is younger than the connection.
                if Duration::from_micros(message.sent) < began_at {
                    replay = replay.map(|_| began.elapsed());
                } else if let Some(replay) = replay.take() {
                    lock(&self.clocks).replay.note(replay);
                }
            }
            lost = Some(Instant::now());
        }
    }
}

/// Full jitter, as the clients of `vaiven.v1` have it.
pub(super) fn pause(tries: u32) -> Duration {
    let limit = Duration::from_millis(250).saturating_mul(1 << (tries - 1).min(6));
    limit.mul_f64(rand::rng().random())
}
