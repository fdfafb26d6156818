//! Compressed bytes to the one question that zlib does not answer: does a reference reach back beyond the agreed
//! window (RFC 7692 section 7.1.2)?
//!
//! zlib-rs keeps 32 KiB whatever window it is told, as zlib does within one buffer, so a peer that breaks its promise
//! would go unnoticed here and fail elsewhere. This file walks over the tokens of the stream (RFC 1951 section 3.2)
//! and looks at their distances, from the moment on that history and message together are longer than the window:
//! before that no such reference can be valid, so a short message without context takeover is spared the walk. Where
//! it is needed it costs one to two times what inflating itself does. It produces nothing and decides nothing else: whether the stream is valid is for
//! zlib, and where it is not, the walk just stops.

use super::params::WindowBits;

/// Where the walk stands. Every step needs at most 48 bits, so that a step either happens or waits for more bytes.
#[derive(Debug)]
enum State {
    BlockHeader,
    StoredLength,
    Stored {
        left: usize,
    },
    TableSizes,
    /// The code of the code lengths: `at` of `of` are read, in their odd order.
    CodeLengths {
        at: usize,
        of: usize,
    },
    /// The lengths of both codes: `at` of `of` are read.
    Lengths {
        at: usize,
        of: usize,
    },
    Tokens,
    /// Not DEFLATE: zlib has said so, or will.
    Lost,
}

/// What a step came to.
enum Step {
    Done,
    NeedsInput,
    TooFar,
}

/// The walk over one message.
#[derive(Debug)]
pub(super) struct Reach {
    window: usize,
    state: State,
    is_final: bool,
    bits: Bits,
    /// Bytes that the tokens so far stand for.
    produced: usize,
    literals: usize,
    distances: usize,
    lengths: [u8; MAX_LENGTHS],
    /// Whether both codes are the fixed ones, so that a flood of small blocks does not build them again and again.
    is_fixed: bool,
    length_code: Code,
    distance_code: Code,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self {
            window: 0,
            state: State::BlockHeader,
            is_final: false,
            bits: Bits::default(),
            produced: 0,
            literals: 0,
            distances: 0,
            lengths: [0; MAX_LENGTHS],
            is_fixed: false,
            length_code: Code::default(),
            distance_code: Code::default(),
        }
    }

    /// Begins the walk over a message. The codes stay: a sender of fixed blocks needs no others.
    pub(super) fn begin(&mut self, window: WindowBits) {
        self.window = window.bytes();
        self.state = State::BlockHeader;
        self.is_final = false;
        self.bits = Bits::default();
        self.produced = 0;
    }

    /// Walks over the next bytes of the message.
    ///
    /// # Errors
    /// A distance is too large; the value is the length of the message before it.
    pub(super) fn scan(&mut self, mut input: &[u8]) -> Result<(), usize> {
        loop {
            self.bits.refill(&mut input);
            match self.step(&mut input) {
                Step::Done => {}
                Step::NeedsInput => return Ok(()),
                Step::TooFar => return Err(self.produced),
            }
        }
    }

    fn step(&mut self, input: &mut &[u8]) -> Step {
        let done = match self.state {
            State::BlockHeader => self.block_header(),
            State::StoredLength => self.stored_length(),
            State::Stored { left } => self.stored(left, input),
            State::TableSizes => self.table_sizes(),
            State::CodeLengths { at, of } => self.code_lengths(at, of),
            State::Lengths { at, of } => self.code_length(at, of),
            State::Tokens => return self.tokens(input),
            State::Lost => None,
        };
        if done.is_some() { Step::Done } else { Step::NeedsInput }
    }

    fn block_header(&mut self) -> Option<()> {
        let header = self.bits.take(3)?;
        self.is_final = header & 1 == 1;
        self.state = match header >> 1 {
            0 => State::StoredLength,
            1 => {
                if !self.is_fixed {
                    self.length_code = Code::new(&FIXED_LENGTHS);
                    self.distance_code = Code::new(&[5; 30]);
                    self.is_fixed = true;
                }
                State::Tokens
            }
            2 => State::TableSizes,
            _ => State::Lost,
        };
        Some(())
    }

    fn end_block(&mut self) {
        if self.is_final {
            // The next stream of the message begins with the next byte (RFC 7692 section 7.2.3.4).
            self.bits.drop(self.bits.available % 8);
        }
        self.state = State::BlockHeader;
    }

    fn stored_length(&mut self) -> Option<()> {
        let padding = self.bits.available % 8;
        if self.bits.available < padding + 32 {
            return None;
        }
        self.bits.drop(padding);
        let lengths = self.bits.take(32)?;
        self.state = State::Stored { left: low(lengths, 16) };
        Some(())
    }

    fn stored(&mut self, left: usize, input: &mut &[u8]) -> Option<()> {
        let mut left = left;
        while left > 0 && self.bits.available >= 8 {
            self.bits.drop(8);
            self.produced += 1;
            left -= 1;
        }
        if left > 0 {
            // What `refill` read ahead lies before the bytes that are skipped now.
            self.bits.word = 0;
        }
        let skipped = left.min(input.len());
        *input = input.get(skipped..).unwrap_or_default();
        self.produced += skipped;
        left -= skipped;
        self.state = State::Stored { left };
        if left > 0 {
            return None;
        }
        self.end_block();
        Some(())
    }

    fn table_sizes(&mut self) -> Option<()> {
        let sizes = self.bits.take(14)?;
        self.literals = 257 + low(sizes, 5);
        self.distances = 1 + low(sizes >> 5, 5);
        self.lengths = [0; MAX_LENGTHS];
        self.is_fixed = false;
        self.state = State::CodeLengths { at: 0, of: 4 + low(sizes >> 10, 4) };
        Some(())
    }

    fn code_lengths(&mut self, at: usize, of: usize) -> Option<()> {
        if at < of {
            let length = self.bits.take(3)?;
            let slot = CODE_LENGTH_ORDER.get(at).and_then(|&slot| self.lengths.get_mut(slot))?;
            *slot = byte(length);
            self.state = State::CodeLengths { at: at + 1, of };
        } else {
            self.length_code = Code::new(self.lengths.get(..19)?);
            self.lengths = [0; MAX_LENGTHS];
            self.state = State::Lengths { at: 0, of: self.literals + self.distances };
        }
        Some(())
    }

    fn code_length(&mut self, at: usize, of: usize) -> Option<()> {
        if at >= of {
            let (literals, distances) = self.lengths.get(..of)?.split_at_checked(self.literals)?;
            self.distance_code = Code::new(distances);
            self.length_code = Code::new(literals);
            self.state = State::Tokens;
            return Some(());
        }
        let Found::Symbol { symbol, length } = self.length_code.find(self.bits.word, self.bits.available)
        else {
            self.lose_or_wait(self.bits);
            return None;
        };
        let (repeats, extra) = match symbol {
            0..=15 => (1, 0),
            16 => (3, 2),
            17 => (3, 3),
            _ => (11, 7),
        };
        if self.bits.available < length + extra {
            return None;
        }
        self.bits.drop(length);
        let repeats = repeats + low(self.bits.take(extra)?, 7);
        let value = match symbol {
            0..=15 => byte(u64::from(symbol)),
            16 => at.checked_sub(1).and_then(|last| self.lengths.get(last)).copied().unwrap_or(0),
            _ => 0,
        };
        match self.lengths.get_mut(at..at + repeats) {
            Some(slots) => slots.fill(value),
            None => self.state = State::Lost,
        }
        if !matches!(self.state, State::Lost) {
            self.state = State::Lengths { at: at + repeats, of };
        }
        Some(())
    }

    /// Literals and references until the block or the input ends.
    fn tokens(&mut self, input: &mut &[u8]) -> Step {
        // Kept out of `self` so that they stay in registers.
        let (mut bits, mut produced) = (self.bits, self.produced);
        let step = loop {
            bits.refill(input);
            let Found::Symbol { symbol, length } = self.length_code.find(bits.word, bits.available) else {
                break self.lose_or_wait(bits);
            };
            match symbol {
                0..=255 => {
                    bits.drop(length);
                    produced += 1;
                }
                256 => {
                    bits.drop(length);
                    break Step::Done;
                }
                _ => match self.reference(usize::from(symbol - 257), length, bits) {
                    Ok((copied, used)) => {
                        bits.drop(used);
                        produced += copied;
                    }
                    Err(step) => break step,
                },
            }
        };
        (self.bits, self.produced) = (bits, produced);
        if matches!(step, Step::Done) {
            self.end_block();
        }
        step
    }

    /// A length whose symbol takes `used` bits, and the distance behind it: how many bytes it copies, and the bits
    /// of all.
    fn reference(&mut self, symbol: usize, used: u32, bits: Bits) -> Result<(usize, u32), Step> {
        let Some(&(base, extra)) = LENGTHS.get(symbol) else {
            return Err(self.lose());
        };
        let copied = usize::from(base) + low(bits.word >> used, extra);
        let used = used + extra;
        let found = match bits.available.checked_sub(used) {
            Some(available) => self.distance_code.find(bits.word >> used, available),
            None => Found::NeedsInput,
        };
        let Found::Symbol { symbol, length } = found else {
            return Err(self.lose_or_wait(bits));
        };
        let Some(&(base, extra)) = DISTANCES.get(usize::from(symbol)) else {
            return Err(self.lose());
        };
        let used = used + length;
        if bits.available < used + extra {
            return Err(Step::NeedsInput);
        }
        if usize::from(base) + low(bits.word >> used, extra) > self.window {
            return Err(Step::TooFar);
        }
        Ok((copied, used + extra))
    }

    /// A code was not found: for want of bits, or because there is none.
    fn lose_or_wait(&mut self, bits: Bits) -> Step {
        if bits.available >= MAX_TOKEN_BITS {
            return self.lose();
        }
        Step::NeedsInput
    }

    fn lose(&mut self) -> Step {
        self.state = State::Lost;
        Step::NeedsInput
    }
}

/// The next bits of the stream, lowest first. Above those that count lie none, or some that are read again.
#[derive(Clone, Copy, Debug, Default)]
struct Bits {
    word: u64,
    available: u32,
}

impl Bits {
    /// Fills the bits up to more than a step needs, or takes what is left.
    fn refill(&mut self, input: &mut &[u8]) {
        if self.available >= MAX_TOKEN_BITS {
            return;
        }
        if let Some(eight) = input.first_chunk::<8>() {
            // Of the eight bytes those count that fit whole; the bits above are read again, with the same value.
            self.word |= u64::from_le_bytes(*eight) << self.available;
            let whole = (63 - self.available) / 8;
            self.available += 8 * whole;
            *input = input.get(low(u64::from(whole), 3)..).unwrap_or_default();
            return;
        }
        while self.available < MAX_TOKEN_BITS {
            let Some((&first, rest)) = input.split_first() else { return };
            self.word |= u64::from(first) << self.available;
            self.available += 8;
            *input = rest;
        }
    }

    fn take(&mut self, count: u32) -> Option<u64> {
        if self.available < count {
            return None;
        }
        let taken = self.word & ((1 << count) - 1);
        self.drop(count);
        Some(taken)
    }

    fn drop(&mut self, count: u32) {
        debug_assert!(count <= self.available && count < 64);
        self.word >>= count;
        self.available -= count;
    }
}

/// A length with its extra bits, a distance with its own: 15 + 5 + 15 + 13.
const MAX_TOKEN_BITS: u32 = 48;

/// The lengths of both codes: 286 and 30 that mean something, 32 of each that the format can express.
const MAX_LENGTHS: usize = 288 + 32;

/// The order in which the lengths of the code lengths' code come (RFC 1951 section 3.2.7).
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Code lengths of the fixed code (RFC 1951 section 3.2.6).
const FIXED_LENGTHS: [u8; 288] = fixed_lengths();

/// Base and extra bits of the length symbols 257 to 285 (RFC 1951 section 3.2.5).
const LENGTHS: [(u16, u32); 29] = length_table();

/// Base and extra bits of the distance symbols.
const DISTANCES: [(u16, u32); 30] = distance_table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn fixed_lengths() -> [u8; 288] {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn length_table() -> [(u16, u32); 29] {
    let mut table = [(258, 0); 29];
    let (mut symbol, mut base, mut extra) = (0, 3, 0);
    while symbol < 28 {
        if symbol >= 8 && symbol % 4 == 0 {
            extra += 1;
        }
        table[symbol] = (base, extra);
        base += 1 << extra;
        symbol += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn distance_table() -> [(u16, u32); 30] {
    let mut table = [(1, 0); 30];
    let (mut symbol, mut base, mut extra) = (1, 2, 0);
    while symbol < 30 {
        if symbol >= 4 && symbol % 2 == 0 {
            extra += 1;
        }
        table[symbol] = (base, extra);
        // The last step would go to 32,769, which still fits.
        base += 1 << extra;
        symbol += 1;
    }
    table
}

/// The low bits of a word, as a number that indexes or counts.
fn low(bits: u64, count: u32) -> usize {
    usize::try_from(bits & ((1 << count) - 1)).expect("at most 16 bits")
}

/// A number that is known to be small.
fn byte(value: u64) -> u8 {
    u8::try_from(value).expect("at most 15")
}

/// Bits that one look into the table resolves; the few longer codes are searched.
const FAST_BITS: u32 = 9;

/// A canonical Huffman code (RFC 1951 section 3.2.2).
#[derive(Debug)]
struct Code {
    /// By the next bits of the stream: symbol and length of the code that they begin with; 0 where it is longer.
    fast: [u16; 1 << FAST_BITS],
    /// How many codes there are of each length.
    counts: [u16; 16],
    /// Symbols in the order of their codes.
    symbols: [u16; 288],
}

enum Found {
    Symbol { symbol: u16, length: u32 },
    NeedsInput,
}

impl Default for Code {
    fn default() -> Self {
        Self { fast: [0; 1 << FAST_BITS], counts: [0; 16], symbols: [0; 288] }
    }
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut code = Self::default();
        for &length in lengths {
            if let Some(count) = code.counts.get_mut(usize::from(length)) {
                *count += 1;
            }
        }
        if let Some(unused) = code.counts.first_mut() {
            *unused = 0;
        }
        // Of each length: the index of its next symbol, and its next code.
        let mut next = [(0_usize, 0_u32); 16];
        let (mut index, mut first) = (0, 0);
        for (slot, &count) in next.iter_mut().zip(&code.counts) {
            first = (first << 1) & 0xffff;
            *slot = (index, first);
            index += usize::from(count);
            first += u32::from(count);
        }
        for (symbol, &length) in (0_u16..).zip(lengths) {
            if length == 0 {
                continue;
            }
            let Some((index, first)) = next.get_mut(usize::from(length)) else { continue };
            if let Some(slot) = code.symbols.get_mut(*index) {
                *slot = symbol;
            }
            let length = u32::from(length);
            if length <= FAST_BITS && *first < 1 << length {
                let start = usize::try_from(first.reverse_bits() >> (32 - length)).expect("at most 9 bits");
                let entry = symbol << 4 | u16::try_from(length).expect("at most 9");
                for slot in code.fast.iter_mut().skip(start).step_by(1 << length) {
                    *slot = entry;
                }
            }
            *index += 1;
            *first += 1;
        }
        code
    }

    /// The symbol at the beginning of `bits`, of which `available` are there.
    fn find(&self, bits: u64, available: u32) -> Found {
        let entry = self.fast.get(low(bits, FAST_BITS)).copied().unwrap_or(0);
        let length = u32::from(entry & 15);
        if length != 0 {
            if length > available {
                return Found::NeedsInput;
            }
            return Found::Symbol { symbol: entry >> 4, length };
        }
        self.search(bits, available)
    }

    #[cold]
    fn search(&self, bits: u64, available: u32) -> Found {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for (length, &count) in (1_u32..).zip(self.counts.iter().skip(1)) {
            if length > available {
                break;
            }
            code |= low(bits >> (length - 1), 1);
            let count = usize::from(count);
            if code < first + count && code >= first {
                let symbol = self.symbols.get(index + (code - first)).copied().unwrap_or(0);
                return Found::Symbol { symbol, length };
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Found::NeedsInput
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use crate::deflate::{Compression, DeflateConfig, DeflateParams, Deflater, TAIL};

    /// Words that come back at distances of all sizes, with a tail of bytes that hardly do.
    fn message(seed: u64, length: usize) -> Vec<u8> {
        let mut random = seed | 1;
        let mut message = Vec::new();
        while message.len() < length {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            message.extend_from_slice(
                &(random % 300).pow(3).to_le_bytes()[..if random % 7 < 6 { 5 } else { 1 }],
            );
        }
        message.truncate(length);
        message
    }

    fn begun(window: WindowBits) -> Reach {
        let mut reach = Reach::new();
        reach.begin(window);
        reach
    }

    /// The messages of one sender, without their tails.
    fn deflate(window: WindowBits, level: u8, takeover: bool, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let params = DeflateParams {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            server_max_window_bits: window,
            client_max_window_bits: window,
        };
        let mut config = DeflateConfig::server();
        config.level = level;
        let mut deflater = Deflater::new(Role::Server, &params, &config);
        let compress = |message: &Vec<u8>| {
            let mut out = Vec::new();
            assert_eq!(deflater.compress(message, &mut out), Compression::Compressed);
            out
        };
        messages.iter().map(compress).collect()
    }

    #[test]
    fn every_distance_keeps_to_the_agreed_window() {
        let messages: Vec<_> = [30_000, 1024, 1500, 70_000].map(|length| message(0x5eed, length)).into();
        for bits in 8..=15 {
            let window = WindowBits::of(bits);
            for level in 1..=9 {
                for takeover in [false, true] {
                    let streams = deflate(window, level, takeover, &messages);
                    for (stream, message) in streams.iter().zip(&messages) {
                        let mut reach = begun(window);
                        assert_eq!(reach.scan(stream), Ok(()), "window {bits} level {level}");
                        assert_eq!(reach.scan(&TAIL), Ok(()));
                        assert_eq!(reach.produced, message.len(), "window {bits} level {level}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_distance_is_found_at_the_same_place_however_the_stream_is_split() {
        let messages = [message(7, 60_000)];
        for level in [1, 2, 6, 9] {
            let stream = &deflate(WindowBits::MAX, level, false, &messages)[0];
            for bits in 8..15 {
                let window = WindowBits::of(bits);
                let whole = begun(window).scan(stream);
                let position = whole.expect_err("a compressor of 15 bits uses them");
                assert!((window.bytes()..60_000).contains(&position), "{position}");
                for length in [1, 2, 3, 7, 8, 9, 63, 1000] {
                    let mut reach = begun(window);
                    let split = stream.chunks(length).try_for_each(|piece| reach.scan(piece));
                    assert_eq!(split, whole, "window {bits} level {level} pieces of {length}");
                }
            }
        }
    }

    #[test]
    fn noise_ends_the_walk_without_a_panic() {
        for seed in 0..2000 {
            let noise = message(seed * 2 + 1, 400);
            let _ = begun(WindowBits::MIN).scan(&noise);
            for first in 0..8 {
                let stream: Vec<u8> = [&[first][..], &noise].concat();
                let _ = begun(WindowBits::MIN).scan(&stream);
            }
        }
    }
}
