//! Why a request is refused: the codes of the protocol, as JSON.

use http::StatusCode;
use std::borrow::Cow;
use std::fmt;

/// A refused request: a status, and a code with a message that clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    code: u8,
    message: Cow<'static, str>,
}

impl Rejection {
    pub(super) const UNKNOWN_TRANSPORT: Self = Self::fixed(StatusCode::BAD_REQUEST, 0, "Transport unknown");
    pub(super) const UNKNOWN_SID: Self = Self::fixed(StatusCode::BAD_REQUEST, 1, "Session ID unknown");
    pub(super) const BAD_METHOD: Self = Self::fixed(StatusCode::BAD_REQUEST, 2, "Bad handshake method");
    pub(super) const BAD_REQUEST: Self = Self::fixed(StatusCode::BAD_REQUEST, 3, "Bad request");
    pub(super) const FORBIDDEN: Self = Self::fixed(StatusCode::FORBIDDEN, 4, "Forbidden");
    pub(super) const UNSUPPORTED_VERSION: Self =
        Self::fixed(StatusCode::BAD_REQUEST, 5, "Unsupported protocol version");
    pub(super) const TOO_LARGE: Self = Self::fixed(StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large");
    pub(super) const TOO_SLOW: Self = Self::fixed(StatusCode::REQUEST_TIMEOUT, 3, "Request timeout");
    pub(super) const TOO_MANY_SESSIONS: Self =
        Self::fixed(StatusCode::SERVICE_UNAVAILABLE, 4, "Too many sessions");

    const fn fixed(status: StatusCode, code: u8, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message) }
    }

    /// 403 with a message of one's own, which clients get as the error's.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::FORBIDDEN }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code of the protocol: 0 unknown transport, 1 unknown session, 2 wrong method, 3 bad request, 4 forbidden,
    /// 5 unsupported version.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body of the answer.
    pub fn to_json(&self) -> String {
        serde_json::json!({ "code": self.code, "message": self.message }).to_string()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {} and code {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for Rejection {}
