//! Every connection of a server, from the moment it is accepted until its socket is given up, whoever holds it.
//!
//! A connection has one place. Two may hold it: the [`Permit`], which goes with the transport from the handshake
//! into the [`WebSocket`](crate::WebSocket), wherever that is moved; and the task that runs the handler. The place is
//! free when both have let go, so a server that waits for all places waits for all that it began.

use super::Refusal;
use super::admission::{Admission, AdmissionLimits, Denial, IpKey};
use super::{ServerConfig, ServerCounts};
use crate::link::Link;
use crate::sender::Sender;
use crate::{CloseFrame, WebSocket};
use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Parts of the registry, each with its lock.
const SHARDS: usize = 16;

/// What the parts of one server share.
pub(super) struct Shared {
    pub(super) config: Arc<ServerConfig>,
    /// The address that the server listens on.
    pub(super) listener: Option<IpAddr>,
    admission: Mutex<Admission>,
    shards: [Mutex<Shard>; SHARDS],
    next_shard: AtomicUsize,
    /// Places in use.
    places: AtomicUsize,
    websockets: AtomicUsize,
    /// Refusals that are being written.
    refusing: AtomicUsize,
    draining: AtomicBool,
    drain_begins: Notify,
    /// A drain waited as long as it may.
    drained: AtomicBool,
    /// Notified when no place is in use, and when a drain is over.
    empty: Notify,
    farewell: Mutex<Option<CloseFrame>>,
    pub(super) tally: Tally,
}

/// A connection that is not let in.
pub(super) struct TurnedAway {
    pub(super) refusal: Refusal,
    /// Held while it is told; `None` where it is not, because too many are, or because to tell it under TLS would cost
    /// the very handshake that the rates are there to spare.
    pub(super) refusing: Option<Refusing>,
}

/// Counters that only grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) tls_failures: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) panics: AtomicU64,
}

impl Tally {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Shard {
    places: Vec<Place>,
    free: Vec<u32>,
}

/// The place of a connection.
#[derive(Default)]
struct Place {
    /// The WebSocket that it became.
    link: Option<Weak<Link>>,
    task: Task,
    holders: u8,
}

/// The task that takes care of a connection.
#[derive(Default)]
enum Task {
    /// It is being spawned.
    #[default]
    Unknown,
    Running(AbortHandle),
    Over,
}

impl Task {
    fn handle(&self) -> Option<&AbortHandle> {
        if let Self::Running(handle) = self { Some(handle) } else { None }
    }
}

/// Where a place is.
#[derive(Clone, Copy, Debug)]
struct PlaceId {
    shard: u32,
    index: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: Arc<ServerConfig>, listener: Option<IpAddr>) -> Arc<Self> {
        let admission = Admission::new(AdmissionLimits::new(&config), Instant::now());
        Arc::new(Self {
            config,
            listener,
            admission: Mutex::new(admission),
            shards: Default::default(),
            next_shard: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
            websockets: AtomicUsize::new(0),
            refusing: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            drain_begins: Notify::new(),
            drained: AtomicBool::new(false),
            empty: Notify::new(),
            farewell: Mutex::new(None),
            tally: Tally::default(),
        })
    }

    /// Lets a connection in, or turns it away. `None` stands for a client that is not known yet, behind a proxy.
    pub(super) fn admit(self: &Arc<Self>, ip: Option<IpAddr>) -> Result<Permit, TurnedAway> {
        if self.is_draining() {
            return Err(TurnedAway { refusal: self.refusal_for_drain(), refusing: self.refusing() });
        }
        let ip = ip.map(IpKey::from);
        let admitted = lock(&self.admission).admit(ip, Instant::now());
        admitted.map_err(|denial| {
            let exceeds_rate = matches!(denial, Denial::Rate | Denial::RatePerIp);
            let refusing = if exceeds_rate && self.config.has_tls() { None } else { self.refusing() };
            // Who is not told when to come back would leave its place empty.
            let retry_after = refusing.as_ref().and_then(|_| self.retry_place(denial, ip));
            TurnedAway { refusal: self.refusal(denial, retry_after), refusing }
        })?;
        Tally::add(&self.tally.accepted);
        Ok(Permit { shared: Arc::clone(self), place: self.take_place(), ip })
    }

    /// Counts a connection that another server let in.
    pub(super) fn admit_foreign(self: &Arc<Self>) -> Permit {
        lock(&self.admission).admit_foreign();
        Tally::add(&self.tally.accepted);
        Permit { shared: Arc::clone(self), place: self.take_place(), ip: None }
    }

    /// In how many seconds there is a place for a client that is told so.
    fn retry_place(&self, denial: Denial, ip: Option<IpKey>) -> Option<u32> {
        lock(&self.admission).take_place(denial, ip, Instant::now())
    }

    fn refusal(&self, denial: Denial, retry_after: Option<u32>) -> Refusal {
        let retry_after = retry_after.unwrap_or_else(|| self.config.random_retry_after());
        let field = |refusal: Refusal| {
            refusal.with_field("Retry-After", retry_after.to_string()).expect("a number is a right value")
        };
        match denial {
            Denial::Connections => Refusal::too_many_connections(retry_after),
            Denial::RatePerIp => Refusal::too_many_handshakes(retry_after),
            Denial::Rate => field(Refusal::new(
                503,
                "handshake_rate_total",
                "More clients connect at once than the server is configured for. Try again later.",
            )),
            Denial::ConnectionsPerIp => field(Refusal::new(
                429,
                "connections_per_ip",
                "This address has as many connections as one may have. Close one, or try again later.",
            )),
        }
    }

    pub(super) fn refusal_for_drain(&self) -> Refusal {
        Refusal::draining(self.config.random_retry_after())
    }

    /// Takes one of the places for refusals that are being written.
    fn refusing(self: &Arc<Self>) -> Option<Refusing> {
        let max = self.config.max_refusals;
        let taken = self.refusing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |refusing| {
            (refusing < max).then_some(refusing + 1)
        });
        taken.is_ok().then(|| Refusing(Arc::clone(self)))
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Ready once the server drains.
    pub(super) async fn draining(&self) {
        Self::when(&self.drain_begins, || self.is_draining()).await;
    }

    /// Ready once no place is in use.
    pub(super) async fn all_gone(&self) {
        Self::when(&self.empty, || self.places() == 0).await;
    }

    /// Ready once no place is in use, or a drain is over.
    pub(super) async fn drained(&self) {
        Self::when(&self.empty, || self.places() == 0 || self.drained.load(Ordering::SeqCst)).await;
    }

    /// A drain is over, whatever is left.
    pub(super) fn end_drain(&self) {
        self.drained.store(true, Ordering::SeqCst);
        self.empty.notify_waiters();
    }

    async fn when(notify: &Notify, is_so: impl Fn() -> bool) {
        loop {
            let mut notified = pin!(notify.notified());
            notified.as_mut().enable();
            if is_so() {
                return;
            }
            notified.await;
        }
    }

    /// Begins to drain: from here on nobody is let in, and who becomes a WebSocket is closed at once.
    pub(super) fn begin_drain(&self, farewell: CloseFrame) {
        *lock(&self.farewell) = Some(farewell);
        self.draining.store(true, Ordering::SeqCst);
        self.drain_begins.notify_waiters();
    }

    /// Every WebSocket that is open now.
    pub(super) fn links(&self) -> Vec<Weak<Link>> {
        let mut links = Vec::with_capacity(self.websockets.load(Ordering::Relaxed));
        for shard in &self.shards {
            let shard = lock(shard);
            links.extend(shard.places.iter().filter_map(|place| place.link.clone()));
        }
        links
    }

    /// The tasks that run.
    pub(super) fn tasks(&self) -> Vec<AbortHandle> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            tasks.extend(lock(shard).places.iter().filter_map(|place| place.task.handle()).cloned());
        }
        tasks
    }

    pub(super) fn places(&self) -> usize {
        self.places.load(Ordering::SeqCst)
    }

    pub(super) fn max_connections(&self) -> usize {
        lock(&self.admission).limits().max_connections
    }

    pub(super) fn counts(&self) -> ServerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounts {
            connections: lock(&self.admission).connections(),
            websockets: self.websockets.load(Ordering::Relaxed),
            accepted: read(&self.tally.accepted),
            refused: read(&self.tally.refused),
            dropped: read(&self.tally.dropped),
            tls_failures: read(&self.tally.tls_failures),
            accept_errors: read(&self.tally.accept_errors),
            panics: read(&self.tally.panics),
        }
    }

    fn take_place(&self) -> PlaceId {
        self.places.fetch_add(1, Ordering::SeqCst);
        let number = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = lock(&self.shards[number]);
        let index = shard.free.pop().unwrap_or_else(|| {
            shard.places.push(Place::default());
            u32::try_from(shard.places.len() - 1).expect("sockets are fewer than 4 billion")
        });
        shard.place(index).holders = 1;
        PlaceId { shard: u32::try_from(number).expect("shards are few"), index }
    }

    fn with_place<R>(&self, id: PlaceId, act: impl FnOnce(&mut Place) -> R) -> R {
        act(lock(&self.shards[id.shard as usize]).place(id.index))
    }

    /// One of the holders lets go.
    fn leave_place(&self, id: PlaceId) {
        let mut shard = lock(&self.shards[id.shard as usize]);
        let place = shard.place(id.index);
        debug_assert!(place.holders > 0, "who lets go held");
        place.holders -= 1;
        if place.holders > 0 {
            return;
        }
        *place = Place::default();
        shard.free.push(id.index);
        drop(shard);
        if self.places.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.empty.notify_waiters();
        }
    }
}

impl Shard {
    fn place(&mut self, index: u32) -> &mut Place {
        &mut self.places[index as usize]
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// Counts a connection with its server, for as long as it lives: against the limits, and among those that a drain
/// waits for.
pub struct Permit {
    shared: Arc<Shared>,
    place: PlaceId,
    ip: Option<IpKey>,
}

impl Permit {
    /// Counts the WebSocket that came of the connection elsewhere, as of a later request in hyper: in the connection's
    /// own place, and not in a second one as [`track`](super::ServerHandle::track) would. Once a drain has begun it is
    /// closed at once.
    ///
    /// # Panics
    /// If the WebSocket is counted already.
    pub fn pass_to(self, socket: &WebSocket) {
        socket.set_permit(self);
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Counts the connection for a client whom a proxy named.
    pub(super) fn admit_ip(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        debug_assert!(self.ip.is_none(), "a client is named once");
        let ip = IpKey::from(ip);
        let admitted = lock(&self.shared.admission).admit_ip(ip, Instant::now());
        admitted.map_err(|denial| self.shared.refusal(denial, self.shared.retry_place(denial, Some(ip))))?;
        self.ip = Some(ip);
        Ok(())
    }

    /// Holds the connection's place for someone else.
    pub(super) fn hold(&self) -> Hold {
        self.shared.with_place(self.place, |place| place.holders += 1);
        Hold { shared: Arc::clone(&self.shared), place: self.place }
    }

    /// Notes the WebSocket that the connection became.
    pub(crate) fn begin_websocket(&mut self, link: &Arc<Link>) {
        self.shared.websockets.fetch_add(1, Ordering::Relaxed);
        self.shared.with_place(self.place, |place| place.link = Some(Arc::downgrade(link)));
        // A drain either finds the place, or was announced before and is seen here.
        if self.shared.is_draining()
            && let Some(farewell) = &*lock(&self.shared.farewell)
        {
            Sender::new(Arc::clone(link)).close(Some(farewell));
        }
    }

    /// The holder of the WebSocket panicked. Where that is the connection's own task, the task counts it.
    pub(crate) fn note_panic(&self) {
        let task = self.shared.with_place(self.place, |place| place.task.handle().map(AbortHandle::id));
        if task.is_none() || task != tokio::task::try_id() {
            Tally::add(&self.shared.tally.panics);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.shared.admission).leave(self.ip);
        if self.shared.with_place(self.place, |place| place.link.take()).is_some() {
            self.shared.websockets.fetch_sub(1, Ordering::Relaxed);
        }
        self.shared.leave_place(self.place);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Holds the place of a connection.
pub(super) struct Hold {
    shared: Arc<Shared>,
    place: PlaceId,
}

impl Hold {
    /// Notes how the task that takes care of the connection can be ended.
    pub(super) fn set_task(&self, handle: AbortHandle) {
        self.shared.with_place(self.place, |place| {
            if matches!(place.task, Task::Unknown) {
                place.task = Task::Running(handle);
            }
        });
    }

    /// The hold of the task itself.
    pub(super) fn for_task(self) -> TaskHold {
        TaskHold(self)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.leave_place(self.place);
    }
}

/// What the task that takes care of a connection holds while it runs.
pub(super) struct TaskHold(Hold);

impl Drop for TaskHold {
    fn drop(&mut self) {
        let Hold { shared, place } = &self.0;
        if std::thread::panicking() {
            Tally::add(&shared.tally.panics);
        }
        shared.with_place(*place, |place| place.task = Task::Over);
    }
}

/// One of the refusals that are being written.
pub(super) struct Refusing(Arc<Shared>);

impl Drop for Refusing {
    fn drop(&mut self) {
        self.0.refusing.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
