//! How often something is logged that strangers can cause.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines about refused pages, by origin or host, in a window.
const PAGE_LINES: u32 = 30;
/// Lines about each cap in a window: one says it all.
const CAP_LINES: u32 = 1;
/// The window.
const WINDOW: Duration = Duration::from_mins(1);

/// The caps and rates of which a refusal can come, by its code, and the setting that lets more in.
const CAPS: [(&str, &str); 7] = [
    ("connection_cap", "max_connections, or how many files the process may open"),
    ("connections_per_ip", "max_connections_per_ip"),
    ("handshake_rate_total", "handshake_rate"),
    ("handshake_rate", "handshake_rate_per_ip or handshake_burst_per_ip"),
    ("room_cap", "max_rooms"),
    ("member_cap", "max_room_members"),
    ("memory", "max_memory_bytes"),
];

/// Holds back lines about refusals.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    pages: Throttle,
    caps: [Throttle; CAPS.len()],
}

impl RefusalLog {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            pages: Throttle::new(PAGE_LINES, now),
            caps: std::array::from_fn(|_| Throttle::new(CAP_LINES, now)),
        }
    }

    /// Judges a line about a refused origin or host.
    pub(crate) fn judge_page(&self, now: Instant) -> Verdict {
        self.pages.judge(now)
    }

    /// Judges a line about a refusal, where a cap or a rate is its reason; and says what to raise.
    pub(crate) fn judge_cap(&self, code: &str, now: Instant) -> Option<(Verdict, &'static str)> {
        let index = CAPS.iter().position(|(cap, _)| *cap == code)?;
        Some((self.caps[index].judge(now), CAPS[index].1))
    }
}

/// Counts the lines of the current window.
#[derive(Debug)]
struct Throttle {
    lines: u32,
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
    fn new(lines: u32, now: Instant) -> Self {
        Self { lines, window: Mutex::new((now, 0)) }
    }

    /// Judges one more line.
    fn judge(&self, now: Instant) -> Verdict {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, lines) = &mut *window;
        if now.saturating_duration_since(*begin) >= WINDOW {
            (*begin, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        match (*lines).cmp(&self.lines) {
            Ordering::Less => Verdict::Log,
            Ordering::Equal => Verdict::LogLast,
            Ordering::Greater => Verdict::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: u32) {
        let start = Instant::now();
        let throttle = Throttle::new(lines, start);
        for window in 0..3 {
            let now = start + WINDOW * window;
            for _ in 1..lines {
                assert_eq!(throttle.judge(now), Verdict::Log);
            }
            assert_eq!(throttle.judge(now), Verdict::LogLast);
            assert_eq!(throttle.judge(now + WINDOW / 2), Verdict::Leave);
        }
    }

    #[test]
    fn a_flood_is_cut_and_the_next_window_begins_afresh() {
        check(PAGE_LINES);
        check(CAP_LINES);
    }
}
