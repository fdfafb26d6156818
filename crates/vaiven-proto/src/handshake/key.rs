//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 sections 4.1 and 4.2.2): the proof that the server
//! read this very request.

use sha1::{Digest, Sha1};
use std::fmt;

/// RFC 6455 section 1.3: the key is joined with this string, so that no server answers right by accident.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The alphabet of base64 (RFC 4648 section 4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of `Sec-WebSocket-Key`: 16 bytes in base64, 24 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 24]);

impl Key {
    /// The key of 16 bytes that must come from a random source (RFC 6455 section 4.1).
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        Self(encode(&nonce))
    }

    /// Reads the value of the header; `None` when it is not the base64 of 16 bytes.
    ///
    /// The four bits that the last character carries beyond the 16 bytes may have any value: clients exist
    /// that draw the characters instead of the bytes, and the proof does not depend on these bits.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let key: [u8; 24] = value.try_into().ok()?;
        let digits = key.strip_suffix(b"==")?;
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        digits.iter().all(is_digit).then_some(Self(key))
    }

    /// The 24 characters, as they go on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The answer that proves that the key was read: base64 of SHA-1 over key and GUID.
    ///
    /// ```
    /// use vaiven_proto::handshake::Key;
    ///
    /// let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").expect("the key of RFC 6455 section 1.3");
    /// assert_eq!(key.accept().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    /// ```
    pub fn accept(&self) -> AcceptKey {
        let digest: [u8; 20] = Sha1::new().chain_update(self.0).chain_update(GUID).finalize().into();
        AcceptKey(encode(&digest))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

/// The value of `Sec-WebSocket-Accept`: 20 bytes in base64, 28 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The 28 characters, as they go on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The 28 characters as a string.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl fmt::Debug for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AcceptKey({})", self.as_str())
    }
}

/// Base64 with padding; `CHARS` must be the length of the result.
fn encode<const BYTES: usize, const CHARS: usize>(bytes: &[u8; BYTES]) -> [u8; CHARS] {
    const { assert!(CHARS == BYTES.div_ceil(3) * 4, "the result has four characters for three bytes") };
    let mut chars = [b'='; CHARS];
    for (group, chars) in bytes.chunks(3).zip(chars.chunks_exact_mut(4)) {
        let mut joined = 0_u32;
        for index in 0..3 {
            joined = joined << 8 | group.get(index).copied().map_or(0, u32::from);
        }
        // A group of n bytes fills n + 1 characters; the rest stays padding.
        for (char, shift) in chars.iter_mut().zip([18, 12, 6, 0]).take(group.len() + 1) {
            *char = digit(joined >> shift & 0x3f);
        }
    }
    chars
}

fn digit(sextet: u32) -> u8 {
    let index = usize::try_from(sextet).expect("six bits fit");
    *ALPHABET.get(index).expect("the caller masks to six bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_base64_of_rfc_4648() {
        assert_eq!(&encode::<3, 4>(b"foo"), b"Zm9v");
        assert_eq!(&encode::<2, 4>(b"fo"), b"Zm8=");
        assert_eq!(&encode::<1, 4>(b"f"), b"Zg==");
        assert_eq!(&encode::<4, 8>(&[0xff, 0xfe, 0xfb, 0xff]), b"//77/w==");
    }

    #[test]
    fn the_vector_of_the_standard_holds() {
        let key = Key::from_nonce(*b"the sample nonce");
        assert_eq!(key.as_bytes(), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key.accept().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Key::parse(key.as_bytes()), Some(key));
    }

    #[test]
    fn only_sixteen_bytes_of_base64_are_a_key() {
        for bad in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ===",
            b"dGhlIHNhbXBsZSBub25jZQAA",
            b"dGhlIHNhbXBsZSBub25jZQA=",
            b"dGhlIHNhbXBsZSBub25j Q==",
            b"dGhlIHNhbXBsZSBub25j-Q==",
            b"dGhlIHNhbXBsZSBub2=jZQ==",
            b"========================",
            b"dGhlIHNhbXBsZSBub25j\xffQ==",
        ] {
            assert_eq!(Key::parse(bad), None, "{}", bad.escape_ascii());
        }
        assert!(Key::parse(b"AQIDBAUGBwgJCgsMDQ4PEC==").is_some(), "unused bits have any value");
    }
}
