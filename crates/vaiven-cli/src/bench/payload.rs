//! Messages that can be told apart, and whether one that came back is the one that was sent.
//!
//! A message begins with its number, 8 bytes or 16 hexadecimal digits of it, or as many as fit; a fixed filling
//! follows.

use bytes::Bytes;
use clap::ValueEnum;
use vaiven::{Message, Text};

/// Up to this length a message is compared as a whole.
const WHOLE: usize = 4096;
/// Of longer ones every sixteenth is compared as a whole, of the others as many bytes at either end.
const SAMPLE: u64 = 16;
const END: usize = WHOLE / 2;

const PROSE: &str = "The quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. ";

/// What messages are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// ASCII prose, which compresses well
    Text,
    /// Random bytes, which do not compress
    Binary,
}

/// All messages of a run.
#[derive(Debug)]
pub(super) struct Payload {
    kind: Kind,
    /// A message whose number is 0.
    template: Vec<u8>,
    /// Bytes that the number takes.
    width: usize,
}

/// A message that may be one of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// How far its number is ahead of the expected one, wrapping around.
    pub(super) ahead: u64,
    /// All other bytes that were compared are right.
    pub(super) intact: bool,
}

impl Payload {
    pub(super) fn new(kind: Kind, size: usize) -> Self {
        let filling: Vec<u8> = match kind {
            Kind::Text => PROSE.bytes().cycle().take(size).collect(),
            Kind::Binary => noise().take(size).collect(),
        };
        let width = size.min(if kind == Kind::Text { 16 } else { 8 });
        let mut payload = Self { kind, template: filling, width };
        let Self { template, .. } = &mut payload;
        write(kind, 0, template.split_at_mut(width).0);
        payload
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn size(&self) -> usize {
        self.template.len()
    }

    /// The message of this number.
    pub(super) fn message(&self, number: u64) -> Message {
        let mut bytes = self.template.clone();
        write(self.kind, number, bytes.split_at_mut(self.width).0);
        let bytes = Bytes::from(bytes);
        match self.kind {
            Kind::Text => Message::Text(Text::try_from(bytes).expect("digits and prose are ASCII")),
            Kind::Binary => Message::Binary(bytes),
        }
    }

    /// Reads a message where that of a number is expected; `None` where it cannot be one of this run.
    pub(super) fn read(&self, message: &Message, expected: u64) -> Option<Reading> {
        let bytes = message.as_bytes();
        if message.is_text() != (self.kind == Kind::Text) || bytes.len() != self.size() {
            return None;
        }
        let (number, filling) = bytes.split_at(self.width);
        let number = read(self.kind, number)?;
        let bits = u32::try_from(self.width).expect("it is 16 at most") * self.kind.bits();
        let mask = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
        let ahead = number.wrapping_sub(expected) & mask;
        let right = self.template.split_at(self.width).1;
        let is_whole = filling.len() <= WHOLE || expected.is_multiple_of(SAMPLE);
        let intact = if is_whole {
            filling == right
        } else {
            let from = filling.len() - END;
            filling[..END] == right[..END] && filling[from..] == right[from..]
        };
        Some(Reading { ahead, intact })
    }
}

impl Kind {
    /// Bits of the number in a byte of the message.
    fn bits(self) -> u32 {
        match self {
            Self::Text => 4,
            Self::Binary => 8,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// Writes the lowest digits of a number, as many as there is room for.
fn write(kind: Kind, mut number: u64, room: &mut [u8]) {
    for byte in room.iter_mut().rev() {
        let [lowest, ..] = number.to_le_bytes();
        *byte = match kind {
            Kind::Text => b"0123456789abcdef"[usize::from(lowest & 15)],
            Kind::Binary => lowest,
        };
        number >>= kind.bits();
    }
}

fn read(kind: Kind, digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number: u64, byte| {
        let digit = match (kind, byte) {
            (Kind::Binary, byte) => *byte,
            (Kind::Text, b'0'..=b'9') => byte - b'0',
            (Kind::Text, b'a'..=b'f') => byte - b'a' + 10,
            (Kind::Text, _) => return None,
        };
        Some(number << kind.bits() | u64::from(digit))
    })
}

/// Bytes of xorshift64: the same in every run.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 2] = [Kind::Text, Kind::Binary];

    #[test]
    fn every_size_reads_as_what_was_written() {
        for kind in KINDS {
            for size in [0, 1, 2, 7, 8, 9, 15, 16, 17, 20, 1024, 5000] {
                let payload = Payload::new(kind, size);
                for number in [0, 1, 255, 256, 0x0123_4567_89ab_cdef, u64::MAX] {
                    let message = payload.message(number);
                    assert_eq!(message.len(), size);
                    assert_eq!(message.is_text(), kind == Kind::Text);
                    let read = payload.read(&message, number);
                    assert_eq!(read, Some(Reading { ahead: 0, intact: true }), "{kind:?} {size} {number}");
                }
            }
        }
    }

    #[test]
    fn a_gap_is_seen_and_what_is_old_is_far_ahead() {
        for kind in KINDS {
            let payload = Payload::new(kind, 20);
            let ahead = |number, expected| payload.read(&payload.message(number), expected).unwrap().ahead;
            assert_eq!(ahead(112, 100), 12);
            assert_eq!(ahead(99, 100), u64::MAX);
            let tiny = Payload::new(kind, 1);
            assert_eq!(tiny.read(&tiny.message(257), 255).unwrap().ahead, 2);
        }
    }

    #[test]
    fn another_kind_or_length_is_no_message_of_the_run() {
        let (text, binary) = (Payload::new(Kind::Text, 20), Payload::new(Kind::Binary, 20));
        assert_eq!(text.read(&binary.message(1), 1), None);
        assert_eq!(binary.read(&text.message(1), 1), None);
        assert_eq!(text.read(&Payload::new(Kind::Text, 21).message(1), 1), None);
        assert_eq!(text.read(&Message::from("welcome to echo 1.00"), 1), None);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let check = |size: usize, at: usize, number| {
            let payload = Payload::new(Kind::Binary, size);
            let mut bytes = payload.message(number).as_bytes().to_vec();
            bytes[at] ^= 1;
            payload.read(&bytes.into(), number).unwrap().intact
        };
        assert!(!check(20, 19, 1));
        assert!(!check(100_000, 8, 1));
        assert!(!check(100_000, 99_999, 1));
        // In the middle of a long one, every sixteenth time.
        assert!(check(100_000, 50_000, 1));
        assert!(!check(100_000, 50_000, 32));
    }
}
