//! Why a client's opening handshake failed: one variant per rule.

use super::{FieldError, HeadError, MalformedExtensions, ResponseHead};
use std::fmt;

/// Why a request cannot be written, or why its response fails the connection (RFC 6455 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The host holds characters that a `Host` field must not hold, or none.
    InvalidHost(String),
    /// The target does not begin with a slash, or holds a character that must be percent-encoded.
    InvalidTarget,
    /// The origin is not visible ASCII.
    InvalidOrigin,
    /// A subprotocol to offer is not a token (RFC 6455 section 4.1).
    InvalidSubprotocol(String),
    /// A subprotocol is offered twice.
    RepeatedSubprotocol(String),
    /// A header field of the application's own cannot be sent.
    Field(FieldError),
    /// The offer of extensions, or the answer to it, does not follow the grammar.
    MalformedExtensions(MalformedExtensions),
    /// The response is not acceptable HTTP.
    Head(HeadError),
    /// More interim responses than [`MAX_INTERIM_RESPONSES`](super::MAX_INTERIM_RESPONSES).
    TooManyInterimResponses,
    /// The server sends the client elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The value of `Location`, perhaps relative to the URL of the request.
        location: String,
    },
    /// The server answered with another status than 101.
    Status(Box<ResponseHead>),
    /// The 101 response is not of HTTP/1.1.
    HttpVersion,
    /// The response has no `Upgrade: websocket`, or names another protocol beside it.
    Upgrade,
    /// The `Connection` of the response lacks `Upgrade`.
    Connection,
    /// The response has no `Sec-WebSocket-Accept`.
    MissingAccept,
    /// The response has more than one `Sec-WebSocket-Accept`.
    RepeatedAccept,
    /// `Sec-WebSocket-Accept` does not answer the key.
    WrongAccept,
    /// The server chose a subprotocol that was not offered, or several.
    UnofferedSubprotocol(String),
    /// The server chose an extension that was not offered.
    UnofferedExtension(String),
    /// The server accepted an extension more than once.
    RepeatedExtension(String),
    /// The server answered an offered extension with parameters that it must not give.
    InvalidExtension {
        /// The extension's token.
        name: String,
        /// What is wrong with its parameters.
        reason: String,
    },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHost(host) => write!(f, "{host:?} is not a host with an optional port"),
            Self::InvalidTarget => f.write_str(
                "the path of the URL must begin with a slash, and what is not visible ASCII must be \
                 percent-encoded",
            ),
            Self::InvalidOrigin => f.write_str("the origin must be visible ASCII, as in https://app.example"),
            Self::InvalidSubprotocol(name) => {
                write!(f, "subprotocol {name:?} must be a name without spaces, commas or control characters")
            }
            Self::RepeatedSubprotocol(name) => write!(f, "subprotocol {name:?} is offered twice"),
            Self::Field(error) => error.fmt(f),
            Self::MalformedExtensions(error) => error.fmt(f),
            Self::Head(error) => write!(f, "the answer cannot be read: {error}"),
            Self::TooManyInterimResponses => {
                write!(f, "the server sent more than {} interim responses", super::MAX_INTERIM_RESPONSES)
            }
            Self::Redirect { status, location } => {
                write!(f, "the server redirects ({status}) to {}", location.escape_debug())
            }
            Self::Status(head) => fmt_status(head, f),
            Self::HttpVersion => f.write_str("the 101 response is not of HTTP/1.1 (RFC 6455 4.1)"),
            Self::Upgrade => f.write_str("the response does not say Upgrade: websocket (RFC 6455 4.1)"),
            Self::Connection => f.write_str("the response does not say Connection: Upgrade (RFC 6455 4.1)"),
            Self::MissingAccept => f.write_str("the response has no Sec-WebSocket-Accept (RFC 6455 4.1)"),
            Self::RepeatedAccept => {
                f.write_str("the response has more than one Sec-WebSocket-Accept (RFC 6455 11.3.3)")
            }
            Self::WrongAccept => {
                f.write_str("the Sec-WebSocket-Accept of the response does not answer the key (RFC 6455 4.1)")
            }
            Self::UnofferedSubprotocol(name) => {
                write!(f, "the server chose subprotocol {name:?}, which was not offered (RFC 6455 4.1)")
            }
            Self::UnofferedExtension(name) => {
                write!(f, "the server chose extension {name:?}, which was not offered (RFC 6455 4.1)")
            }
            Self::RepeatedExtension(name) => {
                write!(f, "the server accepted extension {name:?} twice (RFC 6455 9.1)")
            }
            Self::InvalidExtension { name, reason } => {
                write!(f, "the server answered extension {name:?} wrongly: {}", reason.escape_debug())
            }
        }
    }
}

/// Status and reason, and what they usually mean for someone who wanted a WebSocket.
fn fmt_status(head: &ResponseHead, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the server answered {}", head.status())?;
    if !head.reason().is_empty() {
        write!(f, " {}", head.reason().escape_debug())?;
    }
    f.write_str(" instead of 101 Switching Protocols")?;
    match head.status() {
        200..=299 => f.write_str(": the address is of a web page, not of a WebSocket"),
        401 => f.write_str(": it asks for credentials"),
        403 => f.write_str(": it does not allow this origin or client"),
        404 => f.write_str(": nothing is served at this path"),
        407 => f.write_str(": the proxy asks for credentials"),
        429 | 503 => match head.fields().single_text("retry-after") {
            Some(after) => write!(f, ": try again after {}", after.escape_debug()),
            None => f.write_str(": try again later"),
        },
        _ => Ok(()),
    }
}

impl std::error::Error for HandshakeError {}

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<FieldError> for HandshakeError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<MalformedExtensions> for HandshakeError {
    fn from(error: MalformedExtensions) -> Self {
        Self::MalformedExtensions(error)
    }
}
