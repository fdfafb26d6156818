//! Why a server that was reached gave no connection: one variant per thing that a caller would do next.
//!
//! Every message names the URL without its query, says what happened, and what to try. What the server itself says
//! is shown, cut and with control characters escaped: it goes to terminals and logs.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use vaiven_proto::handshake::{HandshakeError, ResponseHead};

/// Characters of a refusal's own text that a message repeats.
const MAX_CHARS_SHOWN: usize = 300;

/// A client's opening handshake that gave no connection.
#[derive(Debug)]
pub struct HandshakeFailure {
    url: String,
    problem: HandshakeProblem,
}

/// What went wrong in a client's opening handshake.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeProblem {
    /// The request cannot be sent as it was asked for: nothing was connected.
    Request(HandshakeError),
    /// The server answered with another status than 101.
    Refused(Refused),
    /// The answer breaks a rule: whoever sent it does not speak WebSocket as it should.
    Response(HandshakeError),
    /// No whole answer came within this limit.
    Timeout(Duration),
    /// The connection ended before the answer did.
    Disconnected,
    /// The connection failed.
    Io(io::Error),
}

/// An answer with another status than 101.
#[derive(Clone, Debug)]
pub struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// Status and reason in a sentence, with what they mean for a WebSocket.
    summary: String,
}

impl HandshakeFailure {
    pub(super) fn new(url: impl fmt::Display, problem: HandshakeProblem) -> Self {
        Self { url: url.to_string(), problem }
    }

    /// The URL that was asked, without query and credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What went wrong.
    pub fn problem(&self) -> &HandshakeProblem {
        &self.problem
    }

    /// The server's refusal, if it was one.
    pub fn refused(&self) -> Option<&Refused> {
        match &self.problem {
            HandshakeProblem::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without a change: the server was too busy, too slow or cut off.
    pub fn is_transient(&self) -> bool {
        match &self.problem {
            HandshakeProblem::Timeout(_) | HandshakeProblem::Disconnected | HandshakeProblem::Io(_) => true,
            HandshakeProblem::Refused(refused) => {
                matches!(refused.status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            HandshakeProblem::Request(_) | HandshakeProblem::Response(_) => false,
        }
    }
}

impl Refused {
    pub(super) fn new(head: &ResponseHead, summary: String, body: Bytes) -> Self {
        Self {
            status: StatusCode::from_u16(head.status()).unwrap_or_default(),
            headers: super::response::header_map(head.fields()),
            body,
            summary,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields, such as `Retry-After` and `WWW-Authenticate`.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The beginning of the body, 4 KiB at most and what came of it within a second.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the server says in its own words: one line of at most 300 characters, those that a terminal or a log
    /// would act on escaped. `None` where the body is empty or a web page.
    pub fn text(&self) -> Option<String> {
        let content_type = self.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let is_page = content_type.is_some_and(|kind| {
            let plain = [&b"text/plain"[..], b"application/json", b"application/problem+json"];
            !plain
                .iter()
                .any(|plain| kind.get(..plain.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(plain)))
        });
        if is_page {
            return None;
        }
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            return None;
        }
        let mut shown = String::new();
        for char in line.chars().take(MAX_CHARS_SHOWN) {
            push_visible(&mut shown, char);
        }
        if line.chars().nth(MAX_CHARS_SHOWN).is_some() {
            shown.push('…');
        }
        Some(shown)
    }
}

/// Quotes and backslashes are harmless; whatever else `Debug` would escape stays escaped.
fn push_visible(out: &mut String, char: char) {
    if matches!(char, '"' | '\'' | '\\') {
        out.push(char);
    } else {
        out.extend(char.escape_debug());
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        match &self.problem {
            HandshakeProblem::Request(error) => write!(f, "nothing was sent to {url}: {error}"),
            HandshakeProblem::Refused(refused) => write!(f, "{url} refused the WebSocket: {refused}"),
            HandshakeProblem::Response(error) => {
                write!(f, "{url} does not answer as a WebSocket server does: {error}")
            }
            HandshakeProblem::Timeout(limit) => write!(
                f,
                "{url} did not answer the opening handshake within {limit:?}; check that a WebSocket server \
                 listens there, or allow more time"
            ),
            HandshakeProblem::Disconnected => write!(
                f,
                "{url} closed the connection without answering the opening handshake; check that a WebSocket \
                 server listens there, and that wss:// is used where it wants TLS"
            ),
            HandshakeProblem::Io(error) => {
                write!(f, "the connection to {url} failed in the opening handshake: {error}")
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        if let Some(text) = self.text() {
            f.write_str("; it says: ")?;
            f.write_str(&text)?;
        }
        Ok(())
    }
}

impl Error for HandshakeFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            HandshakeProblem::Request(error) | HandshakeProblem::Response(error) => Some(error),
            HandshakeProblem::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    #[track_caller]
    fn check(content_type: Option<&'static str>, body: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        if let Some(kind) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        let refused = Refused { status: StatusCode::FORBIDDEN, headers, body, summary: String::new() };
        assert_eq!(refused.text().as_deref(), expected);
    }

    #[test]
    fn a_servers_words_are_shown_in_one_safe_line() {
        check(None, "", None);
        check(None, " \r\n ", None);
        check(Some("text/plain; charset=utf-8"), "foreign origin\r\n", Some("foreign origin"));
        check(Some("Application/JSON"), "{\"error\":\n \"no\"}", Some("{\"error\": \"no\"}"));
        check(Some("text/html"), "<h1>403</h1>", None);
        check(None, "\u{1b}[31mred\u{7}\u{202e}", Some("\\u{1b}[31mred\\u{7}\\u{202e}"));
    }

    #[test]
    fn a_long_text_is_cut() {
        let whole = "ñ".repeat(MAX_CHARS_SHOWN);
        check(None, &whole, Some(&whole));
        check(None, &format!("{whole}!"), Some(&format!("{whole}…")));
    }
}
