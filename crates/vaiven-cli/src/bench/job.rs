//! What the workers and the one who waits for them share while a run is on.

use super::options::Plan;
use super::schedule::{Share, Window};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

/// A run under way. The counters are for showing it, and for listeners of a room.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: Plan,
    /// When the first connection was begun.
    pub(super) began: Instant,
    /// End as soon as possible.
    pub(super) stopped: AtomicBool,
    /// Connections opened, and those that failed.
    pub(super) opened: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Messages that arrived.
    pub(super) arrived: AtomicU64,
    /// Messages that the publisher of a room has sent, and whether it sends no more.
    pub(super) published: AtomicU64,
    pub(super) is_published: AtomicBool,
}

/// The word to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Go {
    pub(super) start: Instant,
    pub(super) share: Share,
    pub(super) window: Window,
}

impl Job {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            began: Instant::now(),
            stopped: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            published: AtomicU64::new(0),
            is_published: AtomicBool::new(false),
        }
    }
}

/// Nanoseconds from one moment to another, 0 where the other is earlier.
pub(super) fn nanos_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}
