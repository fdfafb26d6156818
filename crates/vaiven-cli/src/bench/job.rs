//! What the workers and the one who waits for them share while a run is on.

use super::options::Plan;
use super::schedule::Window;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};
use tokio::sync::SetOnce;

/// A run under way. The counters are for showing it, and for listeners of a room.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: Plan,
    /// When the first connection was begun.
    pub(super) began: Instant,
    /// Known when all are ready. It stands here, and is not sent to each, so that a worker that hears of it late can
    /// already tell what its connections get.
    pub(super) timing: SetOnce<Timing>,
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

/// When the run starts, and its measured part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) start: Instant,
    pub(super) window: Window,
}

impl Timing {
    /// That of a plan which starts then.
    pub(super) fn new(start: Instant, plan: &Plan) -> Self {
        let from = nanos(plan.warm_up);
        Self { start, window: Window { from, to: from.saturating_add(nanos(plan.duration)) } }
    }
}

impl Job {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            began: Instant::now(),
            timing: SetOnce::new(),
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
    nanos(to.saturating_duration_since(from))
}

/// Nanoseconds, as many as are counted.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
