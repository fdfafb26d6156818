//! Who is there: joins and leaves -> changes that are told a few times a second.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Members of a channel that are told and listed one by one; of more there is only the count.
const MAX_LISTED: usize = 200;

/// One who is in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name under which others know the client.
    pub client: Arc<str>,
    /// The user, if the client has shown to be one.
    pub user: Option<Arc<str>>,
    /// What others may know about it: one valid JSON value.
    pub info: Option<Bytes>,
}

/// Who is in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// How many clients.
    pub count: usize,
    /// Which ones; nobody where there are more than 200.
    pub members: Vec<Member>,
}

/// Who came and left since the last change was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceChange {
    /// How many clients are there now.
    pub count: usize,
    /// Who came; nobody where there are more than 200.
    pub joined: Vec<Member>,
    /// Who left; nobody where there are more than 200.
    pub left: Vec<Member>,
}

/// Members, and what has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    members: HashMap<Arc<str>, Seat>,
    joined: HashMap<Arc<str>, Member>,
    left: HashMap<Arc<str>, Member>,
    /// How many of the members have lost their connection.
    leaving: usize,
    /// Something changed that the lists do not say.
    changed: bool,
}

#[derive(Debug)]
struct Seat {
    member: Member,
    /// Subscriptions of the same client.
    subscriptions: usize,
    /// When it has left, if it does not come back.
    leaves_at: Option<Instant>,
}

impl Roster {
    pub(crate) fn join(&mut self, member: Member) {
        if let Some(seat) = self.members.get_mut(&member.client) {
            seat.subscriptions += 1;
            if seat.leaves_at.take().is_some() {
                self.leaving -= 1;
            }
            seat.member = member;
            return;
        }
        let client = Arc::clone(&member.client);
        self.changed = true;
        // Who left and came back between two tellings has not been away.
        if self.left.remove(&client).is_none() && self.members.len() < MAX_LISTED {
            self.joined.insert(Arc::clone(&client), member.clone());
        }
        self.members.insert(client, Seat { member, subscriptions: 1, leaves_at: None });
    }

    /// One subscription of the client has ended; after the last one it leaves when `grace` is over.
    pub(crate) fn leave(&mut self, client: &Arc<str>, grace: Duration) {
        let Some(seat) = self.members.get_mut(client) else { return };
        seat.subscriptions -= 1;
        if seat.subscriptions > 0 {
            return;
        }
        if grace.is_zero() {
            self.depart(client);
        } else {
            seat.leaves_at = Some(Instant::now() + grace);
            self.leaving += 1;
        }
    }

    fn depart(&mut self, client: &Arc<str>) {
        let Some(seat) = self.members.remove(client) else { return };
        if seat.leaves_at.is_some() {
            self.leaving -= 1;
        }
        self.changed = true;
        if self.joined.remove(client).is_none() && self.members.len() < MAX_LISTED {
            self.left.insert(Arc::clone(client), seat.member);
        }
    }

    /// Lets those leave whose time is over, and gives what has changed since it was asked last.
    pub(crate) fn take_change(&mut self) -> Option<PresenceChange> {
        if self.leaving > 0 {
            let now = Instant::now();
            let is_over = |seat: &Seat| seat.leaves_at.is_some_and(|at| at <= now);
            let over: Vec<_> = self
                .members
                .iter()
                .filter(|(_, seat)| is_over(seat))
                .map(|(client, _)| Arc::clone(client))
                .collect();
            for client in &over {
                self.depart(client);
            }
        }
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let (joined, left) = (std::mem::take(&mut self.joined), std::mem::take(&mut self.left));
        let count = self.members.len();
        if count > MAX_LISTED {
            return Some(PresenceChange { count, ..PresenceChange::default() });
        }
        Some(PresenceChange {
            count,
            joined: joined.into_values().collect(),
            left: left.into_values().collect(),
        })
    }

    /// Whether there is something to tell, now or when a time is over.
    pub(crate) fn is_due(&self) -> bool {
        self.changed || self.leaving > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn presence(&self) -> Presence {
        let count = self.members.len();
        let listed = if count > MAX_LISTED { 0 } else { count };
        Presence {
            count,
            members: self.members.values().take(listed).map(|seat| seat.member.clone()).collect(),
        }
    }
}
