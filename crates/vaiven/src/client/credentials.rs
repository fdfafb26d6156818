//! A user name and a password out of a URL, for HTTP's Basic scheme (RFC 7617) and for SOCKS5 (RFC 1929).
//!
//! They are kept away from everything that is printed: `Debug` shows that they exist, never what they are.

use super::error::DialError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use std::fmt;
use url::Url;

/// A user name and a password, percent-decoded: any bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// The userinfo of a URL; `None` where both parts are empty.
    pub(super) fn from_url(url: &Url) -> Option<Self> {
        let password = url.password().unwrap_or_default();
        if url.username().is_empty() && password.is_empty() {
            return None;
        }
        Some(Self {
            user: percent_decode_str(url.username()).collect(),
            password: percent_decode_str(password).collect(),
        })
    }

    /// The value of an `Authorization` or `Proxy-Authorization` field, marked as sensitive.
    ///
    /// # Errors
    /// RFC 7617 section 2: a user-id containing a colon is invalid, as the recipient would split it there.
    pub(super) fn basic(&self) -> Result<HeaderValue, DialError> {
        if self.user.contains(&b':') {
            return Err(DialError::invalid_url(
                "a user name with a colon (%3A) cannot be sent in the Basic scheme; set the header yourself",
            ));
        }
        let pair = [&self.user[..], b":", &self.password[..]].concat();
        let value = format!("Basic {}", STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(value).expect("base64 is made of visible ASCII");
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
