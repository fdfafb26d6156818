//! How tests make heads, and the ways in which bytes may come.

/// A head of this first line and these fields.
pub(crate) fn head(line: &str, fields: &[(&str, &str)]) -> String {
    let mut text = format!("{line}\r\n");
    for (name, value) in fields {
        text.extend([*name, ": ", *value, "\r\n"]);
    }
    text + "\r\n"
}

/// The outcome of `read`, which gets lengths of pieces, and must be the same whole, byte by byte, and at seeded
/// splits.
#[track_caller]
pub(crate) fn whole_and_split<T: PartialEq + std::fmt::Debug>(
    input: &[u8],
    read: impl Fn(&[u8], &mut dyn Iterator<Item = usize>) -> T,
) -> T {
    let whole = read(input, &mut std::iter::once(input.len()));
    assert_eq!(read(input, &mut std::iter::repeat(1)), whole, "byte by byte: {}", input.escape_ascii());
    for seed in 1..=20 {
        let mut random = Random(seed);
        let mut pieces = std::iter::repeat_with(|| 1 + random.below(97));
        assert_eq!(read(input, &mut pieces), whole, "seed {seed}: {}", input.escape_ascii());
    }
    whole
}

/// A linear congruential generator: the same numbers for the same seed everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// The bytes with up to four of them changed, doubled or left out.
    pub(crate) fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        const LIKELY: &[u8] = b"\r\n\t :;,=\"\0\xff13";
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] = LIKELY[self.below(LIKELY.len())],
                1 => bytes.insert(at, LIKELY[self.below(LIKELY.len())]),
                2 => {
                    let end = (at + 1 + self.below(40)).min(bytes.len());
                    let doubled = bytes[at..end].to_vec();
                    bytes.splice(at..at, doubled);
                }
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    }
}
