//! How fast messages may leave: a token bucket that is smaller than the server's. A client that comes back with a full
//! queue would pass the server's limit otherwise, be closed with 1008, and come back with the same queue.

use std::time::{Duration, Instant};

/// Messages that left evenly may arrive in a bunch: half of the server's bucket is kept for that.
const SHARE_OF_BURST: f64 = 0.5;
/// The server's clock and ours need not agree to the last second.
const SHARE_OF_RATE: f64 = 0.9;

/// A token bucket; without a limit nothing is held back.
#[derive(Debug, Default)]
pub(crate) struct Pacer(Option<Bucket>);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Pacer {
    /// A new connection to a server that takes so many messages per second, and at once.
    pub(crate) fn begin(now: Instant, rate: Option<f64>, burst: Option<f64>) -> Self {
        Self(rate.filter(|rate| *rate > 0.0).map(|rate| {
            let burst = (burst.unwrap_or(rate) * SHARE_OF_BURST).max(1.0);
            Bucket { per_second: rate * SHARE_OF_RATE, burst, tokens: burst, at: now }
        }))
    }

    /// When the next message may leave, if that is not now.
    pub(crate) fn held_until(&mut self, now: Instant) -> Option<Instant> {
        let bucket = self.0.as_mut()?;
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * bucket.per_second).min(bucket.burst);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            return None;
        }
        let missing = Duration::try_from_secs_f64((1.0 - bucket.tokens) / bucket.per_second);
        // A millisecond more than it takes, so that no rounding makes the wake-up one for nothing.
        Some(now + missing.unwrap_or(Duration::from_secs(1)) + Duration::from_millis(1))
    }

    /// A message has left.
    pub(crate) fn take(&mut self) {
        if let Some(bucket) = &mut self.0 {
            bucket.tokens -= 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_burst_leaves_at_once_and_the_rest_at_nine_tenths_of_the_rate() {
        let start = Instant::now();
        let mut pacer = Pacer::begin(start, Some(100.0), Some(200.0));
        let (mut now, mut sent) = (start, 0);
        while now < start + Duration::from_secs(10) {
            match pacer.held_until(now) {
                None => {
                    pacer.take();
                    sent += 1;
                }
                Some(until) => {
                    assert!(until > now);
                    if sent == 100 {
                        assert_eq!(now, start, "the first hundred leave at once");
                    }
                    now = until;
                }
            }
        }
        assert!((900..=1_002).contains(&sent), "{sent}");
    }

    #[test]
    fn without_a_limit_nothing_is_held_back() {
        let now = Instant::now();
        for mut pacer in
            [Pacer::default(), Pacer::begin(now, None, Some(1.0)), Pacer::begin(now, Some(0.0), None)]
        {
            for _ in 0..1_000 {
                assert_eq!(pacer.held_until(now), None);
                pacer.take();
            }
        }
    }
}
