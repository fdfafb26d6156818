//! How fast a client may send: a bucket of tokens that fills steadily.

use std::time::Instant;

/// Messages per second, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What a client may still send.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.burst), filled_at: now }
    }

    /// Adds what time brought. Once per wake-up is enough: within one hardly any time passes.
    pub(crate) fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let filled = elapsed.mul_add(f64::from(self.rate.per_second), self.tokens);
        self.tokens = filled.min(f64::from(self.rate.burst));
        self.filled_at = now;
    }

    /// Takes a token for a message; `false` where there is none.
    #[inline]
    pub(crate) fn take(&mut self) -> bool {
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn takes(bucket: &mut Bucket) -> usize {
        std::iter::from_fn(|| bucket.take().then_some(())).count()
    }

    #[test]
    fn a_burst_is_taken_and_then_the_steady_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { per_second: 100, burst: 200 }, start);
        assert_eq!(takes(&mut bucket), 200);
        bucket.refill(start + Duration::from_millis(9));
        assert_eq!(takes(&mut bucket), 0);
        bucket.refill(start + Duration::from_millis(1009));
        assert_eq!(takes(&mut bucket), 100);
    }

    #[test]
    fn silence_saves_up_no_more_than_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { per_second: 100, burst: 200 }, start);
        assert!(bucket.take());
        bucket.refill(start + Duration::from_hours(1));
        assert_eq!(takes(&mut bucket), 200);
        // A clock that seems to go back takes nothing away.
        bucket.refill(start);
        assert_eq!(takes(&mut bucket), 0);
    }
}
