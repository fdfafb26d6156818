//! A timeout to the moment at which it is over.

use std::time::Duration;
use tokio::time::Instant;

/// Timeouts count as this at most: clocks and timers cannot count much further, and no process lives longer.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// The moment at which a timeout that begins now is over. One that is too long for the clock never is.
pub(crate) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(NEVER)
}
