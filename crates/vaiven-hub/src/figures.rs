//! What a hub counts.

use crate::{PublishError, Published};
use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of a hub, for metrics. All but the first four only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Channels that are known.
    pub channels: u64,
    /// Subscriptions.
    pub subscribers: u64,
    /// Members of all channels that know who is there.
    pub members: u64,
    /// Bytes of recent publications and their encoded forms.
    pub recent_bytes: u64,
    /// Publications that were accepted and, where they are kept, acknowledged to one who awaited it.
    pub publications: u64,
    /// Publications that had been published before under the same idempotency key.
    pub duplicates: u64,
    /// Publications that were refused because the store or the broker could not keep them.
    pub unavailable: u64,
    /// Publications that were refused because too much waited already.
    pub busy: u64,
    /// Messages that outlets took.
    pub deliveries: u64,
    /// Bytes of those messages' frames.
    pub delivered_bytes: u64,
    /// Subscribers that were ended because they read too slowly.
    pub slow_consumers: u64,
    /// Publications that were replayed to who came back.
    pub replayed: u64,
    /// Subscribers that came back and got everything.
    pub recovered: u64,
    /// Subscribers that came back to a history that was interrupted, or did not reach back so far.
    pub unrecoverable: u64,
    /// Parts of histories that were read from the broker.
    pub history_reads: u64,
    /// Publications that were written by a wire.
    pub encoded: u64,
    /// Channels that went on in another epoch while they had subscribers.
    pub epoch_changes: u64,
    /// Turns that a fault ended.
    pub faults: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The same, while it is being counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn figures(&self) -> Figures {
                Figures { $($name: self.$name.value(),)* }
            }
        }
    };
}

counters!(
    channels,
    subscribers,
    members,
    recent_bytes,
    publications,
    duplicates,
    unavailable,
    busy,
    deliveries,
    delivered_bytes,
    slow_consumers,
    replayed,
    recovered,
    unrecoverable,
    history_reads,
    encoded,
    epoch_changes,
    faults,
);

impl Counters {
    pub(crate) fn count_outcome(&self, outcome: &Result<Published, PublishError>) {
        match outcome {
            Ok(Published { duplicate: false, .. }) => self.publications.add(1),
            Ok(Published { duplicate: true, .. }) => self.duplicates.add(1),
            Err(PublishError::Unavailable) => self.unavailable.add(1),
            Err(PublishError::Busy) => self.busy.add(1),
            Err(_) => {}
        }
    }
}

/// One figure.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds one if there are fewer than `max`.
    pub(crate) fn add_below(&self, max: u64) -> bool {
        let add = |count| (count < max).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}
