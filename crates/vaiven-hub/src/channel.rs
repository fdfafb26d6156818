//! One channel: what is published to it, and who gets it.
//!
//! Its lock is held to change its state, never across an await, a write or a call of an outlet.

use crate::config::{Contract, Namespace};
use crate::figures::Counters;
use crate::latest::{Latest, key_of};
use crate::left::{Left, Ticket};
use crate::older::Older;
use crate::outlet::{Ending, Event, Outlet};
use crate::presence::{Member, Roster};
use crate::recent::{Entry, Recent, WireId, piece_len};
use crate::{ChannelName, Position, Publication};
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, oneshot};
use tokio::time::Instant;

/// Bytes that wait for a turn before publishers wait too.
const ENOUGH_BYTES: usize = 1 << 20;
/// Events that wait for a turn before publishers wait too.
const ENOUGH_EVENTS: usize = 1_024;
/// How many times as much waits before publications are refused: those whose publishers do not wait.
const TOO_MUCH: usize = 16;
/// How soon a subscriber of a `latest` channel that was not ready is looked at again.
const CATCH_UP: Duration = Duration::from_millis(50);

/// What the channels of a hub share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) counters: Arc<Counters>,
    pub(crate) runtime: Handle,
    pub(crate) recent_bytes: u64,
    /// Channels in which somebody came or left, for the keeper.
    pub(crate) rosters: Mutex<Vec<Weak<Channel>>>,
    pub(crate) left: Left,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: ChannelName,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) common: Arc<Common>,
    /// Set when the broker delivers to this channel.
    pub(crate) active: OnceCell<()>,
    pub(crate) older: Older,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Subscriptions, those that are being replayed to included.
    pub(crate) seats: usize,
    pub(crate) empty_since: Instant,
    /// Its place among those that were left, while nobody is subscribed.
    left: Option<Ticket>,
    /// A value was accepted and is on its way: the channel must be there when it arrives.
    expects_value: bool,
    /// Who gets what is published.
    pub(crate) members: Slab<Receiver>,
    next_id: u64,
    /// Published and not yet taken by a turn.
    pub(crate) waiting: VecDeque<Arc<Entry>>,
    waiting_bytes: usize,
    /// Publishers that wait until a turn has taken something.
    room: Vec<oneshot::Sender<()>>,
    pub(crate) in_turn: bool,
    /// Batches taken so far.
    batches: u64,
    pub(crate) recent: Recent,
    pub(crate) latest: Latest,
    /// The offset of a `reliable` channel, or the version of a `latest` one, up to which turns have taken.
    pub(crate) taken: u64,
    /// Some members of a `latest` channel have not everything yet: a turn looks after them soon.
    pub(crate) catching_up: bool,
    /// Now.
    look_again: bool,
    pub(crate) roster: Roster,
    /// Listed with the keeper, who tells what changed in the roster.
    pub(crate) roster_listed: bool,
}

/// A subscriber that is live.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Tells it from another one that has its key later.
    pub(crate) id: u64,
    pub(crate) outlet: Arc<dyn Outlet>,
    pub(crate) wire: WireId,
    /// Whether it is told who comes and goes.
    pub(crate) watches: bool,
    /// The first batch that it gets: what was taken before has been replayed to it, or is not for it.
    pub(crate) first_batch: u64,
    /// Up to which offset a `reliable` channel, or up to which version a `latest` one, is not for it any more.
    pub(crate) cursor: u64,
    /// It gets nothing more.
    pub(crate) ended: bool,
}

/// What a turn delivers.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) number: u64,
    pub(crate) events: Vec<Arc<Entry>>,
    /// The lowest offset among them.
    pub(crate) first_offset: Option<u64>,
    /// Values of a `latest` channel that changed between two versions.
    pub(crate) values: Vec<Arc<Entry>>,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Channel {
    pub(crate) fn new(name: ChannelName, namespace: Arc<Namespace>, common: Arc<Common>) -> Arc<Self> {
        let state = State {
            seats: 0,
            empty_since: Instant::now(),
            left: None,
            expects_value: false,
            members: Slab::new(),
            next_id: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            room: Vec::new(),
            in_turn: false,
            batches: 0,
            recent: Recent::default(),
            latest: Latest::default(),
            taken: 0,
            catching_up: false,
            look_again: false,
            roster: Roster::default(),
            roster_listed: false,
        };
        Arc::new(Self {
            name,
            namespace,
            common,
            active: OnceCell::new(),
            older: Older::default(),
            state: Mutex::new(state),
        })
    }

    /// A panic under this lock leaves counts that are off at worst, so poison is no reason to stop.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.common.counters
    }

    pub(crate) fn contract(&self) -> Contract {
        self.namespace.contract
    }

    /// Takes a place, where there are fewer than `max`.
    pub(crate) fn take_seat(&self, max: usize) -> bool {
        let mut state = self.lock();
        if state.seats >= max {
            return false;
        }
        state.seats += 1;
        self.unqueue(&mut state);
        drop(state);
        self.counters().subscribers.add(1);
        true
    }

    /// Gives the place back. A channel without subscribers and values queues up to be forgotten.
    pub(crate) fn leave_seat(&self) {
        self.counters().subscribers.sub(1);
        let mut state = self.lock();
        state.seats -= 1;
        state.empty_since = Instant::now();
        if state.seats == 0 && state.latest.is_empty() && !state.expects_value {
            state.left = Some(self.common.left.push(&self.name));
        }
    }

    /// Says whether a value of this key may be published. Then the channel is kept until it arrives.
    pub(crate) fn expect_value(&self, key: &str) -> bool {
        let mut state = self.lock();
        let has_room = state.latest.has_room(key, self.namespace.max_keys);
        if has_room {
            state.expects_value = true;
            state.empty_since = Instant::now();
            self.unqueue(&mut state);
        }
        has_room
    }

    /// Whether a `latest` channel has no value, and none on its way.
    pub(crate) fn has_no_value(&self) -> bool {
        let state = self.lock();
        state.latest.is_empty() && !state.expects_value
    }

    /// Lets go of everything, where nobody is subscribed and nothing would be lost: those whose presence is in its grace
    /// time are shown to nobody. Says whether it did. One that must stay queues up no longer.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.lock();
        let is_used = state.seats > 0 || state.in_turn || state.expects_value || !state.latest.is_empty();
        if is_used {
            self.unqueue(&mut state);
        } else {
            self.let_go(&mut state);
        }
        !is_used
    }

    /// Lets go of what a channel holds that is to be forgotten.
    pub(crate) fn let_go(&self, state: &mut State) {
        self.unqueue(state);
        let counters = self.counters();
        counters.members.sub(std::mem::take(&mut state.roster).len() as u64);
        counters.recent_bytes.sub(state.recent.clear() as u64);
    }

    fn unqueue(&self, state: &mut State) {
        if let Some(ticket) = state.left.take() {
            self.common.left.remove(ticket);
        }
    }

    /// The broker delivers what follows this position. It may have delivered some of it already.
    pub(crate) fn begin(&self, position: Position) {
        let mut state = self.lock();
        if state.recent.head.is_none() {
            state.taken = position.offset;
            state.recent.begin(position);
        }
    }

    /// Takes what was published. The turn begins when all of it is there.
    pub(crate) fn deliver(self: &Arc<Self>, publications: &[Arc<Publication>]) {
        for publication in publications {
            self.take_in(Arc::clone(publication));
        }
        self.start(self.lock());
    }

    fn take_in(&self, publication: Arc<Publication>) {
        let entry = Entry::new(Event::Publication(publication));
        let publication = entry.publication().expect("it is one");
        let mut state = self.lock();
        if let Some(position) = &publication.position {
            match state.continuation(position) {
                Continuation::Next => {}
                Continuation::Known => return,
                Continuation::Gap => {
                    let ended = self.interrupt_locked(&mut state, position.at(position.offset - 1));
                    drop(state);
                    self.end_all(ended, Ending::Lost);
                    state = self.lock();
                }
            }
            self.remember(&mut state, Arc::clone(&entry));
        } else if self.contract() == Contract::Latest {
            state.latest.insert(key_of(publication).into(), Arc::clone(&entry));
            state.expects_value = false;
            return;
        }
        state.enqueue(entry);
    }

    pub(crate) fn join(self: &Arc<Self>, member: Member) {
        self.change_roster(|roster| roster.join(member));
    }

    /// One subscription of the client has ended.
    pub(crate) fn depart(self: &Arc<Self>, client: &Arc<str>, grace: Duration) {
        self.change_roster(|roster| roster.leave(client, grace));
    }

    fn change_roster(self: &Arc<Self>, change: impl FnOnce(&mut Roster)) {
        let mut state = self.lock();
        let before = state.roster.len() as u64;
        change(&mut state.roster);
        let after = state.roster.len() as u64;
        let is_news = state.roster.is_due() && !std::mem::replace(&mut state.roster_listed, true);
        drop(state);
        self.counters().members.add(after.saturating_sub(before));
        self.counters().members.sub(before.saturating_sub(after));
        if is_news {
            self.common.rosters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(self));
        }
    }

    /// Tells those who asked who came and left.
    pub(crate) fn tell_presence(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        let before = state.roster.len();
        let change = state.roster.take_change();
        self.counters().members.sub((before - state.roster.len()) as u64);
        let is_due = state.roster.is_due();
        state.roster_listed = is_due;
        if let Some(change) = change.filter(|_| state.members.iter().any(|(_, member)| member.watches)) {
            state.enqueue(Entry::new(Event::Presence(Arc::new(change))));
            self.start(state);
        }
        is_due
    }

    /// Begins a turn where none runs and somebody waits for one.
    fn start(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.members.is_empty() && state.waiting.is_empty() {
            state.taken = state.latest.newest().max(state.taken);
        } else if state.is_due() && !std::mem::replace(&mut state.in_turn, true) {
            drop(state);
            self.common.runtime.spawn(Arc::clone(self).turn());
        }
    }

    /// Looks in a while after those who were not ready for what is newest.
    pub(crate) fn catch_up_soon(self: &Arc<Self>) {
        let channel = Arc::clone(self);
        self.common.runtime.spawn(async move {
            tokio::time::sleep(CATCH_UP).await;
            let mut state = channel.lock();
            state.catching_up = false;
            state.look_again = true;
            channel.start(state);
        });
    }

    fn remember(&self, state: &mut State, entry: Arc<Entry>) {
        let counter = &self.counters().recent_bytes;
        counter.add(state.recent.push(entry) as u64);
        let (size, limit) = (self.namespace.history_size, self.common.recent_bytes);
        // What no turn has taken must stay, or a replay could not join.
        while state.recent.first() <= state.taken && (state.recent.len() > size || counter.value() > limit) {
            match state.recent.drop_oldest_if(|_| true) {
                Some(bytes) => counter.sub(bytes as u64),
                None => break,
            }
        }
    }

    /// The channel goes on after another position: nobody who listens can know what is missing.
    pub(crate) fn interrupt(&self, position: &Position) {
        let mut state = self.lock();
        if state.recent.head.as_ref().is_some_and(|head| head != position) {
            let ended = self.interrupt_locked(&mut state, position.clone());
            drop(state);
            self.end_all(ended, Ending::Lost);
        }
    }

    fn interrupt_locked(&self, state: &mut State, position: Position) -> Vec<Arc<dyn Outlet>> {
        self.counters().epoch_changes.add(1);
        // What waits is of the old epoch; those who would have got it are ended.
        state.waiting.clear();
        state.waiting_bytes = 0;
        state.room.clear();
        state.taken = position.offset;
        let bytes = state.recent.begin(position);
        self.counters().recent_bytes.sub(bytes as u64);
        self.older.clear();
        state.end_members(u64::MAX)
    }

    pub(crate) fn end_all(&self, outlets: Vec<Arc<dyn Outlet>>, ending: Ending) {
        for outlet in outlets {
            outlet.end(&self.name, ending);
        }
    }

    /// Whether more waits than may, so that nothing more is taken.
    pub(crate) fn is_overfull(&self) -> bool {
        let state = self.lock();
        state.waiting_bytes > ENOUGH_BYTES * TOO_MUCH || state.waiting.len() > ENOUGH_EVENTS * TOO_MUCH
    }

    /// When publishers must wait for a turn: who tells them.
    pub(crate) fn room(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        if state.waiting_bytes <= ENOUGH_BYTES && state.waiting.len() <= ENOUGH_EVENTS {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.room.push(sender);
        Some(receiver)
    }
}

/// How a publication stands to those before it.
enum Continuation {
    Next,
    Known,
    Gap,
}

impl State {
    fn continuation(&mut self, position: &Position) -> Continuation {
        let Some(head) = &self.recent.head else {
            // The broker began to deliver before it has said so.
            self.taken = position.offset - 1;
            self.recent.begin(position.at(position.offset - 1));
            return Continuation::Next;
        };
        if head.epoch != position.epoch || position.offset > head.offset + 1 {
            Continuation::Gap
        } else if position.offset == head.offset + 1 {
            Continuation::Next
        } else {
            Continuation::Known
        }
    }

    /// Lets an event wait for a turn, where somebody is there to be given it.
    fn enqueue(&mut self, entry: Arc<Entry>) {
        if self.members.is_empty() && self.waiting.is_empty() {
            self.taken = entry.offset().unwrap_or(self.taken);
            return;
        }
        self.waiting_bytes += entry.cost();
        self.waiting.push_back(entry);
    }

    /// Whether a turn has something to do.
    fn is_due(&self) -> bool {
        !self.waiting.is_empty() || self.look_again || self.latest.newest() > self.taken
    }

    /// What the next part of a turn delivers, or the end of the turn.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        let len = piece_len(self.waiting.iter());
        let events: Vec<_> = self.waiting.drain(..len).collect();
        self.waiting_bytes -= events.iter().map(|entry| entry.cost()).sum::<usize>();
        let (from, newest) = (self.taken, self.latest.newest());
        let (values, to) = if newest > 0 { self.latest.piece(from, newest) } else { (Vec::new(), from) };
        if to > from {
            self.taken = to;
        }
        if let Some(offset) = events.iter().rev().find_map(|entry| entry.offset()) {
            self.taken = offset;
        }
        self.room.clear();
        if !std::mem::take(&mut self.look_again) && events.is_empty() && to == from {
            self.in_turn = false;
            return None;
        }
        self.batches += 1;
        let first_offset = events.iter().find_map(|entry| entry.offset());
        Some(Taken { number: self.batches, events, first_offset, values, from, to })
    }

    /// Makes a subscriber live: it gets what no turn has taken yet, after its own cursor.
    pub(crate) fn insert(
        &mut self,
        outlet: Arc<dyn Outlet>,
        wire: WireId,
        watches: bool,
        cursor: u64,
    ) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        let first_batch = self.batches + 1;
        let cursor = cursor.max(self.taken);
        let receiver = Receiver { id, outlet, wire, watches, first_batch, cursor, ended: false };
        self.members.insert(receiver)
    }

    /// Ends those who were to get the batches up to this one. They are to be told so outside of the lock.
    pub(crate) fn end_members(&mut self, last_batch: u64) -> Vec<Arc<dyn Outlet>> {
        let members = self.members.iter_mut().map(|(_, member)| member);
        let concerned = members.filter(|member| member.first_batch <= last_batch && !member.ended);
        concerned
            .map(|member| {
                member.ended = true;
                Arc::clone(&member.outlet)
            })
            .collect()
    }

    /// Lets those go on who wait for room.
    pub(crate) fn leave_no_publisher_waiting(&mut self) {
        self.room.clear();
    }

    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }
}
