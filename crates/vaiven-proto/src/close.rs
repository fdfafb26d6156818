//! Close codes and the body of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use crate::{Text, Violation};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// A status code that says why a connection was closed (RFC 6455 section 7.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away, as a server that stops or a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: the endpoint cannot take this type of data.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: a Close frame without a code came. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the data do not match the type of the message, as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy was broken for which no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met a condition that keeps it from going on.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts; the client may come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; the client should come back later.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS: Self = Self(1015);

    /// A code of any value; [`is_sendable`](Self::is_sendable) says whether it may go on the wire.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether the code may appear in a Close frame: 1000-1003, 1007-1014, 3000-4999
    /// (RFC 6455 section 7.4.2 and the IANA registry).
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Code and reason of a Close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection ends.
    pub code: CloseCode,
    /// A sentence for the log of the other side, at most [`MAX_REASON_BYTES`](Self::MAX_REASON_BYTES) long.
    pub reason: Text,
}

impl CloseFrame {
    /// The longest reason, in bytes: a control frame holds 125, two of them are the code.
    pub const MAX_REASON_BYTES: usize = 123;

    /// A frame with this code and reason. A reason that is too long is cut at a character's border.
    pub fn new(code: impl Into<CloseCode>, reason: &str) -> Self {
        let end = reason.floor_char_boundary(Self::MAX_REASON_BYTES);
        Self { code: code.into(), reason: Text::from(reason.split_at(end).0) }
    }

    /// Reads the body of a Close frame; `None` is the empty body, which stands for 1005.
    ///
    /// # Errors
    /// [`Violation::TruncatedCloseCode`], [`Violation::InvalidCloseCode`], [`Violation::InvalidCloseReason`].
    pub fn parse(body: &[u8]) -> Result<Option<Self>, Violation> {
        let (code, reason) = match body {
            [] => return Ok(None),
            [_] => return Err(Violation::TruncatedCloseCode),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.is_sendable() {
            return Err(Violation::InvalidCloseCode);
        }
        let reason =
            Text::try_from(Bytes::copy_from_slice(reason)).map_err(|_| Violation::InvalidCloseReason)?;
        Ok(Some(Self { code, reason }))
    }

    /// The body of the Close frame: two bytes of code, then the reason.
    pub fn to_body(&self) -> Bytes {
        let end = self.reason.floor_char_boundary(Self::MAX_REASON_BYTES);
        let mut body = BytesMut::with_capacity(2 + end);
        body.put_u16(self.code.0);
        body.put_slice(self.reason.as_bytes().split_at(end).0);
        body.freeze()
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            write!(f, "{}", self.code)
        } else {
            write!(f, "{} {}", self.code, self.reason.escape_debug())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], expected: Result<Option<u16>, Violation>) {
        let parsed = CloseFrame::parse(body).map(|frame| frame.map(|frame| frame.code.value()));
        assert_eq!(parsed, expected, "{body:02x?}");
    }

    #[test]
    fn bodies_are_read_as_the_standard_says() {
        check(&[], Ok(None));
        check(&[3], Err(Violation::TruncatedCloseCode));
        check(&[3, 232], Ok(Some(1000)));
        check(b"\x03\xe8\xff", Err(Violation::InvalidCloseReason));
    }

    #[test]
    fn only_codes_for_the_wire_are_sendable() {
        for code in 0..=u16::MAX {
            let expected = (1000..=1003).contains(&code)
                || (1007..=1014).contains(&code)
                || (3000..=4999).contains(&code);
            assert_eq!(CloseCode::new(code).is_sendable(), expected, "{code}");
            check(
                &code.to_be_bytes(),
                if expected { Ok(Some(code)) } else { Err(Violation::InvalidCloseCode) },
            );
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = CloseFrame::new(1000, &"ñ".repeat(100));
        assert_eq!(frame.reason.len(), 122);
        assert_eq!(frame.to_body().len(), 124);
    }
}
