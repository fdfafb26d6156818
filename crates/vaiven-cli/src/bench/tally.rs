//! What a worker has counted and timed; all workers' together are the result.

use super::fault::Faults;
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that is told apart from longer ones.
const LONGEST_NANOS: u64 = 3_600_000_000_000;

/// Times, to three digits.
#[derive(Debug)]
pub(super) struct Times {
    histogram: Histogram<u64>,
}

/// The figures that stand for all times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantiles {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) p99_9: Duration,
    pub(super) max: Duration,
}

impl Times {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NANOS, 3);
        Self { histogram: histogram.expect("the bounds are in order and the digits few") }
    }

    pub(super) fn note(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos);
    }

    fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all have the same bounds");
    }

    /// `None` where nothing was timed.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        // The histogram rounds up to the end of a bucket; nothing took longer than the longest.
        let max = self.histogram.max();
        let at = |quantile| Duration::from_nanos(self.histogram.value_at_quantile(quantile).min(max));
        (!self.histogram.is_empty()).then(|| Quantiles {
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: Duration::from_nanos(max),
        })
    }
}

/// Counts and times of a run. Where nothing else is said, of messages that are due in its measured part.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) opened: u64,
    pub(super) failed: u64,
    /// From dialling to the answer of the opening handshake.
    pub(super) connecting: Times,
    /// Messages that were to be sent.
    pub(super) due: u64,
    pub(super) sent: u64,
    /// Messages that had to come back, or to arrive.
    pub(super) awaited: u64,
    /// Those that did.
    pub(super) received: u64,
    /// Those that did with other bytes.
    pub(super) corrupt: u64,
    /// Messages that arrived in the measured part, whenever they were due.
    pub(super) arrived: u64,
    /// From the moment when a message was due to its arrival.
    pub(super) latency: Times,
    /// From the moment when a message was due to its sending, where only this program is to blame.
    pub(super) lateness: Times,
    pub(super) faults: Faults,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            opened: 0,
            failed: 0,
            connecting: Times::new(),
            due: 0,
            sent: 0,
            awaited: 0,
            received: 0,
            corrupt: 0,
            arrived: 0,
            latency: Times::new(),
            lateness: Times::new(),
            faults: Faults::default(),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.opened += other.opened;
        self.failed += other.failed;
        self.connecting.merge(&other.connecting);
        self.due += other.due;
        self.sent += other.sent;
        self.awaited += other.awaited;
        self.received += other.received;
        self.corrupt += other.corrupt;
        self.arrived += other.arrived;
        self.latency.merge(&other.latency);
        self.lateness.merge(&other.lateness);
        self.faults.merge(other.faults);
    }

    pub(super) fn lost(&self) -> u64 {
        self.awaited.saturating_sub(self.received + self.corrupt)
    }

    pub(super) fn unsent(&self) -> u64 {
        self.due.saturating_sub(self.sent)
    }

    /// Whether anything went wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.lost() == 0 && self.unsent() == 0 && self.corrupt == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let mut times = Times::new();
        assert_eq!(times.quantiles(), None);
        for micros in 1..=1000 {
            times.note(micros * 1000);
        }
        let quantiles = times.quantiles().unwrap();
        for (found, expected) in [
            (quantiles.p50, 500_000),
            (quantiles.p99, 990_000),
            (quantiles.p99_9, 999_000),
            (quantiles.max, 1_000_000),
        ] {
            let off = found.abs_diff(Duration::from_nanos(expected));
            assert!(off.as_nanos() * 1000 <= u128::from(expected), "{found:?} {expected}");
        }
        times.note(u64::MAX);
        assert!(times.quantiles().unwrap().max >= Duration::from_nanos(LONGEST_NANOS));
    }

    #[test]
    fn what_is_missing_is_lost_or_was_not_sent() {
        let mut one = Tally::new();
        (one.due, one.sent, one.awaited, one.received) = (10, 8, 8, 5);
        let mut other = Tally::new();
        (other.due, other.sent, other.awaited, other.received, other.corrupt) = (3, 3, 3, 2, 1);
        assert!(!other.is_clean());
        one.merge(other);
        assert_eq!((one.unsent(), one.lost()), (2, 3));
        assert!(Tally::new().is_clean());
    }
}
