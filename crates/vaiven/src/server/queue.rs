//! Places behind each other in time, for clients that are turned away at a rate and told when to come back. It knows
//! no client and no clock.

use super::admission::Rate;
use tokio::time::Instant;

/// A queue in which nobody stands: what is kept is the moment of the last place that was given out.
///
/// Random times would send more clients to some seconds than the rate lets in, and nobody to others, so that many are
/// turned away again and the last come much later than the rate asks for. Places are as far apart as the rate lets
/// clients in. They are nobody's own: who comes without one takes the place of another, who is given a later one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    last: Instant,
}

impl Queue {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// Gives out the next place, as the whole seconds until then, from one on; `None` where that is longer than
    /// `longest`, or where the rate lets nobody in. What is asked for in vain takes no place.
    pub(super) fn take(&mut self, rate: Rate, now: Instant, longest: u32) -> Option<u32> {
        let place = self.last.max(now).checked_add(rate.interval())?;
        let wait = place - now;
        // `Retry-After` has whole seconds. Those who are told the same one may come together: the bucket has filled
        // again by then.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds.max(1)).ok().filter(|seconds| *seconds <= longest)?;
        self.last = place;
        Some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn places(queue: &mut Queue, rate: Rate, now: Instant, longest: u32) -> Vec<u32> {
        std::iter::from_fn(|| queue.take(rate, now, longest)).collect()
    }

    #[test]
    fn each_second_has_as_many_places_as_the_rate_lets_in_and_the_last_second_is_the_longest() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let taken = places(&mut queue, Rate::new(1_000, 1_000), now, 10);
        assert_eq!(taken.len(), 10_000);
        for second in 1..=10 {
            assert_eq!(taken.iter().filter(|taken| **taken == second).count(), 1_000, "{second}");
        }
        assert!(taken.is_sorted());
    }

    #[test]
    fn time_that_passes_frees_places_and_a_queue_that_is_over_begins_anew() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let rate = Rate::new(2, 2);
        assert_eq!(places(&mut queue, rate, now, 2), [1, 1, 2, 2]);
        assert_eq!(places(&mut queue, rate, now + Duration::from_millis(499), 2), []);
        assert_eq!(places(&mut queue, rate, now + Duration::from_millis(500), 2), [2]);
        assert_eq!(places(&mut queue, rate, now + Duration::from_mins(1), 1), [1, 1]);
    }

    #[test]
    fn a_rate_of_zero_has_no_places_and_one_without_end_has_them_in_a_second() {
        let now = Instant::now();
        assert_eq!(Queue::new(now).take(Rate::new(0, 0), now, u32::MAX), None);
        assert_eq!(Queue::new(now).take(Rate::new(u32::MAX, u32::MAX), now, 1), Some(1));
        assert_eq!(Queue::new(now).take(Rate::new(1, 1), now, 0), None);
    }
}
