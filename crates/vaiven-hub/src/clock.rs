//! Time that never goes back.
//!
//! Ages are measured by the monotonic clock. What is stored is wall-clock time as it was at the start plus what has
//! passed since, so that a clock that is set an hour back or forth neither drops history nor reorders it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Milliseconds since 1970, steady within a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_ms: u64,
}

impl Clock {
    /// Begins at the wall clock's time, but not before `not_before`: the newest time that was stored.
    pub(crate) fn starting(not_before: u64) -> Self {
        Self { started: Instant::now(), started_ms: wall_ms().max(not_before) }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.started_ms.saturating_add(as_ms(self.started.elapsed()))
    }
}

/// What the wall clock says.
pub(crate) fn wall_ms() -> u64 {
    as_ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
