//! When messages are due, and whose turn it is: arithmetic on whole nanoseconds, so that no error adds up.
//!
//! All messages of a run are numbered in the order in which they are due. A connection sends every `total`th of them;
//! a worker has some neighbouring connections, and so a few numbers out of each round.

use std::num::NonZeroU64;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A steady rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    per_second: NonZeroU64,
}

impl Schedule {
    pub(super) fn new(per_second: NonZeroU64) -> Self {
        Self { per_second }
    }

    pub(super) fn per_second(self) -> u64 {
        self.per_second.get()
    }

    /// When this number is due, in nanoseconds since the start.
    pub(super) fn due(self, number: u64) -> u64 {
        let nanos = u128::from(number) * NANOS_PER_SECOND / u128::from(self.per_second.get());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// The connections of one worker among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The first of them.
    pub(super) first: u64,
    /// How many they are.
    pub(super) count: u64,
    /// How many there are with all workers.
    pub(super) total: u64,
}

impl Share {
    /// The connection, counted within the share, that has this turn, and the number of its message.
    pub(super) fn turn(self, turn: u64) -> (u64, u64) {
        let (round, connection) = (turn / self.count, turn % self.count);
        (connection, round * self.total + self.first + connection)
    }
}

/// The measured part of a run, in nanoseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Window {
    pub(super) fn contains(self, nanos: u64) -> bool {
        (self.from..self.to).contains(&nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(per_second: u64) -> Schedule {
        Schedule::new(NonZeroU64::new(per_second).expect("it is above zero"))
    }

    #[test]
    fn no_error_adds_up() {
        assert_eq!(schedule(3).due(0), 0);
        assert_eq!(schedule(3).due(1), 333_333_333);
        assert_eq!(schedule(3).due(3), 1_000_000_000);
        let day = 24 * 3600;
        assert_eq!(schedule(7).due(7 * day), day * 1_000_000_000);
        assert_eq!(schedule(1_000_003).due(1_000_003 * day), day * 1_000_000_000);
        assert_eq!(schedule(1).due(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_rate_above_the_clock_is_still_in_order() {
        let fast = schedule(4_000_000_000);
        assert!((0..100).all(|number| fast.due(number) <= fast.due(number + 1)));
        assert_eq!(fast.due(4_000_000_000), 1_000_000_000);
    }

    #[test]
    fn all_workers_together_send_each_number_once() {
        let shares = [(0, 3), (3, 1), (4, 2)].map(|(first, count)| Share { first, count, total: 6 });
        let mut numbers: Vec<u64> =
            shares.iter().flat_map(|share| (0..share.count * 10).map(|turn| share.turn(turn).1)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn a_share_sends_in_the_order_of_the_numbers() {
        let share = Share { first: 3, count: 2, total: 6 };
        let turns: Vec<_> = (0..4).map(|turn| share.turn(turn)).collect();
        assert_eq!(turns, [(0, 3), (1, 4), (0, 9), (1, 10)]);
    }

    #[test]
    fn a_window_has_its_beginning_and_not_its_end() {
        let window = Window { from: 10, to: 20 };
        assert_eq!([9, 10, 19, 20].map(|at| window.contains(at)), [false, true, true, false]);
        assert!(!Window { from: 10, to: 5 }.contains(7));
    }
}
