//! Chance that repeats itself: SplitMix64.

use crate::Vector;

/// The same numbers for the same seed, on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From -1 to 1.
    pub(crate) fn signed(&mut self) -> f32 {
        let bits = u16::try_from(self.next() >> 48).expect("16 bits are left");
        f32::from(bits) / f32::from(u16::MAX) * 2.0 - 1.0
    }

    /// Whether something happens that happens once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    /// A place in the circle of this radius.
    pub(crate) fn place(&mut self, radius: f32) -> Vector {
        loop {
            let place = Vector::new(self.signed(), self.signed());
            if place.length() <= 1.0 {
                return place * radius;
            }
        }
    }
}
