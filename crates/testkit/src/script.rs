//! Where the decisions of a link come from: a seed, or bytes that a fuzzer chose.

/// An endless row of decisions.
#[derive(Clone, Debug)]
pub struct Script(Source);

#[derive(Clone, Debug)]
enum Source {
    Seed(u64),
    Bytes { bytes: Vec<u8>, at: usize },
}

impl Script {
    /// Decisions that follow from `seed`.
    pub fn seed(seed: u64) -> Self {
        Self(Source::Seed(seed))
    }

    /// Decisions that are these bytes; when they are used up, every decision is 255.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Source::Bytes { bytes: bytes.into(), at: 0 })
    }

    /// The next decision.
    pub fn byte(&mut self) -> u8 {
        match &mut self.0 {
            Source::Seed(state) => {
                // SplitMix64: every seed is a good one, 0 included.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed >> 56).to_be_bytes()[7]
            }
            Source::Bytes { bytes, at } => {
                let byte = bytes.get(*at).copied().unwrap_or(u8::MAX);
                *at += 1;
                byte
            }
        }
    }

    /// A number from 0 to `max`, both included. Once a script of bytes is used up it is `max`.
    pub fn up_to(&mut self, max: usize) -> usize {
        if max <= 255 {
            let byte = usize::from(self.byte());
            return if byte == 255 { max } else { byte % (max + 1) };
        }
        let bytes = [self.byte(), self.byte(), self.byte(), self.byte()];
        let number = u32::from_be_bytes(bytes);
        if number == u32::MAX { max } else { number as usize % (max + 1) }
    }

    /// A script of its own for another part of the test.
    pub fn fork(&mut self) -> Self {
        match &mut self.0 {
            Source::Seed(_) => {
                let seed = (0..8).fold(0, |seed, _| (seed << 8) | u64::from(self.byte()));
                Self::seed(seed)
            }
            Source::Bytes { bytes, at } => {
                // Every second byte of the rest, so that both parts can be steered.
                let rest = bytes.split_off((*at).min(bytes.len()));
                let (kept, forked) = rest.chunks(2).fold((vec![], vec![]), |(mut kept, mut forked), pair| {
                    kept.extend(pair.first());
                    forked.extend(pair.get(1));
                    (kept, forked)
                });
                *bytes = kept;
                *at = 0;
                Self::bytes(forked)
            }
        }
    }
}

/// Runs a test with seeds 1 to `count`, and names the seed when it fails. `TESTKIT_SEED` runs that one alone.
pub fn each_seed(count: u64, mut test: impl FnMut(u64)) {
    let one = std::env::var("TESTKIT_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in one.map_or(1..=count, |seed| seed..=seed) {
        let named = NamedWhenFailed(seed);
        test(seed);
        drop(named);
    }
}

struct NamedWhenFailed(u64);

impl Drop for NamedWhenFailed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it failed with TESTKIT_SEED={}", self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gives_its_bytes_and_then_the_friendliest_decision() {
        let mut script = Script::bytes([3, 7, 200]);
        assert_eq!((script.byte(), script.up_to(5), script.up_to(100)), (3, 1, 99));
        assert_eq!((script.byte(), script.up_to(9), script.up_to(70_000)), (255, 9, 70_000));
    }

    #[test]
    fn a_seed_gives_the_same_decisions_again_and_others_than_its_neighbour() {
        let row = |seed| {
            let mut script = Script::seed(seed);
            [(); 32].map(|()| script.byte())
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
    }
}
