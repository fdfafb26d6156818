//! Histograms of times, which processes pass on to each other.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Times in microseconds, up to an hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(super) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are right"))
    }
}

/// Values and how often they were noted.
impl From<Vec<(u64, u64)>> for Times {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut times = Self::default();
        for (value, count) in counts {
            times.0.saturating_record_n(value, count);
        }
        times
    }
}

impl From<Times> for Vec<(u64, u64)> {
    fn from(times: Times) -> Self {
        times.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl Times {
    pub(super) fn note(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this part, in percent, does not exceed; in milliseconds.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds is exact")]
        let micros = self.0.value_at_percentile(percent) as f64;
        micros / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_passed_on_whole() {
        let mut times = Times::default();
        for millis in 1..=100 {
            times.note(Duration::from_millis(millis));
        }
        let text = serde_json::to_string(&times).unwrap();
        let mut other: Times = serde_json::from_str(&text).unwrap();
        other.add(&times);
        assert_eq!(other.count(), 200);
        assert!((49.0..51.0).contains(&other.percentile(50.0)), "{}", other.percentile(50.0));
    }
}
