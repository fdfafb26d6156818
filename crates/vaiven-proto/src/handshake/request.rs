//! The head of a request (RFC 9112 section 3): method, target, version and fields, of an upgrade or of any
//! other request.

use super::fields::Span;
use super::{Fields, HeadError, HeadExtent, HeadScanner, Refusal, Upgrade};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// The version in a request or status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/1.0, which cannot upgrade.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// Any other.
    Other,
}

/// The head of a request. It keeps the bytes as they came, so that a request which is no upgrade can be handed
/// to an HTTP server.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    method: Span,
    target: Span,
    version: HttpVersion,
    fields: Fields,
}

impl RequestHead {
    /// Takes a head off the front of `received` once it is complete; what stands behind it stays. The scanner
    /// is then ready for the next head.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use vaiven_proto::handshake::{HeadLimits, HeadScanner, RequestHead};
    ///
    /// let mut scanner = HeadScanner::new(HeadLimits::default());
    /// let mut received = BytesMut::from("GET /chat?room=a HTTP/1.1\r\nHost: example.com\r\n\r\nbehind");
    /// let head = RequestHead::take(&mut scanner, &mut received)?.expect("the head is complete");
    /// assert_eq!((head.method(), head.path(), head.query()), ("GET", "/chat", Some("room=a")));
    /// assert_eq!(head.fields().first("host"), Some(&b"example.com"[..]));
    /// assert_eq!(received, "behind");
    /// # Ok::<(), vaiven_proto::handshake::HeadError>(())
    /// ```
    ///
    /// # Errors
    /// Any [`HeadError`]; [`Refusal::from`] makes the answer of it.
    ///
    /// # Limits
    /// Those of the scanner. `received` itself is the caller's: no more than [`max_bytes`] need be read into it.
    ///
    /// [`max_bytes`]: super::HeadLimits::max_bytes
    pub fn take(scanner: &mut HeadScanner, received: &mut BytesMut) -> Result<Option<Self>, HeadError> {
        let Some(extent) = scanner.scan(received)? else { return Ok(None) };
        *scanner = HeadScanner::new(scanner.limits());
        let head = received.split_to(extent.bytes()).freeze();
        Self::parse(&head, extent).map(Some)
    }

    /// Reads a head that a scanner found complete; `head` is exactly the bytes that were scanned.
    ///
    /// # Errors
    /// [`HeadError::InvalidStartLine`] and [`HeadError::UnsupportedVersion`].
    pub fn parse(head: &Bytes, extent: HeadExtent) -> Result<Self, HeadError> {
        debug_assert_eq!(head.len(), extent.bytes());
        super::fields::with_room(extent.fields(), |room| {
            let mut request = httparse::Request::new(room);
            let (Ok(httparse::Status::Complete(_)), Some(method), Some(target), Some(version)) =
                (request.parse(head), request.method, request.path, request.version)
            else {
                return Err(start_line_error(head));
            };
            Ok(Self {
                method: Span::of(method.as_bytes(), head)?,
                target: Span::of(target.as_bytes(), head)?,
                version: if version == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 },
                fields: Fields::new(head, request.headers)?,
            })
        })
    }

    /// The method, as `GET`.
    pub fn method(&self) -> &str {
        self.method.text(self.fields.head())
    }

    /// The target as it came: path and query, or a whole URL.
    pub fn target(&self) -> &str {
        self.target.text(self.fields.head())
    }

    /// The path of the target, still percent-encoded; `/` where a whole URL has none.
    pub fn path(&self) -> &str {
        let path = self.origin_form().split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// The query behind the question mark, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.origin_form().split('#').next()?.split_once('?').map(|(_, query)| query)
    }

    /// The version.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// The header fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The bytes of the head as they came.
    pub fn as_bytes(&self) -> &Bytes {
        self.fields.head()
    }

    /// Whether the client wants a WebSocket, rightly or not: a field names it. Any other request is one for an
    /// HTTP server.
    pub fn wants_websocket(&self) -> bool {
        self.fields.tokens("upgrade").any(|token| token.eq_ignore_ascii_case(b"websocket"))
            || self.fields.first("sec-websocket-key").is_some()
    }

    /// The request as an upgrade, by the rules of [`Upgrade::check`].
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub fn upgrade(&self) -> Result<Upgrade<'_>, Refusal> {
        Upgrade::check(self.method(), self.version, self.fields.iter())
    }

    /// The target without the scheme and authority of its absolute form (RFC 9112 section 3.2.2).
    fn origin_form(&self) -> &str {
        let target = self.target();
        if target.starts_with('/') {
            return target;
        }
        let Some((_, rest)) = target.split_once("://") else { return target };
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        rest.split_at(authority).1
    }
}

impl fmt::Debug for RequestHead {
    /// Without query and values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// httparse knows 1.0 and 1.1 only; another version of HTTP gets its own answer (RFC 9110 section 15.6.6).
fn start_line_error(head: &[u8]) -> HeadError {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") => HeadError::InvalidStartLine,
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => {
            HeadError::UnsupportedVersion
        }
        _ => HeadError::InvalidStartLine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::HeadLimits;

    fn take(input: &str) -> Result<RequestHead, HeadError> {
        let mut received = BytesMut::from(input);
        let head = RequestHead::take(&mut HeadScanner::new(HeadLimits::default()), &mut received)?;
        Ok(head.expect("the head is complete"))
    }

    #[track_caller]
    fn check_target(target: &str, path: &str, query: Option<&str>) {
        let head = take(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        assert_eq!((head.target(), head.path(), head.query()), (target, path, query));
    }

    #[test]
    fn targets_split_into_path_and_query() {
        check_target("/", "/", None);
        check_target("/a%20b?", "/a%20b", Some(""));
        check_target("/a?b=c?d://e", "/a", Some("b=c?d://e"));
        check_target("http://example.com", "/", None);
        check_target("http://example.com?a", "/", Some("a"));
        check_target("http://user@[::1]:80/a/b?c", "/a/b", Some("c"));
        check_target("*", "*", None);
    }

    #[test]
    fn first_lines_that_are_not_http_are_refused() {
        for (line, expected) in [
            ("GET / HTTP/9.9", HeadError::UnsupportedVersion),
            ("PRI * HTTP/2.0", HeadError::UnsupportedVersion),
            ("GET / HTTP/1.2", HeadError::UnsupportedVersion),
            ("GET / HTTP/11", HeadError::InvalidStartLine),
            ("GET / http/1.1", HeadError::InvalidStartLine),
            ("GET /", HeadError::InvalidStartLine),
            ("GET  / HTTP/1.1", HeadError::InvalidStartLine),
            ("GET / a HTTP/1.1", HeadError::InvalidStartLine),
            ("G(T / HTTP/1.1", HeadError::InvalidStartLine),
            ("/ HTTP/1.1", HeadError::InvalidStartLine),
            (" GET / HTTP/1.1", HeadError::InvalidStartLine),
            ("SSH-2.0-OpenSSH_9.9", HeadError::InvalidStartLine),
        ] {
            assert_eq!(take(&format!("{line}\r\n\r\n")).unwrap_err(), expected, "{line}");
        }
    }

    #[test]
    fn fields_are_found_whatever_their_case() {
        let many = "X: y\r\n".repeat(90);
        for filler in ["", &many] {
            let head = take(&format!(
                "POST /a HTTP/1.0\r\n{filler}Cookie: a=b\r\nEMPTY:\r\nConnection: keep-alive, ,Upgrade\r\nconnection:\tx \r\n\r\n"
            ))
            .unwrap();
            assert_eq!((head.method(), head.version()), ("POST", HttpVersion::Http10));
            assert_eq!(head.fields().len(), 4 + filler.len() / 6);
            assert_eq!(head.fields().first("cookie"), Some(&b"a=b"[..]));
            assert_eq!(head.fields().first("empty"), Some(&b""[..]));
            assert_eq!(head.fields().single_text("connection"), None);
            assert!(head.fields().tokens("CONNECTION").eq([&b"keep-alive"[..], b"Upgrade", b"x"]));
            assert!(!head.wants_websocket());
        }
    }

    #[test]
    fn debug_shows_no_secrets() {
        let head = take("GET /a?token=s3cret HTTP/1.1\r\nCookie: s3cret\r\n\r\n").unwrap();
        assert!(!format!("{head:?}").contains("s3cret"));
    }
}
