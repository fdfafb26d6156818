//! One thread of the load: its connections, the one timer by which they send, and what comes back.
//!
//! Each connection has a task that receives. Sending on schedule is the work of one task for all of them: it wakes
//! when a message is due, sends all that are, and sets the timer to the next. Everything is on one thread, so what
//! the tasks share needs no lock.

use super::alarm::Alarm;
use super::fault::WRONG;
use super::job::{Job, nanos, nanos_between};
use super::lane::Lane;
use super::open;
use super::options::Load;
use super::schedule::{Schedule, Share, Window};
use super::tally::Tally;
use super::workers::Post;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vaiven::{CloseCode, CloseFrame, Message, Receiver, Sender, TrySendError, WebSocket};

/// The shortest sleep: what falls due within it is sent together.
const QUANTUM: Duration = Duration::from_micros(20);
/// The longest: how late the end of a run, or room in a full outbox, is noticed.
const TICK: Duration = Duration::from_millis(10);
/// Messages that are sent before other tasks get a turn.
const BATCH: u32 = 256;
/// How long answers are waited for behind the last message, and after an interruption.
const DRAIN: Duration = Duration::from_secs(5);
const SHORT_DRAIN: Duration = Duration::from_secs(1);
/// How long the closing handshakes may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A thread's part of the run.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) job: Arc<Job>,
    pub(super) tally: RefCell<Tally>,
    /// Where an interruption ends the run, in nanoseconds since its start.
    interrupted: Cell<u64>,
    lines: RefCell<Vec<Rc<Line>>>,
    living: Cell<u64>,
    /// Closing is this side's word.
    closes: Cell<bool>,
}

/// A connection, and what it does.
#[derive(Debug)]
struct Line {
    sender: Sender,
    lane: RefCell<Lane>,
    part: Cell<Part>,
    is_open: Cell<bool>,
}

/// What a connection is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing has begun: nothing is to arrive.
    Waits,
    /// Sends, and gets back what it sent.
    Echoes,
    /// Sends to a room; whether the room sends it back does not matter.
    Publishes,
    /// Gets what the publisher sent.
    Listens,
}

/// Runs a worker to its end: opens its connections, tells how many, gives them their parts, and begins when all are
/// ready.
pub(super) async fn run(job: Arc<Job>, post: Post) {
    let Post { index, opened, share, ready, tally } = post;
    let worker = Rc::new(Worker {
        job,
        tally: RefCell::new(Tally::new()),
        interrupted: Cell::new(u64::MAX),
        lines: RefCell::default(),
        living: Cell::new(0),
        closes: Cell::new(false),
    });
    open::all(&worker, index).await;
    worker.lines.borrow_mut().retain(|line| line.is_open.get());
    // Who asked is there until all have answered.
    let _ = opened.send((index, worker.lines.borrow().len() as u64));
    drop(opened);
    if let Ok(share) = share.await {
        worker.assign(share);
        drop(ready);
        worker.job.timing.wait().await;
        worker.load(share).await;
    }
    worker.close().await;
    // The other side is there for as long as this is.
    let _ = tally.send(worker.tally.replace(Tally::new()));
}

impl Worker {
    /// Takes a connection that was opened.
    pub(super) fn add(self: &Rc<Self>, socket: WebSocket) {
        let (sender, receiver) = socket.split();
        let line = Rc::new(Line {
            sender,
            lane: RefCell::new(Lane::new(0, 1)),
            part: Cell::new(Part::Waits),
            is_open: Cell::new(true),
        });
        self.living.set(self.living.get() + 1);
        self.lines.borrow_mut().push(Rc::clone(&line));
        tokio::task::spawn_local(Rc::clone(self).receive(line, receiver));
    }

    /// Gives each connection its part. From now on what arrives is taken for what it is.
    fn assign(&self, share: Share) {
        let is_room = self.job.plan.is_room;
        for (number, line) in (share.first..).zip(self.lines.borrow().iter()) {
            line.part.set(match (is_room, number) {
                (false, _) => Part::Echoes,
                (true, 0) => Part::Publishes,
                (true, _) => Part::Listens,
            });
            let (first, step) = if is_room { (0, 1) } else { (number, share.total) };
            line.lane.replace(Lane::new(first, step));
        }
    }

    async fn load(&self, share: Share) {
        let job = &self.job;
        let lines: Vec<_> = self.lines.borrow().clone();
        match job.plan.load {
            Load::Open(schedule) if !job.plan.is_room => self.send(&lines, share, schedule).await,
            Load::Open(schedule) if share.first == 0 => {
                let share = Share { first: 0, count: 1, total: 1 };
                self.send(lines.get(..1).unwrap_or_default(), share, schedule).await;
                job.is_published.store(true, Ordering::Release);
            }
            Load::Open(_) => self.wait_for_end().await,
            Load::Closed { in_flight } => {
                tokio::time::sleep(self.until_start()).await;
                for line in &lines {
                    for _ in 0..in_flight {
                        self.send_next(line, self.now());
                    }
                }
                self.wait_for_end().await;
            }
        }
        self.drain(&lines).await;
        self.settle(&lines);
    }

    /// Sends all that is due until the end of the run, and until what fell due by then is sent.
    async fn send(&self, lines: &[Rc<Line>], share: Share, schedule: Schedule) {
        let Ok(mut alarm) = Alarm::new() else {
            self.tally.borrow_mut().faults.note("timer", || "the system gives no timer".to_owned());
            return;
        };
        let (mut turn, mut held, mut batch) = (0, Vec::<Rc<Line>>::new(), 0);
        if lines.is_empty() {
            return;
        }
        Self::rest(&mut alarm, self.until_start()).await;
        loop {
            self.look_for_stop();
            let window = self.window();
            let now = self.now();
            if self.living.get() == 0 || now > window.to.saturating_add(nanos(self.patience())) {
                return;
            }
            held.retain(|line| !self.pay(line, schedule, false));
            let due = loop {
                let (index, number) = share.turn(turn);
                let due = schedule.due(number);
                if due >= window.to || due > self.now() || batch >= BATCH {
                    break due;
                }
                turn += 1;
                batch += 1;
                self.tally.borrow_mut().due += u64::from(window.contains(due));
                let line = &lines[usize::try_from(index).expect("it counts connections")];
                let owed = line.lane.borrow().owed;
                line.lane.borrow_mut().owed += 1;
                if owed == 0 && !self.pay(line, schedule, true) {
                    held.push(Rc::clone(line));
                }
            };
            if std::mem::take(&mut batch) >= BATCH {
                tokio::task::yield_now().await;
                continue;
            }
            let now = self.now();
            if due >= window.to && now >= window.to && held.is_empty() {
                return;
            }
            let until_due = Duration::from_nanos(due.min(window.to).saturating_sub(now));
            let rest = if held.is_empty() { TICK } else { TICK / 10 };
            Self::rest(&mut alarm, until_due.clamp(QUANTUM, rest)).await;
        }
    }

    /// Sleeps, by the runtime's timer where the alarm fails.
    async fn rest(alarm: &mut Alarm, span: Duration) {
        if alarm.sleep(span).await.is_err() {
            tokio::time::sleep(span).await;
        }
    }

    /// Sends what a connection owes; `false` where its outbox has no room for all of it. Whether it was on time is
    /// this program's merit only where the connection took it at once.
    fn pay(&self, line: &Line, schedule: Schedule, is_prompt: bool) -> bool {
        loop {
            let (number, owed) = {
                let lane = line.lane.borrow();
                (lane.next(), lane.owed)
            };
            if owed == 0 {
                return true;
            }
            if !line.is_open.get() {
                line.lane.borrow_mut().owed = 0;
                return true;
            }
            let due = schedule.due(number);
            match self.try_send(line, number) {
                Ok(()) => {
                    let mut lane = line.lane.borrow_mut();
                    lane.owed -= 1;
                    lane.note_sent(None);
                    let mut tally = self.tally.borrow_mut();
                    if self.window().contains(due) {
                        tally.sent += 1;
                        if is_prompt {
                            tally.lateness.note(self.now().saturating_sub(due));
                        }
                    }
                }
                Err(TrySendError::Full(_)) => return false,
                // Its receiver says why.
                Err(TrySendError::Closing(_)) => line.lane.borrow_mut().owed = 0,
            }
        }
    }

    fn try_send(&self, line: &Line, number: u64) -> Result<(), TrySendError> {
        let message = self.job.plan.payload.message(number);
        if line.part.get() == Part::Publishes {
            // Listeners on other threads may have it before this one goes on.
            self.job.published.store(number + 1, Ordering::Release);
        }
        let sent = line.sender.try_send(message);
        if sent.is_err() && line.part.get() == Part::Publishes {
            self.job.published.store(number, Ordering::Release);
        }
        sent
    }

    /// Sends the next message of a connection that waits for answers.
    fn send_next(&self, line: &Line, now: u64) {
        let window = self.window();
        if now >= window.to || !line.is_open.get() {
            return;
        }
        let is_measured = u64::from(window.contains(now));
        let number = line.lane.borrow().next();
        self.tally.borrow_mut().due += is_measured;
        if self.try_send(line, number).is_ok() {
            line.lane.borrow_mut().note_sent(Some(now));
            self.tally.borrow_mut().sent += is_measured;
        }
    }

    async fn receive(self: Rc<Self>, line: Rc<Line>, mut receiver: Receiver) {
        let ended = loop {
            match receiver.recv().await {
                Ok(Some(message)) => self.take(&line, &message),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        line.is_open.set(false);
        self.living.set(self.living.get() - 1);
        if !self.closes.get() {
            let mut tally = self.tally.borrow_mut();
            match ended {
                Some(error) => tally.faults.note_error(&error),
                None => tally.faults.note_close(receiver.close_frame()),
            }
        }
    }

    /// Counts a message that arrived.
    fn take(&self, line: &Line, message: &Message) {
        if line.part.get() == Part::Publishes || self.closes.get() {
            return;
        }
        let now = self.now();
        let mut lane = line.lane.borrow_mut();
        if line.part.get() == Part::Listens {
            lane.set_sent(self.job.published.load(Ordering::Acquire));
        }
        let payload = &self.job.plan.payload;
        let reading = payload.read(message, lane.expected());
        let settled = reading.and_then(|reading| Some((lane.settle(reading.ahead)?, reading.intact)));
        drop(lane);
        let mut tally = self.tally.borrow_mut();
        let Some((settled, intact)) = settled else {
            tally.faults.note(WRONG, || {
                format!("{message:?} arrived that is none of those sent; is this an echo endpoint, and the room ours?")
            });
            return;
        };
        let due = match self.job.plan.load {
            Load::Open(schedule) => schedule.due(settled.number),
            Load::Closed { .. } => settled.stamp.unwrap_or(now),
        };
        let window = self.window();
        if window.contains(due) {
            if intact {
                tally.received += 1;
                tally.latency.note(now.saturating_sub(due));
            } else {
                tally.corrupt += 1;
            }
        }
        if !intact {
            tally
                .faults
                .note(WRONG, || format!("{message:?} came back with other bytes than it was sent with"));
        }
        tally.arrived += u64::from(window.contains(now));
        drop(tally);
        self.job.arrived.fetch_add(1, Ordering::Relaxed);
        if let Load::Closed { .. } = self.job.plan.load {
            self.send_next(line, now);
        }
    }

    /// Waits until nothing more is to be sent.
    async fn wait_for_end(&self) {
        loop {
            self.look_for_stop();
            let now = self.now();
            let is_published = self.job.is_published.load(Ordering::Acquire);
            if now >= self.window().to || self.living.get() == 0 || is_published {
                return;
            }
            let rest = Duration::from_nanos(self.window().to - now);
            tokio::time::sleep(rest.min(TICK)).await;
        }
    }

    /// Waits for what is still under way.
    async fn drain(&self, lines: &[Rc<Line>]) {
        let deadline = Instant::now() + self.patience();
        let is_room = self.job.plan.is_room;
        let awaits = |line: &Rc<Line>| {
            let mut lane = line.lane.borrow_mut();
            if line.part.get() == Part::Listens {
                lane.set_sent(self.job.published.load(Ordering::Acquire));
            }
            line.is_open.get() && line.part.get() != Part::Publishes && lane.outstanding() > 0
        };
        while Instant::now() < deadline {
            let is_published = !is_room || self.job.is_published.load(Ordering::Acquire);
            if is_published && !lines.iter().any(awaits) {
                return;
            }
            tokio::time::sleep(TICK / 5).await;
            self.look_for_stop();
        }
    }

    /// Counts what had to arrive.
    fn settle(&self, lines: &[Rc<Line>]) {
        let mut tally = self.tally.borrow_mut();
        tally.awaited = match (self.job.plan.is_room, self.job.plan.load) {
            (true, Load::Open(schedule)) => {
                let published = self.job.published.load(Ordering::Acquire);
                let window = self.window();
                let measured = (0..published).filter(|number| window.contains(schedule.due(*number))).count();
                let listeners = lines.iter().filter(|line| line.part.get() == Part::Listens).count();
                measured as u64 * listeners as u64
            }
            _ => tally.sent,
        };
    }

    /// Closes all connections, and waits for their answers for a moment.
    async fn close(&self) {
        self.closes.set(true);
        let frame = CloseFrame::new(CloseCode::NORMAL, "");
        for line in self.lines.take() {
            line.sender.close(Some(&frame));
        }
        let deadline = Instant::now() + FAREWELL;
        while self.living.get() > 0 && Instant::now() < deadline {
            tokio::time::sleep(TICK / 5).await;
        }
    }

    fn look_for_stop(&self) {
        if self.job.stopped.load(Ordering::Relaxed) {
            self.interrupted.set(self.interrupted.get().min(self.now()));
        }
    }

    fn patience(&self) -> Duration {
        if self.job.stopped.load(Ordering::Relaxed) { SHORT_DRAIN } else { DRAIN }
    }

    /// The measured part; an interruption brings its end forward.
    fn window(&self) -> Window {
        let window = self.job.timing.get().map_or(Window { from: 0, to: 0 }, |timing| timing.window);
        Window { to: window.to.min(self.interrupted.get()), ..window }
    }

    /// The pause that is left: nothing is sent before the start, from which latency counts.
    fn until_start(&self) -> Duration {
        let start = self.job.timing.get().map(|timing| timing.start);
        start.map_or(Duration::ZERO, |start| start.saturating_duration_since(Instant::now()))
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.job.timing.get().map_or(0, |timing| nanos_between(timing.start, Instant::now()))
    }
}
