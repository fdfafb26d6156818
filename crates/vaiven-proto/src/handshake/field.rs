//! One header field: what a name and a value may hold (RFC 9110 section 5), and which fields an application
//! must leave to the handshake.

use std::fmt;

/// Fields that the handshake itself writes, or that would give an upgrade a body.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

/// Why a field of the application's own cannot be sent. Values are not shown: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is not a token of RFC 9110 section 5.6.2.
    InvalidName(String),
    /// The value of the named field holds CR, LF, NUL or another control character.
    InvalidValue(String),
    /// The named field belongs to the handshake.
    Reserved(String),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(name) => {
                write!(f, "{name:?} is not a header name: use letters, digits and hyphens")
            }
            Self::InvalidValue(name) => {
                write!(f, "the value of header {name:?} holds a line break or another control character")
            }
            Self::Reserved(name) => {
                write!(
                    f,
                    "header {name:?} is written by the handshake itself: leave it out of the extra headers"
                )
            }
        }
    }
}

impl std::error::Error for FieldError {}

/// Checks a field that the application adds to a request or a response.
///
/// # Errors
/// See [`FieldError`].
pub(super) fn check_field(name: &str, value: &[u8]) -> Result<(), FieldError> {
    if !is_token(name.as_bytes()) {
        return Err(FieldError::InvalidName(name.to_owned()));
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(FieldError::Reserved(name.to_owned()));
    }
    if value.iter().copied().any(is_forbidden_in_value) {
        return Err(FieldError::InvalidValue(name.to_owned()));
    }
    Ok(())
}

/// Whether the bytes are a token (RFC 9110 section 5.6.2): one or more of its characters.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// One bit for each ASCII character that may stand in a token.
const TOKEN_BYTES: u128 = {
    let mut bits = 0;
    let mut bytes: &[u8] = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [byte, rest @ ..] = bytes {
        bits |= 1 << *byte;
        bytes = rest;
    }
    bits
};

/// Whether the byte may stand in a token.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    // Letters first: most names have nothing else, and a shift of 128 bits is several instructions.
    byte.is_ascii_alphabetic() || byte.is_ascii() && TOKEN_BYTES >> byte & 1 == 1
}

/// Whether the byte is a control character that must not stand in a value; a tab may.
pub(super) const fn is_forbidden_in_value(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

/// Where the first byte stands that a value must not have. It looks at eight bytes at a time: in most heads there is
/// none but the carriage return at the end of the line.
pub(super) fn forbidden_position(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 255;
    const HIGH: u64 = EACH * 0x80;
    let mut clean = 0;
    for lane in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*lane);
        let delete = word ^ (EACH * 0x7f);
        // A bit is set if a byte is below a space, a tab included, or a DEL.
        let below_space = word.wrapping_sub(EACH * 0x20) & !word & HIGH;
        let suspects = below_space | (delete.wrapping_sub(EACH) & !delete & HIGH);
        if suspects != 0 {
            break;
        }
        clean += 8;
    }
    let rest = bytes.split_at(clean).1;
    rest.iter().position(|&byte| is_forbidden_in_value(byte)).map(|position| clean + position)
}

/// The value without optional white space (RFC 9110 section 5.6.3) at its ends.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements between commas, trimmed; empty ones among them.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|byte| *byte == b',').map(trim)
}

/// Whether the value is a host with an optional port, as the `Host` field holds it (RFC 9110 section 7.2).
pub(super) fn is_host(value: &str) -> bool {
    // unreserved, sub-delims, and what brackets, ports and percent-encoding need (RFC 3986 section 3.2.2).
    value.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']')
            || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_split_a_head_are_refused() {
        let invalid_value = |name: &str| Err(FieldError::InvalidValue(name.to_owned()));
        let invalid_name = |name: &str| Err(FieldError::InvalidName(name.to_owned()));
        for value in [&b"a\r\nb: c"[..], b"a\n", b"\r", b"\0", b"\x7f", b"\x1b[2J"] {
            assert_eq!(check_field("X-A", value), invalid_value("X-A"), "{}", value.escape_ascii());
        }
        for name in ["", "a b", "a:", "a\r\n", "ä", "a\0"] {
            assert_eq!(check_field(name, b"x"), invalid_name(name));
        }
        for name in ["HOST", "Upgrade", "sec-websocket-KEY", "Content-Length"] {
            assert_eq!(check_field(name, b"x"), Err(FieldError::Reserved(name.to_owned())));
        }
        for value in [&b""[..], b"a\tb", "señal".as_bytes(), b"\xff"] {
            assert_eq!(check_field("X-A", value), Ok(()), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_token_has_no_separators() {
        for byte in 0..=u8::MAX {
            let is_separator = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token_byte(byte), byte.is_ascii_graphic() && !is_separator, "{byte:02x}");
        }
    }

    #[test]
    fn reserved_names_are_lower_case_and_sorted() {
        assert!(RESERVED.is_sorted());
        assert!(RESERVED.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn white_space_is_trimmed_at_the_ends_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert!(elements(b"a ,, b").eq([&b"a"[..], b"", b"b"]));
    }

    #[test]
    fn forbidden_bytes_are_found_at_every_place_and_nothing_else_is() {
        for byte in 0..=u8::MAX {
            for filler in [b'a', b'\t', 0x80, 0xff] {
                for place in 0..20 {
                    let mut value = [filler; 20];
                    value[place] = byte;
                    let expected = value.iter().position(|&byte| is_forbidden_in_value(byte));
                    assert_eq!(forbidden_position(&value), expected, "{}", value.escape_ascii());
                }
            }
        }
    }
}
