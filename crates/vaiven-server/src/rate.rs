//! How fast a client may send: a bucket of tokens that fills steadily.

use std::time::Duration;
use tokio::time::Instant;

/// The longest time that a bucket makes up for beyond its burst, however often its client was held back.
const MAX_HELD: Duration = Duration::from_mins(1);

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
        // What was credited for being held back stays: the messages of that time may still be on their way.
        self.tokens = filled.min(f64::from(self.rate.burst).max(self.tokens));
        self.filled_at = self.filled_at.max(now);
    }

    /// Adds what the time brought in which nothing was read, since the server itself could not go on. What the client
    /// sent meanwhile arrives all at once, so the burst is no limit to it.
    pub(crate) fn credit(&mut self, since: Instant, now: Instant) {
        self.refill(since);
        let held = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let per_second = f64::from(self.rate.per_second);
        let most = MAX_HELD.as_secs_f64().mul_add(per_second, f64::from(self.rate.burst));
        self.tokens = held.mul_add(per_second, self.tokens).min(most);
        self.filled_at = self.filled_at.max(now);
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

    #[test]
    fn time_held_back_counts_once_and_beyond_the_burst() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut bucket = Bucket::new(Rate { per_second: 100, burst: 10 }, start);
        assert_eq!(takes(&mut bucket), 10);
        bucket.credit(start + second, start + 3 * second);
        // One second of silence fills the burst; two were held back.
        bucket.refill(start + 3 * second);
        assert_eq!(takes(&mut bucket), 210);
        bucket.credit(start + second, start + 3 * second);
        assert_eq!(takes(&mut bucket), 0);
    }

    #[test]
    fn what_is_made_up_for_has_a_limit() {
        for (held, tokens) in [(59, 5900), (60, 6000), (61, 6010), (62, 6010), (3600, 6010)] {
            let start = Instant::now();
            let mut bucket = Bucket::new(Rate { per_second: 100, burst: 10 }, start);
            assert_eq!(takes(&mut bucket), 10);
            bucket.credit(start, start + Duration::from_secs(held));
            assert_eq!(takes(&mut bucket), tokens, "{held} s");
        }
    }
}
