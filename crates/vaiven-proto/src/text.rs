//! UTF-8 text over shared bytes.
//!
//! The one `unsafe` call of this file reads the bytes as `str` without validating them again. Its reason: a text
//! message was validated when it arrived, and a second pass at every access would cost as much as the first.

#![expect(
    unsafe_code,
    reason = "bytes that were validated at construction are read as str without a second pass"
)]

use bytes::Bytes;
use std::hash::{Hash, Hasher};
use std::{borrow::Borrow, fmt, ops::Deref};

/// Text, cheap to clone: [`Bytes`] that are known to be UTF-8. Dereferences to `str`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    /// Text of a static string, without a copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        debug_assert!(std::str::from_utf8(&self.0).is_ok());
        // SAFETY: every constructor takes a `str` or validates, and `Bytes` cannot be changed from outside.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes of the text, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Bytes that a validator of this crate has just accepted.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Bytes;

    /// Text, when the bytes are UTF-8; else the bytes again.
    fn try_from(bytes: Bytes) -> Result<Self, Bytes> {
        match simdutf8::basic::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(bytes),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Hash for Text {
    /// As `str`, which [`Borrow`] asks for: bytes hash differently.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_with_text_keys_is_asked_with_str() {
        let map = std::collections::HashMap::from([(Text::from("sala"), 1)]);
        assert_eq!(map.get("sala"), Some(&1));
    }

    #[test]
    fn only_utf8_becomes_text() {
        assert_eq!(Text::try_from(Bytes::from_static("vaivén".as_bytes())).unwrap(), "vaivén");
        assert_eq!(Text::try_from(Bytes::from_static(b"\xc0\x80")), Err(Bytes::from_static(b"\xc0\x80")));
        assert_eq!(Text::from_static("a").as_str(), &*Text::from("a"));
    }
}
