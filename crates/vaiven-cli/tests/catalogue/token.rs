//! A line of a play to its words, and words to bytes, lengths of time and sizes.
//!
//! Bytes are `"text"` with the escapes `\r \n \t \0 \" \\ \xNN`, `hex:00ff`, `N*bytes`, `deflated:bytes` (RFC 7692
//! section 7.2.1: the tail 00 00 ff ff left out) or `takeover:bytes`, which is deflated with the window of those
//! before it, `noise:N`, and any of them joined by `+`. Numbers may have `KiB` or `MiB` behind them.

use flate2::{Compress, Compression, FlushCompress};
use std::time::Duration;

/// What a word means depends on the words before it only where compression goes on with its window.
#[derive(Debug)]
pub(crate) struct Words {
    takeover: Compress,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self { takeover: Compress::new(Compression::best(), false) }
    }

    /// Splits a line at white space outside of quotes; `#` begins a comment.
    pub(crate) fn split(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for character in line.chars() {
            match character {
                '#' if !quoted => break,
                character if character.is_whitespace() && !quoted => words.push(String::new()),
                character => {
                    if character == '"' && !escaped {
                        quoted = !quoted;
                    }
                    escaped = character == '\\' && !escaped;
                    words.last_mut().expect("there is one").push(character);
                }
            }
        }
        assert!(!quoted, "a quote is not closed: {line}");
        words.retain(|word| !word.is_empty());
        words
    }

    /// The bytes that a word stands for; `None` where it is no such word.
    pub(crate) fn bytes(&mut self, word: &str) -> Option<Vec<u8>> {
        if let Some((first, rest)) = split_joined(word) {
            return Some([self.bytes(first)?, self.bytes(rest)?].concat());
        }
        if let Some(quoted) = word.strip_prefix('"') {
            return Some(unescape(quoted.strip_suffix('"')?));
        }
        if let Some(hex) = word.strip_prefix("hex:") {
            let digits: Vec<u8> = hex.chars().map(hex_digit).collect();
            assert!(digits.len().is_multiple_of(2), "half a byte: {word}");
            return Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
        }
        if let Some(plain) = word.strip_prefix("deflated:") {
            let plain = self.bytes(plain)?;
            return Some(deflate(&mut Compress::new(Compression::best(), false), &plain));
        }
        if let Some(plain) = word.strip_prefix("takeover:") {
            let plain = self.bytes(plain)?;
            return Some(deflate(&mut self.takeover, &plain));
        }
        if let Some(count) = word.strip_prefix("noise:") {
            return Some(noise(usize::try_from(number(count)).ok()?));
        }
        let (count, unit) = word.split_once('*')?;
        Some(self.bytes(unit)?.repeat(usize::try_from(number(count)).ok()?))
    }

    /// Text that a word stands for.
    pub(crate) fn text(&mut self, word: &str) -> String {
        let bytes = self.bytes(word).unwrap_or_else(|| panic!("not a quoted text: {word}"));
        String::from_utf8(bytes).expect("text is UTF-8")
    }
}

/// Splits a word at the first `+` outside of quotes.
fn split_joined(word: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in word.char_indices() {
        match character {
            '+' if !quoted => return Some((&word[..at], &word[at + 1..])),
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
    }
    None
}

/// Bytes without a pattern, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn deflate(compress: &mut Compress, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let begin = compress.total_in();
    loop {
        out.reserve(64 << 10);
        let taken = usize::try_from(compress.total_in() - begin).expect("it fits");
        compress.compress_vec(&plain[taken..], &mut out, FlushCompress::Sync).expect("it compresses");
        let taken = usize::try_from(compress.total_in() - begin).expect("it fits");
        if taken == plain.len() && out.len() < out.capacity() {
            break;
        }
    }
    out.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a sync flush ends so").to_vec()
}

/// A number, in decimal or with `0x`, with `KiB` or `MiB` behind it.
pub(crate) fn number(word: &str) -> u64 {
    let (digits, factor) = match (word.strip_suffix("KiB"), word.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (word, 1),
    };
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("not a number: {word}")) * factor
}

/// A length of time, as `300ms` or `10s`.
pub(crate) fn duration(word: &str) -> Duration {
    match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(millis), _) => Duration::from_millis(number(millis)),
        (_, Some(seconds)) => Duration::from_secs(number(seconds)),
        _ => panic!("not a length of time: {word}"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        match characters.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('0') => bytes.push(0),
            Some('x') => {
                let mut digit = || characters.next().map_or(0, hex_digit);
                bytes.push(digit() << 4 | digit());
            }
            Some(same @ ('"' | '\\')) => bytes.extend(same.to_string().bytes()),
            other => panic!("no such escape: {other:?} in {text}"),
        }
    }
    bytes
}

fn hex_digit(digit: char) -> u8 {
    let digit = digit.to_digit(16).unwrap_or_else(|| panic!("not a hexadecimal digit: {digit}"));
    u8::try_from(digit).expect("a digit fits")
}
