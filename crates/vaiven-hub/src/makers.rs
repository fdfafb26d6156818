//! How many channels each maker may make: makers and times to a verdict.
//!
//! A channel is made when something is published to it that is kept, and nothing was before. It takes room that only
//! time frees again, so that one who makes them without end would use up the room of all.

use crate::ChannelName;
use crate::clock::as_ms;
use std::collections::HashMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Rows of the table below which it is not looked through for those that are over.
const MIN_SWEEP: usize = 1_024;

/// Whose channels count together: a user, say, or an address. Equal texts are the same maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker(u64);

impl Maker {
    /// The maker of this name.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        // Two names that come together share a bound; that is all that whoever finds them gets.
        Self(xxh3_64_with_seed(name.as_ref(), 0))
    }
}

/// Token buckets of the makers in each namespace, kept as the time at which each is full again. A row is there for as
/// long as a channel that its maker made may be.
#[derive(Debug)]
pub(crate) struct Makers {
    full_at_ms: HashMap<(u64, u64), u64>,
    max: u64,
    sweep_at: usize,
}

impl Makers {
    pub(crate) fn new(max: usize) -> Self {
        Self { full_at_ms: HashMap::new(), max: max as u64, sweep_at: MIN_SWEEP }
    }

    /// Counts a channel that is about to be made and keeps what is published for `age`. `false` where the maker has made
    /// as many as it may in that time.
    pub(crate) fn take(&mut self, maker: Maker, channel: &ChannelName, age: Duration, now_ms: u64) -> bool {
        let namespace = xxh3_64_with_seed(channel.namespace().as_bytes(), 0);
        let age = as_ms(age).max(1);
        // Fractions of a millisecond would be lost where there are more channels than milliseconds.
        let Some(interval) = age.checked_div(self.max).map(|interval| interval.max(1)) else { return false };
        let row = (maker.0, namespace);
        let full_at = self.full_at_ms.get(&row).copied().unwrap_or(0).max(now_ms);
        if full_at - now_ms > interval.saturating_mul(self.max - 1) {
            return false;
        }
        if self.full_at_ms.len() >= self.sweep_at {
            self.full_at_ms.retain(|_, full_at| *full_at > now_ms);
            self.sweep_at = (self.full_at_ms.len() * 2).max(MIN_SWEEP);
        }
        self.full_at_ms.insert(row, full_at.saturating_add(interval));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn name(name: &str) -> ChannelName {
        ChannelName::parse(name).expect("it is a name")
    }

    #[test]
    fn a_maker_may_make_so_many_and_as_many_again_in_the_time_that_they_are_kept() {
        for max in [1, 2, 10] {
            let mut makers = Makers::new(max);
            let (ana, sala) = (Maker::new("ana"), name("sala"));
            let made =
                |makers: &mut Makers, now| (0..100).filter(|_| makers.take(ana, &sala, HOUR, now)).count();
            assert_eq!(made(&mut makers, 0), max);
            let interval = 3_600_000 / max as u64;
            assert_eq!(made(&mut makers, interval - 1), 0);
            assert_eq!(made(&mut makers, interval), 1);
            assert_eq!(made(&mut makers, 10 * 3_600_000), max);
        }
    }

    #[test]
    fn makers_and_namespaces_count_apart_and_zero_lets_nobody_make_any() {
        let mut makers = Makers::new(1);
        assert!(makers.take(Maker::new("ana"), &name("sala"), HOUR, 0));
        assert!(!makers.take(Maker::new("ana"), &name("otra"), HOUR, 0));
        assert!(makers.take(Maker::new("eva"), &name("sala"), HOUR, 0));
        assert!(makers.take(Maker::new("ana"), &name("live:sala"), HOUR, 0));
        assert!(!Makers::new(0).take(Maker::new("ana"), &name("sala"), HOUR, 0));
    }

    #[test]
    fn rows_go_when_what_was_made_is_no_longer_kept() {
        let mut makers = Makers::new(10);
        for number in 0..100_000_u64 {
            // A hundred makers a second, whose channels are kept for ten.
            assert!(makers.take(
                Maker::new(number.to_le_bytes()),
                &name("sala"),
                10 * Duration::from_secs(1),
                number * 10
            ));
        }
        assert!(makers.full_at_ms.len() <= 2 * MIN_SWEEP, "{}", makers.full_at_ms.len());
    }
}
