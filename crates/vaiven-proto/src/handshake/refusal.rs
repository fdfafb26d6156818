//! The answer to a request that is not accepted: a status, and a sentence for whoever reads it.
//!
//! Every refusal closes the connection, so that nothing pipelined behind it is ever answered.

use super::field::check_field;
use super::{FieldError, HeadError, HostRefusal, OriginRefusal};
use bytes::{BufMut, BytesMut};
use std::{borrow::Cow, fmt};

/// Fields that every refusal carries. The body must be read as text, and must not be kept by a cache.
const COMMON_FIELDS: [(&str, &str); 4] = [
    ("Connection", "close"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
];

/// What a server answers instead of `101 Switching Protocols`.
///
/// ```
/// use bytes::BytesMut;
/// use vaiven_proto::handshake::Refusal;
///
/// let mut out = BytesMut::new();
/// Refusal::draining(5).write(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"));
/// assert!(out.windows(16).any(|field| field == b"Retry-After: 5\r\n"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    code: &'static str,
    fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal of any status from 400 to 599. `code` is a short, stable name for logs and metrics, `message`
    /// the sentence that the client reads: it says what is wrong and what to do.
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!((400..600).contains(&status), "a refusal is an error of the client or the server");
        Self { status, code, fields: Vec::new(), message: message.into() }
    }

    /// The same refusal with another header field, as `WWW-Authenticate`.
    ///
    /// # Errors
    /// [`FieldError`] when name or value would break the response or belong to the handshake.
    pub fn with_field(
        self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<Self, FieldError> {
        let (name, value) = (name.into(), value.into());
        check_field(&name, value.as_bytes())?;
        Ok(self.with(name, value))
    }

    /// 404: nothing is served at the path.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "Nothing is served at this path. Check the path of the URL.")
    }

    /// 403: the request comes from a page whose origin is not allowed.
    pub fn forbidden_origin(origin: &OriginRefusal) -> Self {
        Self::new(403, "origin", format!("This connection is refused: {origin}."))
    }

    /// 403: the request names the server as it may not be named.
    pub fn host_not_allowed(host: &HostRefusal) -> Self {
        Self::new(403, "host_not_allowed", format!("This request is refused: {host}."))
    }

    /// 503: the server has as many connections as it may have. The client may come back after as many seconds.
    pub fn too_many_connections(retry_after_secs: u32) -> Self {
        let message = "The server has as many connections as it is configured for. Try again later.";
        Self::new(503, "connection_cap", message).retry_after(retry_after_secs)
    }

    /// 429: too many handshakes came from the same place. The client may come back after as many seconds.
    pub fn too_many_handshakes(retry_after_secs: u32) -> Self {
        let message = "Too many handshakes came from this address. Try again later, with growing pauses.";
        Self::new(429, "handshake_rate", message).retry_after(retry_after_secs)
    }

    /// 408: the request was not complete in time.
    pub fn timeout() -> Self {
        Self::new(408, "handshake_timeout", "The request was not complete in time. Send its head at once.")
    }

    /// 503: the server is about to stop. The client may come back after as many seconds.
    pub fn draining(retry_after_secs: u32) -> Self {
        Self::new(503, "draining", "The server is about to restart. Try again later.")
            .retry_after(retry_after_secs)
    }

    /// 426: the request is not an upgrade to WebSocket.
    pub(super) fn upgrade_required() -> Self {
        let message = "This is a WebSocket endpoint, and the request does not ask for an upgrade. \
            Connect with a WebSocket client: in a browser, new WebSocket(\"wss://host/path\"), or ws:// where \
            there is no TLS. A proxy in between must pass on the headers Upgrade and Connection.";
        Self::new(426, "upgrade", message).with("Upgrade", "websocket")
    }

    /// 426: the version of the protocol is not 13.
    pub(super) fn unsupported_version() -> Self {
        let message = "The request does not ask for version 13 of the WebSocket protocol, the only one that is \
            spoken here. Send Sec-WebSocket-Version: 13.";
        Self::new(426, "websocket_version", message)
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
    }

    /// 405: the method is not GET.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(405, "method", "A WebSocket handshake is a GET request. Use the method GET.")
            .with("Allow", "GET")
    }

    /// 400: the request breaks a rule.
    pub(super) fn bad_request(code: &'static str, message: &'static str) -> Self {
        Self::new(400, code, message)
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.with("Retry-After", seconds.to_string())
    }

    fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The short, stable name of the rule, for logs and metrics.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence for the client, which is the body of the response.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The header fields of the response, without `Content-Length`.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        // RFC 9110 section 7.8: a sender of Upgrade "MUST also send an Upgrade connection option".
        let upgrades = self.fields.iter().any(|(name, _)| name == "Upgrade");
        COMMON_FIELDS
            .into_iter()
            .map(move |(name, value)| match name {
                "Connection" if upgrades => (name, "close, upgrade"),
                _ => (name, value),
            })
            .chain(self.fields.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Writes the whole response, head and body.
    pub fn write(&self, out: &mut BytesMut) {
        let length = (self.message.len() + 1).to_string();
        let fields: usize = self.fields().map(|(name, value)| name.len() + value.len() + 4).sum();
        // Status line, Content-Length and the empty line are below 100 bytes.
        out.reserve(100 + fields + self.message.len());
        for part in ["HTTP/1.1 ", &self.status.to_string(), " ", reason(self.status), "\r\n"] {
            out.put_slice(part.as_bytes());
        }
        for (name, value) in self.fields().chain([("Content-Length", &*length)]) {
            for part in [name, ": ", value, "\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        out.put_slice(b"\r\n");
        out.put_slice(self.message.as_bytes());
        out.put_u8(b'\n');
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        let (status, code, advice) = match error {
            HeadError::StartLineTooLong => (414, "start_line_too_long", "Use a shorter URL"),
            HeadError::FieldTooLong => (431, "field_too_long", "Send shorter headers or fewer cookies"),
            HeadError::TooLarge => (431, "head_too_large", "Send fewer or shorter headers or cookies"),
            HeadError::TooManyFields => (431, "too_many_fields", "Send fewer headers"),
            HeadError::UnsupportedVersion => (505, "http_version", "Use HTTP/1.1"),
            _ => (400, "malformed_head", "Send a request as RFC 9112 describes it"),
        };
        Self::new(status, code, format!("The request is refused: {error}. {advice}."))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.status, reason(self.status), self.code)
    }
}

impl std::error::Error for Refusal {}

/// The reason phrase of a status (RFC 9110 section 15, RFC 6585).
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refusal: &Refusal, status_line: &str, field: Option<&str>) {
        let mut out = BytesMut::from("before");
        refusal.write(&mut out);
        let text = std::str::from_utf8(&out).unwrap().strip_prefix("before").unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let lines: Vec<_> = head.split("\r\n").collect();
        assert_eq!(lines[0], format!("HTTP/1.1 {status_line}"));
        assert_eq!(body, format!("{}\n", refusal.message()));
        assert!(lines.contains(&&*format!("Content-Length: {}", body.len())), "{head}");
        assert!(lines.iter().any(|line| line.starts_with("Connection: close")), "{head}");
        assert!(lines.contains(&"Content-Type: text/plain; charset=utf-8"), "{head}");
        assert!(lines.contains(&"X-Content-Type-Options: nosniff"), "{head}");
        assert!(lines.contains(&"Cache-Control: no-store"), "{head}");
        assert!(field.is_none_or(|field| lines.contains(&field)), "{field:?} in {head}");
        assert!(!refusal.code().is_empty());
    }

    #[test]
    fn every_refusal_is_a_whole_response_that_closes() {
        check(&Refusal::not_found(), "404 Not Found", None);
        check(&Refusal::too_many_connections(7), "503 Service Unavailable", Some("Retry-After: 7"));
        check(&Refusal::too_many_handshakes(1), "429 Too Many Requests", Some("Retry-After: 1"));
        check(&Refusal::timeout(), "408 Request Timeout", None);
        check(&Refusal::draining(30), "503 Service Unavailable", Some("Retry-After: 30"));
        check(&Refusal::upgrade_required(), "426 Upgrade Required", Some("Upgrade: websocket"));
        check(&Refusal::upgrade_required(), "426 Upgrade Required", Some("Connection: close, upgrade"));
        check(&Refusal::unsupported_version(), "426 Upgrade Required", Some("Sec-WebSocket-Version: 13"));
        check(&Refusal::method_not_allowed(), "405 Method Not Allowed", Some("Allow: GET"));
        let refusal = Refusal::new(401, "token", "Send a token.").with_field("WWW-Authenticate", "Bearer");
        check(&refusal.unwrap(), "401 Unauthorized", Some("WWW-Authenticate: Bearer"));
    }

    #[test]
    fn a_head_that_is_refused_gets_its_status() {
        for (error, status_line) in [
            (HeadError::StartLineTooLong, "414 URI Too Long"),
            (HeadError::FieldTooLong, "431 Request Header Fields Too Large"),
            (HeadError::TooLarge, "431 Request Header Fields Too Large"),
            (HeadError::TooManyFields, "431 Request Header Fields Too Large"),
            (HeadError::UnsupportedVersion, "505 HTTP Version Not Supported"),
            (HeadError::FoldedLine, "400 Bad Request"),
            (HeadError::BareLineFeed, "400 Bad Request"),
            (HeadError::ControlCharacter, "400 Bad Request"),
            (HeadError::SpaceBeforeColon, "400 Bad Request"),
            (HeadError::Tls, "400 Bad Request"),
        ] {
            check(&error.into(), status_line, None);
        }
    }

    #[test]
    fn a_field_cannot_split_the_response() {
        let refusal = || Refusal::new(401, "token", "Send a token.");
        assert!(refusal().with_field("A", "b\r\nC: d").is_err());
        assert!(refusal().with_field("A\r\nB", "c").is_err());
        assert!(refusal().with_field("Content-Length", "0").is_err());
    }
}
