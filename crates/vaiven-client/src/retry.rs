//! When to come back, and when not: the protocol's table of close codes, and full jitter.

use std::time::Duration;

/// The longest delay before the first try; it doubles with each.
const BASE: Duration = Duration::from_millis(250);
/// The longest delay however many tries there were.
const MAX: Duration = Duration::from_secs(20);
/// The longest that a server may ask to be left alone.
const MAX_RETRY: Duration = Duration::from_mins(10);
/// After a limit was passed: whoever comes back at once passes it again.
const AFTER_LIMIT: Duration = Duration::from_secs(5);

/// What follows the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Come back.
    Retry,
    /// Come back with a token other than the last.
    RetryWithNewToken,
    /// There is no point in it.
    Stop,
}

/// What a close code means for the client.
pub(crate) fn verdict(code: u16) -> Verdict {
    match code {
        1000 | 1001 | 1003 | 1007 | 1009 | 3003 => Verdict::Stop,
        3000 => Verdict::RetryWithNewToken,
        _ => Verdict::Retry,
    }
}

/// The delay before the nth try (from 1 on), `random` being a number from 0 to 1: "full jitter", anything from nothing
/// to a limit that doubles, so that clients that lost their server together do not come back together.
pub(crate) fn delay(attempt: u32, code: u16, retry: Option<Duration>, random: f64) -> Duration {
    let limit = BASE.saturating_mul(1 << (attempt - 1).min(16)).min(MAX);
    let jitter = limit.mul_f64(random);
    let least = if code == 1008 { AFTER_LIMIT } else { Duration::ZERO };
    // The server gives each client a time of its own; the jitter comes on top only where many were told the same.
    match retry {
        Some(retry) => retry.clamp(least, MAX_RETRY),
        None => jitter.max(least),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_and_ends_at_twenty_seconds() {
        let limits = [250, 500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000];
        for (attempt, limit) in (1..).zip(limits) {
            assert_eq!(delay(attempt, 1006, None, 1.0), Duration::from_millis(limit), "{attempt}");
            assert_eq!(delay(attempt, 1006, None, 0.0), Duration::ZERO, "{attempt}");
        }
        assert_eq!(delay(u32::MAX, 1006, None, 1.0), MAX);
    }

    #[test]
    fn the_server_is_obeyed_within_bounds() {
        assert_eq!(delay(1, 1012, Some(Duration::from_secs(7)), 1.0), Duration::from_secs(7));
        assert_eq!(delay(1, 1012, Some(Duration::MAX), 1.0), MAX_RETRY);
        assert_eq!(delay(1, 1008, Some(Duration::ZERO), 0.0), AFTER_LIMIT);
        assert_eq!(delay(1, 1008, None, 0.0), AFTER_LIMIT);
    }

    #[test]
    fn codes_mean_what_the_protocol_says() {
        for code in [1000, 1001, 1003, 1007, 1009, 3003] {
            assert_eq!(verdict(code), Verdict::Stop, "{code}");
        }
        for code in [1006, 1008, 1011, 1012, 1013, 3008, 4321] {
            assert_eq!(verdict(code), Verdict::Retry, "{code}");
        }
        assert_eq!(verdict(3000), Verdict::RetryWithNewToken);
    }
}
