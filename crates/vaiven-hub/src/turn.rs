//! A channel's turn: what was published -> the same bytes for all subscribers of a wire, written straight to them.
//!
//! The first publication that finds its channel at rest starts the turn, a task that runs when the publisher has
//! yielded: by then a wake-up's worth has come together. No subscriber's own task is woken. An outlet that is full is
//! ended, with an invitation to come back, and the others never wait.

use crate::channel::{Channel, Taken};
use crate::config::Contract;
use crate::outlet::{Batch, Delivery, Ending, Outlet};
use crate::recent::{Entry, WireId, batch};
use std::sync::Arc;

/// Subscribers that are written to before other tasks get a turn. Tokio lets a task do 128 operations between two
/// yields, after which its sockets seem not to be ready.
const OUTLETS_AT_ONCE: usize = 64;

/// A subscriber, copied so that it is written to without the channel's lock.
struct Target {
    key: usize,
    id: u64,
    outlet: Arc<dyn Outlet>,
    wire: WireId,
    watches: bool,
    cursor: u64,
}

/// What became of it.
enum Fate {
    Ended,
    /// It has a `latest` channel up to this version.
    At(u64),
}

/// The batches of one turn, made when the first subscriber needs them.
struct Batches<'a> {
    channel: &'a Channel,
    entries: &'a [Arc<Entry>],
    made: Vec<(u8, bool, Batch)>,
}

impl Channel {
    /// Delivers what waits, until nothing does.
    pub(crate) async fn turn(self: Arc<Self>) {
        let _rest = Rest(&self);
        let mut written = 0;
        loop {
            let Some(taken) = self.lock().take() else { return };
            let mut events = Batches { channel: &self, entries: &taken.events, made: Vec::new() };
            let mut values = Batches { channel: &self, entries: &taken.values, made: Vec::new() };
            let mut next = Some(0);
            while let Some(start) = next {
                let (targets, after) = self.copy_targets(taken.number, start);
                next = after;
                written += targets.len();
                let mut fates = Vec::new();
                for target in targets {
                    let fate = self.serve(&target, &taken, &mut events, &mut values);
                    fates.extend(fate.map(|fate| (target.key, target.id, fate)));
                }
                self.settle(fates, &taken);
                if written >= OUTLETS_AT_ONCE {
                    written = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Copies some subscribers, from a key on; says where to go on.
    fn copy_targets(&self, batch: u64, start: usize) -> (Vec<Target>, Option<usize>) {
        let state = self.lock();
        let end = state.members.capacity().min(start + OUTLETS_AT_ONCE);
        let mut targets = Vec::with_capacity(OUTLETS_AT_ONCE.min(state.members.len()));
        for key in start..end {
            let Some(member) = state.members.get(key) else { continue };
            if member.ended || member.first_batch > batch {
                continue;
            }
            targets.push(Target {
                key,
                id: member.id,
                outlet: Arc::clone(&member.outlet),
                wire: member.wire,
                watches: member.watches,
                cursor: member.cursor,
            });
        }
        (targets, (end < state.members.capacity()).then_some(end))
    }

    fn serve(
        &self,
        target: &Target,
        taken: &Taken,
        events: &mut Batches<'_>,
        values: &mut Batches<'_>,
    ) -> Option<Fate> {
        if taken.first_offset.is_some_and(|first| first <= target.cursor) {
            // It came with a position that no turn had reached yet.
            let is_for_it = |entry: &&Arc<Entry>| {
                entry.offset().is_none_or(|offset| offset > target.cursor)
                    && (target.watches || entry.publication().is_some())
            };
            let own = taken.events.iter().filter(is_for_it);
            let own = batch(&self.name, target.wire, own, self.counters());
            let given = own.events.is_empty() || self.give(target, &own);
            return (!given).then_some(Fate::Ended);
        }
        if !taken.events.is_empty()
            && let Some(batch) = events.of(target.wire, target.watches)
            && !self.give(target, batch)
        {
            return Some(Fate::Ended);
        }
        if self.contract() != Contract::Latest || target.cursor >= taken.to {
            return None;
        }
        if !target.outlet.is_idle() {
            return Some(Fate::At(target.cursor));
        }
        if target.cursor == taken.from {
            let given = values.of(target.wire, false).is_none_or(|batch| self.give(target, batch));
            return Some(if given { Fate::At(taken.to) } else { Fate::Ended });
        }
        let (entries, reached) = self.lock().latest.piece(target.cursor, taken.to);
        let own = batch(&self.name, target.wire, entries.iter(), self.counters());
        Some(if self.give(target, &own) { Fate::At(reached) } else { Fate::Ended })
    }

    /// Gives a batch to a subscriber, and ends it when it has no room. Says whether it goes on.
    fn give(&self, target: &Target, batch: &Batch) -> bool {
        match target.outlet.try_deliver(batch) {
            Delivery::Taken => {
                self.counters().deliveries.add(batch.events.len() as u64);
                self.counters().delivered_bytes.add(batch.frames.frames().len() as u64);
                true
            }
            Delivery::Full => {
                self.counters().slow_consumers.add(1);
                target.outlet.end(&self.name, Ending::SlowConsumer);
                false
            }
            Delivery::Gone => false,
        }
    }

    fn settle(self: &Arc<Self>, fates: Vec<(usize, u64, Fate)>, taken: &Taken) {
        if fates.is_empty() {
            return;
        }
        let mut state = self.lock();
        let mut behind = false;
        for (key, id, fate) in fates {
            let Some(member) = state.members.get_mut(key).filter(|member| member.id == id) else { continue };
            match fate {
                Fate::Ended => member.ended = true,
                Fate::At(cursor) => {
                    member.cursor = cursor;
                    behind |= cursor < taken.to;
                }
            }
        }
        if behind && !std::mem::replace(&mut state.catching_up, true) {
            self.catch_up_soon();
        }
    }
}

impl Batches<'_> {
    /// The batch for a wire; `None` where there is nothing for it.
    fn of(&mut self, wire: WireId, watches: bool) -> Option<&Batch> {
        let is_it = |made: &(u8, bool, Batch)| made.0 == wire.number && made.1 == watches;
        let at = if let Some(at) = self.made.iter().position(is_it) {
            at
        } else {
            let entries = self.entries.iter().filter(|entry| watches || entry.publication().is_some());
            let batch = batch(&self.channel.name, wire, entries, self.channel.counters());
            self.made.push((wire.number, watches, batch));
            self.made.len() - 1
        };
        Some(&self.made[at].2).filter(|batch| !batch.events.is_empty())
    }
}

/// Puts a channel to rest whose turn was ended by a fault, so that the next publication begins a new one. Those who
/// were to get a `reliable` channel's batch cannot know whether they did, so they are invited to come back.
struct Rest<'a>(&'a Arc<Channel>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.0.counters().faults.add(1);
        let mut state = self.0.lock();
        state.in_turn = false;
        state.leave_no_publisher_waiting();
        if self.0.contract() != Contract::Reliable {
            return;
        }
        let last = state.batches();
        let ended = state.end_members(last);
        drop(state);
        let channel = Arc::clone(self.0);
        // In a task of its own: an outlet that panics here would end the process.
        self.0.common.runtime.spawn(async move { channel.end_all(ended, Ending::Fault) });
    }
}
