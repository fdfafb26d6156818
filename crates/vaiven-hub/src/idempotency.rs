//! Idempotency keys in memory: what was published under them lately.

use crate::{ChannelName, IdempotencyKey, Position, PublishError, Published};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

type Id = (ChannelName, IdempotencyKey);

/// What was published under which key, for the length of a window.
#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    known: HashMap<Id, Known>,
    /// In the order in which they came.
    order: VecDeque<(Instant, Id)>,
}

#[derive(Debug)]
struct Known {
    fingerprint: u64,
    position: Option<Position>,
}

impl Idempotency {
    /// The answer, if something was published under the key.
    pub(crate) fn find(
        &mut self,
        channel: &ChannelName,
        key: &IdempotencyKey,
        fingerprint: u64,
        window: Duration,
    ) -> Option<Result<Published, PublishError>> {
        self.forget(window);
        let known = self.known.get(&(channel.clone(), key.clone()))?;
        Some(if known.fingerprint == fingerprint {
            Ok(Published { position: known.position.clone(), duplicate: true })
        } else {
            Err(PublishError::Conflict)
        })
    }

    /// Knows the key for a window. Of more than `max` the oldest are forgotten early.
    pub(crate) fn insert(
        &mut self,
        channel: &ChannelName,
        key: IdempotencyKey,
        fingerprint: u64,
        position: Option<Position>,
        max: usize,
    ) {
        let id = (channel.clone(), key);
        self.order.push_back((Instant::now(), id.clone()));
        self.known.insert(id, Known { fingerprint, position });
        while self.known.len() > max {
            self.forget_oldest();
        }
    }

    fn forget(&mut self, window: Duration) {
        while self.order.front().is_some_and(|(since, _)| since.elapsed() >= window) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.known.remove(&id);
        }
    }
}
