//! Rooms: what one member sends, all members get, its sender too, all in the same order.
//!
//! A message is framed once, when it is published. The first one that finds its room at rest starts the room's turn,
//! a task that runs when the publisher has yielded: by then a wake-up's worth of messages has come together, and each
//! member is given all of them at once, in the form of the same bytes, written straight to its socket. No member's
//! own task is woken. Only a member whose socket takes no more has bytes queued; when its outbox is full it is closed
//! with a code that invites it back, and the others never wait.
//!
//! Locks: a shard of the map is locked to join and to leave, a room to publish and to copy a part of its members;
//! neither is held across an await or a write.

use crate::metrics::Metrics;
use slab::Slab;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use vaiven::{CloseCode, CloseFrame, Message, Prepared, PreparedBatch, Sender};

/// Maps that the rooms are spread over, so that joins of different rooms seldom meet.
const SHARDS: usize = 64;
/// Members that are written to before other tasks get a turn. Tokio lets a task do 128 operations between two yields,
/// after which its sockets seem not to be ready.
const MEMBERS_AT_ONCE: usize = 64;

/// Bounds of all rooms together and of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomLimits {
    pub(crate) max_rooms: usize,
    pub(crate) max_members: usize,
    /// Bytes that one turn gives to each member; publishers of more wait for the next turn.
    pub(crate) batch_bytes: usize,
    /// Messages that one turn gives to each member, however small: each takes memory besides its bytes.
    pub(crate) batch_messages: usize,
}

/// Why nobody can enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are as many rooms as there may be.
    Rooms,
    /// The room has as many members as it may have.
    Room,
}

type Shard = HashMap<Arc<str>, Arc<Room>>;

/// All rooms.
#[derive(Debug)]
pub(crate) struct Rooms {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    count: AtomicUsize,
    limits: RoomLimits,
    metrics: Arc<Metrics>,
}

/// One room.
#[derive(Debug)]
struct Room {
    state: Mutex<State>,
    /// Told when a turn has taken what waited.
    taken: Notify,
    batch_bytes: usize,
    batch_messages: usize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    /// Places taken, by members and by those whose handshake is still under way.
    seats: usize,
    members: Slab<Member>,
    /// Published and not yet taken by a turn.
    waiting: Vec<Prepared>,
    waiting_bytes: usize,
    /// A turn runs, which will take what waits.
    in_turn: bool,
    /// Batches taken so far.
    batches: u64,
}

#[derive(Debug)]
struct Member {
    sender: Sender,
    /// The first batch that it gets: the one in delivery when it came is not for it.
    first_batch: u64,
}

/// A place in a room, kept while a handshake is under way. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Seat {
    rooms: Arc<Rooms>,
    name: Arc<str>,
    room: Arc<Room>,
}

/// A member's part in a room. Dropped, the member has left.
#[derive(Debug)]
pub(crate) struct Membership {
    seat: Seat,
    key: usize,
}

impl Rooms {
    pub(crate) fn new(limits: RoomLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, hasher: RandomState::new(), count: AtomicUsize::new(0), limits, metrics })
    }

    /// Keeps a place in the room, which is made when it does not exist.
    pub(crate) fn reserve(self: &Arc<Self>, name: &str) -> Result<Seat, Full> {
        let mut shard = self.shard(name);
        if let Some((name, room)) = shard.get_key_value(name) {
            let mut state = room.lock();
            if state.seats >= self.limits.max_members {
                return Err(Full::Room);
            }
            state.seats += 1;
            drop(state);
            return Ok(Seat { rooms: Arc::clone(self), name: Arc::clone(name), room: Arc::clone(room) });
        }
        let add = |count| (count < self.limits.max_rooms).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Full::Rooms)?;
        self.metrics.rooms.inc();
        let room = Arc::new(Room {
            state: Mutex::new(State { seats: 1, ..State::default() }),
            taken: Notify::new(),
            batch_bytes: self.limits.batch_bytes,
            batch_messages: self.limits.batch_messages,
            metrics: Arc::clone(&self.metrics),
        });
        let name: Arc<str> = name.into();
        shard.insert(Arc::clone(&name), Arc::clone(&room));
        Ok(Seat { rooms: Arc::clone(self), name, room })
    }

    fn shard(&self, name: &str) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(name);
        let index = usize::try_from(hash % SHARDS as u64).expect("it is below SHARDS");
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Takes the place: from now on the connection gets what is published.
    pub(crate) fn take(self, sender: Sender) -> Membership {
        let mut state = self.room.lock();
        let first_batch = state.batches + 1;
        let key = state.members.insert(Member { sender, first_batch });
        drop(state);
        self.rooms.metrics.members.inc();
        Membership { seat: self, key }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shard = self.rooms.shard(&self.name);
        let mut state = self.room.lock();
        state.seats -= 1;
        if state.seats == 0 {
            shard.remove(&self.name);
            self.rooms.count.fetch_sub(1, Ordering::Relaxed);
            self.rooms.metrics.rooms.dec();
        }
    }
}

impl Membership {
    /// Publishes to all members. Where the room has more to deliver than one turn takes, the message comes back, to be
    /// published when there is room.
    pub(crate) fn try_publish(&self, message: Message) -> Result<(), Prepared> {
        let mut prepared = Some(Prepared::new(message));
        self.seat.room.offer(&mut prepared);
        prepared.map_or(Ok(()), Err)
    }

    /// Publishes to all members as soon as a turn has room for the message.
    pub(crate) async fn publish_when_room(&self, prepared: Prepared) {
        let room = &self.seat.room;
        let mut prepared = Some(prepared);
        loop {
            let taken = room.taken.notified();
            room.offer(&mut prepared);
            if prepared.is_none() {
                return;
            }
            taken.await;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let member = self.seat.room.lock().members.remove(self.key);
        drop(member);
        self.seat.rooms.metrics.members.dec();
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the message if it fits into the next batch, and starts a turn when none runs.
    fn offer(self: &Arc<Self>, message: &mut Option<Prepared>) {
        let mut state = self.lock();
        let Some(len) = message.as_ref().map(|message| message.frame().len()) else { return };
        let waiting = state.waiting.len();
        let fits = waiting < self.batch_messages && state.waiting_bytes + len <= self.batch_bytes;
        if waiting == 0 || fits {
            state.waiting.extend(message.take());
            state.waiting_bytes += len;
        }
        // Whoever does not fit needs a turn as well: the one before may have been ended by a fault.
        if !std::mem::replace(&mut state.in_turn, true) {
            drop(state);
            tokio::spawn(Arc::clone(self).turn());
        }
    }

    /// Delivers what waits, until nothing does.
    async fn turn(self: Arc<Self>) {
        let _rest = Rest(&self);
        let mut senders = Vec::new();
        let mut written = 0;
        while let Some((number, batch)) = self.take_batch() {
            let mut next = Some(0);
            while let Some(start) = next {
                next = self.copy_senders(number, start, &mut senders);
                written += senders.len();
                self.deliver(&batch, &mut senders);
                if written >= MEMBERS_AT_ONCE {
                    written = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The next batch and its number, or the end of the turn.
    fn take_batch(&self) -> Option<(u64, PreparedBatch)> {
        let mut state = self.lock();
        let messages = std::mem::take(&mut state.waiting);
        if messages.is_empty() {
            state.in_turn = false;
            return None;
        }
        state.waiting_bytes = 0;
        state.batches += 1;
        let number = state.batches;
        drop(state);
        self.taken.notify_waiters();
        Some((number, PreparedBatch::new(messages)))
    }

    /// Copies the senders of some members, from a key on; says where to go on.
    fn copy_senders(&self, batch: u64, start: usize, senders: &mut Vec<Sender>) -> Option<usize> {
        let state = self.lock();
        let end = state.members.capacity().min(start + MEMBERS_AT_ONCE);
        let members = (start..end).filter_map(|key| state.members.get(key));
        senders
            .extend(members.filter(|member| member.first_batch <= batch).map(|member| member.sender.clone()));
        (end < state.members.capacity()).then_some(end)
    }

    fn deliver(&self, batch: &PreparedBatch, senders: &mut Vec<Sender>) {
        let mut reached = 0;
        for sender in senders.drain(..) {
            if sender.try_send_batch(batch) {
                reached += 1;
            } else if sender.is_open() {
                self.metrics.slow_consumers.inc();
                sender.close(Some(&slow_consumer()));
            }
        }
        let messages = batch.messages().len() as u64;
        self.metrics.messages_out.inc_by(reached * messages);
        self.metrics.bytes_out.inc_by(reached * batch.frames().len() as u64);
    }
}

/// Puts a room to rest whose turn was ended by a fault, so that the next message begins a new one, as does one that
/// waits already.
struct Rest<'a>(&'a Room);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().in_turn = false;
            self.0.taken.notify_waiters();
        }
    }
}

/// What a member is told that reads more slowly than the room talks.
fn slow_consumer() -> CloseFrame {
    CloseFrame::new(CloseCode::TRY_AGAIN, "slow consumer: the outbox is full; reconnect to go on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::app::App;
    use std::time::Duration;
    use vaiven::server::{ServerConfig, ServerHandle};

    /// A member of a room, and the client that it stands for.
    fn member() -> (Membership, vaiven::WebSocket) {
        let app = App::new(Settings::default(), Arc::new(ServerConfig::default()), ServerHandle::detached());
        let (client, server) = vaiven::pair();
        (app.rooms.reserve("sala").unwrap().take(server.sender()), client)
    }

    async fn publish(membership: &Membership, message: Message) {
        if let Err(prepared) = membership.try_publish(message) {
            membership.publish_when_room(prepared).await;
        }
    }

    async fn in_time<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
    }

    #[tokio::test]
    async fn a_room_goes_on_after_a_turn_that_panicked_while_it_was_full() {
        let (membership, _client) = member();
        let room = Arc::clone(&membership.seat.room);
        // A turn runs, and what waits for the next one leaves no room.
        room.lock().in_turn = true;
        publish(&membership, Message::binary(vec![0; room.batch_bytes])).await;
        let publishing = tokio::spawn(async move {
            publish(&membership, Message::binary(vec![0; 1])).await;
            membership
        });
        tokio::task::yield_now().await;
        assert!(!publishing.is_finished());
        let turn = Arc::clone(&room);
        let panicked = tokio::spawn(async move {
            let _rest = Rest(&turn);
            panic!("a fault");
        });
        assert!(panicked.await.is_err());
        let membership = in_time(publishing).await.unwrap();
        // Nor does one wait that comes later.
        in_time(publish(&membership, Message::binary(vec![0; room.batch_bytes]))).await;
    }

    #[tokio::test]
    async fn a_message_that_does_not_fit_begins_a_turn_where_none_runs() {
        let (membership, _client) = member();
        let room = &membership.seat.room;
        room.lock().in_turn = true;
        publish(&membership, Message::binary(vec![0; room.batch_bytes])).await;
        room.lock().in_turn = false;
        in_time(publish(&membership, Message::binary(vec![0; 1]))).await;
    }

    #[tokio::test]
    async fn a_batch_takes_no_more_messages_than_its_limit() {
        let (membership, _client) = member();
        let room = &membership.seat.room;
        // A turn runs elsewhere, so that nothing is taken.
        room.lock().in_turn = true;
        for number in 1..=room.batch_messages + 1 {
            let mut message = Some(Prepared::new(Message::binary(Vec::new())));
            room.offer(&mut message);
            assert_eq!(message.is_none(), number <= room.batch_messages, "message {number}");
        }
        let batch = room.take_batch().unwrap().1;
        assert_eq!(batch.messages().len(), 1024);
        let mut message = Some(Prepared::new(Message::binary(Vec::new())));
        room.offer(&mut message);
        assert!(message.is_none(), "there is room again");
    }
}
