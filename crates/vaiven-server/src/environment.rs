//! What a server has around it and does not decide by itself: where publications are kept, what time it is by the wall
//! clock, and chance. A simulation brings its own, so that all that follows, follows from its seed.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use vaiven_hub::Broker;

/// What a simulation puts in the place of the store of the settings, the wall clock and the system's random numbers.
///
/// Beside it tokio's time is to be paused, and each run to have a thread and a runtime of its own.
#[derive(Clone, Debug)]
pub struct Environment {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: WallClock,
    pub(crate) seed: u64,
}

impl Environment {
    /// This broker; a wall clock that shows `now`, as time since 1970, and goes on with tokio's time; and chance that
    /// follows from `seed`.
    pub fn new(broker: Arc<dyn Broker>, now: Duration, seed: u64) -> Self {
        Self { broker, clock: WallClock(Some((now, Instant::now()))), seed }
    }
}

/// The time since 1970: the system's, or what it was at a moment and what has passed since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallClock(Option<(Duration, Instant)>);

impl WallClock {
    pub(crate) fn now(self) -> Duration {
        match self.0 {
            Some((then, since)) => then.saturating_add(since.elapsed()),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

/// Where times come from that are to be other ones for each client: the system's random numbers, or a seed.
#[derive(Debug, Default)]
pub(crate) struct Chance(Option<Mutex<SmallRng>>);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Some(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    /// A number from 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        match &self.0 {
            Some(random) => random.lock().unwrap_or_else(PoisonError::into_inner).random(),
            None => rand::random(),
        }
    }

    /// A time to wait of about this length, so that not all come back at once.
    pub(crate) fn about(&self, length: Duration) -> Duration {
        length.mul_f64(0.5 + self.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_of_a_simulation_goes_on_with_virtual_time() {
        let clock = WallClock(Some((Duration::from_secs(100), Instant::now())));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(clock.now(), Duration::from_secs(107));
    }

    #[test]
    fn a_seed_gives_the_same_times_again() {
        let row = |chance: &Chance| [(); 8].map(|()| chance.about(Duration::from_secs(1)));
        let first = row(&Chance::seeded(1));
        assert_eq!(first, row(&Chance::seeded(1)));
        assert_ne!(first, row(&Chance::seeded(2)));
        let bounds = Duration::from_millis(500)..=Duration::from_millis(1500);
        assert!(first.iter().chain(&row(&Chance::default())).all(|time| bounds.contains(time)));
    }
}
