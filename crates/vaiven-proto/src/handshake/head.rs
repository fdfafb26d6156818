//! Where an HTTP/1 head ends (RFC 9112 section 2): growing input to the length of a head within limits.
//!
//! The scanner remembers where it stopped, so a head that comes byte by byte costs no more than one that comes
//! at once. It refuses early, before the head is complete, what httparse or another parser behind it might read
//! in a second way: folded lines, bare line feeds, control characters. It does not know what the fields mean.

use super::field::{forbidden_position, is_forbidden_in_value, is_token_byte};
use std::fmt;

/// Bounds of a head, each with a default that holds for both roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The longest head in bytes, from the first line to the empty line that ends it. Default 16 KiB: cookies
    /// and tokens of real deployments fit, and 10,000 unfinished handshakes hold 160 MiB at worst.
    pub max_bytes: usize,
    /// The most header fields. Default 100: browsers send about 15, proxies add a handful.
    pub max_fields: usize,
    /// The longest line in bytes, without its CRLF. Default 8 KiB, what common proxies pass on.
    pub max_line_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024, max_fields: 100, max_line_bytes: 8 * 1024 }
    }
}

impl HeadLimits {
    /// The same limits with another [`max_bytes`](Self::max_bytes).
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same limits with another [`max_fields`](Self::max_fields).
    pub fn with_max_fields(self, max_fields: usize) -> Self {
        Self { max_fields, ..self }
    }

    /// The same limits with another [`max_line_bytes`](Self::max_line_bytes).
    pub fn with_max_line_bytes(self, max_line_bytes: usize) -> Self {
        Self { max_line_bytes, ..self }
    }
}

/// Why bytes are not an acceptable HTTP/1 head: one variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is longer than [`HeadLimits::max_line_bytes`].
    StartLineTooLong,
    /// A header line is longer than [`HeadLimits::max_line_bytes`].
    FieldTooLong,
    /// The head is longer than [`HeadLimits::max_bytes`].
    TooLarge,
    /// The head has more fields than [`HeadLimits::max_fields`].
    TooManyFields,
    /// A line begins with white space, which once continued the line before (RFC 9112 section 5.2).
    FoldedLine,
    /// A line feed without the carriage return before it.
    BareLineFeed,
    /// A carriage return without the line feed behind it.
    BareCarriageReturn,
    /// NUL or another control character.
    ControlCharacter,
    /// White space between a field's name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon,
    /// A field's name is empty or not a token.
    InvalidFieldName,
    /// A TLS record came where HTTP was expected.
    Tls,
    /// The version is of HTTP, but neither 1.0 nor 1.1.
    UnsupportedVersion,
    /// The first line is not HTTP's.
    InvalidStartLine,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartLineTooLong => "the first line of the head is longer than max_line_bytes",
            Self::FieldTooLong => "a header line is longer than max_line_bytes",
            Self::TooLarge => "the head is longer than max_bytes",
            Self::TooManyFields => "the head has more header fields than max_fields",
            Self::FoldedLine => "a header line begins with white space (RFC 9112 5.2)",
            Self::BareLineFeed => "a line ends without a carriage return (RFC 9112 2.2)",
            Self::BareCarriageReturn => "a carriage return stands alone (RFC 9112 2.2)",
            Self::ControlCharacter => "the head holds a control character (RFC 9110 5.5)",
            Self::SpaceBeforeColon => "white space stands before the colon of a header (RFC 9112 5.1)",
            Self::InvalidFieldName => "a header name is not a token (RFC 9110 5.1)",
            Self::Tls => "TLS came where plain HTTP was expected: ws:// is for plain ports, wss:// for TLS",
            Self::UnsupportedVersion => "the HTTP version is neither 1.0 nor 1.1",
            Self::InvalidStartLine => "the first line is not HTTP (RFC 9112 2.1)",
        })
    }
}

impl std::error::Error for HeadError {}

/// The proof of a complete head that [`HeadScanner::scan`] gives: how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadExtent {
    bytes: usize,
    fields: usize,
}

impl HeadExtent {
    /// The head's length in bytes, with the empty line that ends it.
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// The number of its header fields.
    pub fn fields(self) -> usize {
        self.fields
    }
}

/// Finds the end of a head in input that grows.
///
/// ```
/// use vaiven_proto::handshake::{HeadLimits, HeadScanner};
///
/// let mut scanner = HeadScanner::new(HeadLimits::default());
/// assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a")?, None);
/// let extent = scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbehind")?.expect("the head is complete");
/// assert_eq!((extent.bytes(), extent.fields()), (27, 1));
/// # Ok::<(), vaiven_proto::handshake::HeadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeadScanner {
    limits: HeadLimits,
    place: Place,
    /// How many bytes of the input are scanned.
    position: usize,
    line_bytes: usize,
    fields: usize,
    /// What was found; it stays, so that a refused peer costs nothing more.
    outcome: Option<Result<HeadExtent, HeadError>>,
    #[cfg(test)]
    visited: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The very first byte, or the first behind empty lines.
    Start,
    /// The line feed of an empty line before the first line.
    StartLineFeed,
    StartLine,
    FieldStart,
    FieldName,
    FieldValue,
    /// The line feed that ends the first line or a field.
    LineFeed,
    /// The line feed that ends the head.
    LastLineFeed,
}

impl HeadScanner {
    /// A scanner for one head.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            place: Place::Start,
            position: 0,
            line_bytes: 0,
            fields: 0,
            outcome: None,
            #[cfg(test)]
            visited: 0,
        }
    }

    /// The limits that it holds heads to.
    pub fn limits(&self) -> HeadLimits {
        self.limits
    }

    /// Goes on where the last call stopped. `received` is everything since the head began, so each call brings
    /// what the one before brought, and more; bytes behind the head are not looked at. `None` asks for more.
    ///
    /// # Errors
    /// Any [`HeadError`] but [`HeadError::UnsupportedVersion`] and [`HeadError::InvalidStartLine`], which are
    /// found when the head is parsed. Once it failed it gives the same answer to every call.
    ///
    /// # Limits
    /// [`HeadLimits`], each checked with the first byte that breaks it.
    pub fn scan(&mut self, received: &[u8]) -> Result<Option<HeadExtent>, HeadError> {
        if self.outcome.is_none() {
            self.outcome = self.advance(received).transpose();
        }
        self.outcome.transpose()
    }

    fn advance(&mut self, received: &[u8]) -> Result<Option<HeadExtent>, HeadError> {
        let window = received.get(..self.limits.max_bytes).unwrap_or(received);
        let mut rest = window.get(self.position..).unwrap_or_default();
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(self.run_length(rest));
            self.move_on(run.len());
            self.lengthen_line(run.len())?;
            let Some((&byte, behind)) = behind.split_first() else { break };
            self.move_on(1);
            if self.place == Place::LastLineFeed {
                expect_line_feed(byte)?;
                return Ok(Some(HeadExtent { bytes: self.position, fields: self.fields }));
            }
            self.place = self.step(byte)?;
            rest = behind;
        }
        if self.position >= self.limits.max_bytes {
            return Err(HeadError::TooLarge);
        }
        Ok(None)
    }

    /// How many bytes at the front change nothing but the length of the line: the end of a field's value is
    /// found in one sweep, which costs a quarter of going through [`step`](Self::step).
    fn run_length(&self, rest: &[u8]) -> usize {
        let end = match self.place {
            Place::StartLine | Place::FieldValue => forbidden_position(rest),
            Place::FieldName => rest.iter().position(|&byte| !is_token_byte(byte)),
            _ => Some(0),
        };
        end.unwrap_or(rest.len())
    }

    fn move_on(&mut self, bytes: usize) {
        self.position += bytes;
        #[cfg(test)]
        {
            self.visited += bytes;
        }
    }

    /// The place behind a byte that may end a run.
    fn step(&mut self, byte: u8) -> Result<Place, HeadError> {
        match (self.place, byte) {
            // RFC 9112 section 2.2: a server "SHOULD ignore at least one empty line" before the request line.
            (Place::Start, b'\r') => Ok(Place::StartLineFeed),
            // A TLS record begins with its type, alert or handshake.
            (Place::Start, 0x15 | 0x16) => Err(HeadError::Tls),
            (Place::StartLineFeed, _) => expect_line_feed(byte).map(|()| Place::Start),
            (Place::LineFeed | Place::LastLineFeed, _) => expect_line_feed(byte).map(|()| Place::FieldStart),
            (Place::FieldStart, b'\r') => Ok(Place::LastLineFeed),
            (Place::FieldStart, b' ' | b'\t') => Err(HeadError::FoldedLine),
            (Place::StartLine | Place::FieldValue, b'\r') => Ok(Place::LineFeed),
            (_, b'\n') => Err(HeadError::BareLineFeed),
            (Place::FieldStart, _) => {
                self.fields += 1;
                if self.fields > self.limits.max_fields {
                    return Err(HeadError::TooManyFields);
                }
                self.place = Place::FieldName;
                self.line_bytes = 0;
                self.lengthen_line(1)?;
                // The name begins here, so a colon would end an empty one.
                if byte == b':' { Err(HeadError::InvalidFieldName) } else { field_name(byte) }
            }
            (Place::FieldName, _) => {
                self.lengthen_line(1)?;
                field_name(byte)
            }
            (Place::Start | Place::StartLine, _) => {
                self.lengthen_line(1)?;
                allow_in_line(byte).map(|()| Place::StartLine)
            }
            (Place::FieldValue, _) => {
                self.lengthen_line(1)?;
                allow_in_line(byte).map(|()| Place::FieldValue)
            }
        }
    }

    fn lengthen_line(&mut self, bytes: usize) -> Result<(), HeadError> {
        self.line_bytes += bytes;
        if self.line_bytes <= self.limits.max_line_bytes {
            return Ok(());
        }
        let is_field = matches!(self.place, Place::FieldName | Place::FieldValue);
        Err(if is_field { HeadError::FieldTooLong } else { HeadError::StartLineTooLong })
    }
}

fn expect_line_feed(byte: u8) -> Result<(), HeadError> {
    if byte == b'\n' { Ok(()) } else { Err(HeadError::BareCarriageReturn) }
}

fn allow_in_line(byte: u8) -> Result<(), HeadError> {
    if is_forbidden_in_value(byte) { Err(HeadError::ControlCharacter) } else { Ok(()) }
}

fn field_name(byte: u8) -> Result<Place, HeadError> {
    match byte {
        b':' => Ok(Place::FieldValue),
        b' ' | b'\t' => Err(HeadError::SpaceBeforeColon),
        b'\r' => Err(HeadError::InvalidFieldName),
        _ if is_token_byte(byte) => Ok(Place::FieldName),
        _ => allow_in_line(byte).and(Err(HeadError::InvalidFieldName)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Tab: a\tb\r\n\r\n";

    /// Whole, byte by byte, and at seeded splits: the outcome must not depend on how the bytes came.
    #[track_caller]
    fn check(input: &[u8], limits: HeadLimits, expected: Result<Option<(usize, usize)>, HeadError>) {
        let shown = |outcome: Result<Option<HeadExtent>, HeadError>| {
            outcome.map(|extent| extent.map(|extent| (extent.bytes(), extent.fields())))
        };
        assert_eq!(shown(HeadScanner::new(limits).scan(input)), expected, "{}", input.escape_ascii());
        for seed in 0..40_u64 {
            let mut scanner = HeadScanner::new(limits);
            let (mut end, mut state, mut outcome) = (0, seed, Ok(None));
            while end < input.len() && outcome == Ok(None) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Seed 0 is byte by byte.
                end += if seed == 0 { 1 } else { 1 + (state >> 33) as usize % 40 };
                outcome = scanner.scan(&input[..end.min(input.len())]);
            }
            assert_eq!(shown(outcome), expected, "seed {seed}: {}", input.escape_ascii());
            assert_eq!(shown(scanner.scan(input)), expected, "the outcome stays");
            assert!(scanner.visited <= input.len());
        }
    }

    #[track_caller]
    fn check_error(input: &str, expected: HeadError) {
        check(input.as_bytes(), HeadLimits::default(), Err(expected));
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        let limits = HeadLimits::default();
        check(HEAD.as_bytes(), limits, Ok(Some((HEAD.len(), 3))));
        check(format!("{HEAD}GET / HTTP/1.1\r\n\n\0").as_bytes(), limits, Ok(Some((HEAD.len(), 3))));
        check(format!("\r\n\r\n{HEAD}").as_bytes(), limits, Ok(Some((HEAD.len() + 4, 3))));
        check(b"GET / HTTP/1.1\r\n\r\n", limits, Ok(Some((18, 0))));
        for end in 0..HEAD.len() {
            check(&HEAD.as_bytes()[..end], limits, Ok(None));
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        check_error("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", HeadError::FoldedLine);
        check_error("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", HeadError::FoldedLine);
        check_error("GET / HTTP/1.1\r\n A: b\r\n\r\n", HeadError::FoldedLine);
        check_error("GET / HTTP/1.1\n", HeadError::BareLineFeed);
        check_error("\nGET / HTTP/1.1\r\n", HeadError::BareLineFeed);
        check_error("GET / HTTP/1.1\r\nA: b\n\r\n", HeadError::BareLineFeed);
        check_error("GET / HTTP/1.1\r\nA\n", HeadError::BareLineFeed);
        check_error("GET / HTTP/1.1\r\n\n", HeadError::BareLineFeed);
        check_error("GET / HTTP/1.1\r\nA: b\r\n\rX", HeadError::BareCarriageReturn);
        check_error("GET / HTTP/1.1\r\nA: b\rc", HeadError::BareCarriageReturn);
        check_error("\rGET", HeadError::BareCarriageReturn);
        check_error("GET /\0 HTTP/1.1\r\n", HeadError::ControlCharacter);
        check_error("GET / HTTP/1.1\r\nA: b\0\r\n", HeadError::ControlCharacter);
        check_error("GET / HTTP/1.1\r\nA: \x1b[2J\r\n", HeadError::ControlCharacter);
        check_error("GET / HTTP/1.1\r\nA\0: b\r\n", HeadError::ControlCharacter);
        check_error("GET / HTTP/1.1\r\nA : b\r\n", HeadError::SpaceBeforeColon);
        check_error("GET / HTTP/1.1\r\nA\t: b\r\n", HeadError::SpaceBeforeColon);
        check_error("GET / HTTP/1.1\r\n: b\r\n", HeadError::InvalidFieldName);
        check_error("GET / HTTP/1.1\r\nA\r\n", HeadError::InvalidFieldName);
        check_error("GET / HTTP/1.1\r\nA(: b\r\n", HeadError::InvalidFieldName);
        check_error("GET / HTTP/1.1\r\nñ: b\r\n", HeadError::InvalidFieldName);
        check_error("\x16\x03\x01\x02", HeadError::Tls);
        check_error("\x15\x03\x03", HeadError::Tls);
    }

    #[test]
    fn the_length_of_the_head_is_limited() {
        for length in [99, 100, 101] {
            let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(length - 23));
            assert_eq!(head.len(), length);
            let limits = HeadLimits::default().with_max_bytes(100);
            let expected = if length <= 100 { Ok(Some((length, 1))) } else { Err(HeadError::TooLarge) };
            check(head.as_bytes(), limits, expected);
        }
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        for fields in [99, 100, 101] {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
            let expected =
                if fields <= 100 { Ok(Some((head.len(), fields))) } else { Err(HeadError::TooManyFields) };
            check(head.as_bytes(), HeadLimits::default(), expected);
        }
    }

    #[test]
    fn the_length_of_a_line_is_limited() {
        let limits = HeadLimits::default().with_max_line_bytes(64);
        for length in [63, 64, 65] {
            let start = format!("GET /{} HTTP/1.1", "a".repeat(length - 14));
            let field = format!("A: {}", "b".repeat(length - 3));
            assert_eq!((start.len(), field.len()), (length, length));
            for (head, error) in [
                (format!("{start}\r\nA: b\r\n\r\n"), HeadError::StartLineTooLong),
                (format!("GET / HTTP/1.1\r\n{field}\r\n\r\n"), HeadError::FieldTooLong),
            ] {
                let expected = if length <= 64 { Ok(Some((head.len(), 1))) } else { Err(error) };
                check(head.as_bytes(), limits, expected);
            }
        }
    }

    #[test]
    fn sixteen_mebibytes_byte_by_byte_are_scanned_at_most_twice() {
        for (value_bytes, expected) in
            [(0, HeadError::TooManyFields), (200, HeadError::TooLarge), (20_000, HeadError::FieldTooLong)]
        {
            let line = format!("A: {}\r\n", "b".repeat(value_bytes));
            let mut scanner = HeadScanner::new(HeadLimits::default());
            let mut received = b"GET / HTTP/1.1\r\n".to_vec();
            let mut outcome = scanner.scan(&received);
            for byte in line.bytes().cycle().take(16 << 20) {
                received.push(byte);
                outcome = scanner.scan(&received);
            }
            assert_eq!(outcome, Err(expected));
            assert!(scanner.visited <= 2 * received.len());
            assert!(scanner.visited <= 16 * 1024, "a refused head is not looked at again");
        }
    }
}
