//! How often something is logged that strangers can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines in a window.
const LINES: u32 = 30;
/// The window.
const WINDOW: Duration = Duration::from_mins(1);

/// Counts the lines of the current window.
#[derive(Debug)]
pub(crate) struct Throttle {
    window: Mutex<(Instant, u32)>,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Log,
    /// Log it, and say that it is the last for a while.
    LogLast,
    Leave,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self { window: Mutex::new((now, 0)) }
    }

    /// Judges one more line.
    pub(crate) fn judge(&self, now: Instant) -> Verdict {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, lines) = &mut *window;
        if now.saturating_duration_since(*begin) >= WINDOW {
            (*begin, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        match *lines {
            ..LINES => Verdict::Log,
            LINES => Verdict::LogLast,
            _ => Verdict::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_the_next_window_begins_afresh() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        for window in 0..3 {
            let now = start + WINDOW * window;
            for _ in 1..LINES {
                assert_eq!(throttle.judge(now), Verdict::Log);
            }
            assert_eq!(throttle.judge(now), Verdict::LogLast);
            assert_eq!(throttle.judge(now + WINDOW / 2), Verdict::Leave);
        }
    }
}
