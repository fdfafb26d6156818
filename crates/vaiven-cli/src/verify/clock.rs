//! A clock that all processes of this machine share, and that nobody sets.

use std::time::Duration;

/// The time now, from a beginning that is the same for all processes.
pub(super) fn now() -> Duration {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
    }
    #[cfg(not(unix))]
    {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap_or_default()
    }
}
