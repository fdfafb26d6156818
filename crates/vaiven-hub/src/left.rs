//! Channels that nobody is subscribed to any more, in the order in which they were left: the first ones make room where
//! as many channels are known as may be.

use crate::ChannelName;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Channels by their tickets. Nothing else is locked while this is, so it may be used under every other lock.
#[derive(Debug, Default)]
pub(crate) struct Left(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    names: BTreeMap<u64, ChannelName>,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

impl Left {
    /// Lets a channel queue up.
    pub(crate) fn push(&self, name: &ChannelName) -> Ticket {
        let mut queue = self.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.names.insert(ticket, name.clone());
        Ticket(ticket)
    }

    /// Takes a channel out, which is in use again or forgotten.
    pub(crate) fn remove(&self, ticket: Ticket) {
        self.lock().names.remove(&ticket.0);
    }

    /// Those that were left first.
    pub(crate) fn first(&self, count: usize) -> Vec<ChannelName> {
        self.lock().names.values().take(count).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
