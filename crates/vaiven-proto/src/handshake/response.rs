//! The head of a response (RFC 9112 section 4): status, reason and fields.

use super::fields::Span;
use super::{Fields, HeadError, HeadExtent, HeadScanner, HttpVersion};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// The head of a response.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseHead {
    status: u16,
    reason: Span,
    version: HttpVersion,
    fields: Fields,
}

impl ResponseHead {
    /// Takes a head off the front of `received` once it is complete; what stands behind it stays. The scanner
    /// is then ready for the next head.
    ///
    /// # Errors
    /// Any [`HeadError`].
    ///
    /// # Limits
    /// Those of the scanner.
    pub fn take(scanner: &mut HeadScanner, received: &mut BytesMut) -> Result<Option<Self>, HeadError> {
        let Some(extent) = scanner.scan(received)? else { return Ok(None) };
        *scanner = HeadScanner::new(scanner.limits());
        let head = received.split_to(extent.bytes()).freeze();
        Self::parse(&head, extent).map(Some)
    }

    fn parse(head: &Bytes, extent: HeadExtent) -> Result<Self, HeadError> {
        super::fields::with_room(extent.fields(), |room| {
            let mut response = httparse::Response::new(room);
            let outcome = response.parse(head);
            let (Ok(httparse::Status::Complete(_)), Some(status), Some(version)) =
                (outcome, response.code, response.version)
            else {
                let is_http = head.trim_ascii_start().starts_with(b"HTTP/");
                return Err(match outcome {
                    Err(httparse::Error::Version) if is_http => HeadError::UnsupportedVersion,
                    _ => HeadError::InvalidStartLine,
                });
            };
            Ok(Self {
                status,
                reason: Span::of(response.reason.unwrap_or_default().as_bytes(), head)?,
                version: if version == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 },
                fields: Fields::new(head, response.headers)?,
            })
        })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &str {
        self.reason.text(self.fields.head())
    }

    /// The version.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// The header fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl fmt::Debug for ResponseHead {
    /// Without values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("reason", &self.reason())
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::HeadLimits;

    fn take(input: &[u8]) -> Result<ResponseHead, HeadError> {
        let mut received = BytesMut::from(input);
        let head = ResponseHead::take(&mut HeadScanner::new(HeadLimits::default()), &mut received)?;
        Ok(head.expect("the head is complete"))
    }

    #[test]
    fn status_lines_are_read() {
        let head = take(b"HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\n").unwrap();
        assert_eq!((head.status(), head.reason(), head.version()), (404, "Not Found", HttpVersion::Http11));
        assert_eq!(head.fields().single_text("server"), Some("a"));
        let head = take(b"HTTP/1.0 200\r\n\r\n").unwrap();
        assert_eq!((head.status(), head.reason(), head.version()), (200, "", HttpVersion::Http10));
    }

    #[test]
    fn status_lines_that_are_not_http_are_refused() {
        for (input, expected) in [
            (&b"HTTP/2.0 101 a\r\n\r\n"[..], HeadError::UnsupportedVersion),
            (b"HTTP/9.9 101 a\r\n\r\n", HeadError::UnsupportedVersion),
            (b"SSH-2.0-OpenSSH\r\n\r\n", HeadError::InvalidStartLine),
            (b"HTTP/1.1 1x1 a\r\n\r\n", HeadError::InvalidStartLine),
            (b"HTTP/1.1 1011 a\r\n\r\n", HeadError::InvalidStartLine),
            (b"GET / HTTP/1.1\r\n\r\n", HeadError::InvalidStartLine),
        ] {
            assert_eq!(take(input).unwrap_err(), expected, "{}", input.escape_ascii());
        }
    }
}
