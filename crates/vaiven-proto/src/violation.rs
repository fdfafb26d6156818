//! The one table that maps every broken rule to its close code and its place in the standard.
//!
//! A peer that breaks a rule fails the connection (RFC 6455 section 7.1.7): the variant says which rule, and
//! from it follow the close code on the wire and the sentence in the log.

use crate::CloseCode;
use std::fmt;

/// A rule of RFC 6455, RFC 7692 or a configured limit that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A client sent a frame without a mask.
    UnmaskedFrame,
    /// A server sent a masked frame.
    MaskedFrame,
    /// A reserved bit is set that no negotiated extension defines.
    ReservedBits,
    /// RSV1 is set on a control frame or on a continuation, where compression cannot be.
    MisplacedCompressionBit,
    /// An opcode that the standard reserves: 3-7 or 11-15.
    ReservedOpcode,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame that announces more than 125 bytes.
    OversizedControl,
    /// A continuation frame where no message is open.
    UnexpectedContinuation,
    /// A text or binary frame inside a message that is not finished.
    UnfinishedMessage,
    /// A length in more bytes than it needs.
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set.
    LengthOutOfRange,
    /// A Close frame with a body of one byte.
    TruncatedCloseCode,
    /// A close code that must not appear on the wire.
    InvalidCloseCode,
    /// A close reason that is not UTF-8.
    InvalidCloseReason,
    /// A text message that is not UTF-8.
    InvalidUtf8,
    /// A compressed message that does not inflate.
    InvalidDeflate,
    /// A message longer than `max_message_bytes`, before or after inflation.
    MessageTooLarge,
    /// A message in more than `max_fragments` frames.
    TooManyFragments,
    /// Too many frames that bring a message no further: pings, pongs, empty fragments.
    FrameFlood,
    /// A message that was begun and not finished within `partial_message_timeout`.
    PartialMessageTimeout,
}

impl Violation {
    /// Every violation, in the order of the enum: for tables in documentation and for tests.
    pub const ALL: [Self; 20] = [
        Self::UnmaskedFrame,
        Self::MaskedFrame,
        Self::ReservedBits,
        Self::MisplacedCompressionBit,
        Self::ReservedOpcode,
        Self::FragmentedControl,
        Self::OversizedControl,
        Self::UnexpectedContinuation,
        Self::UnfinishedMessage,
        Self::NonMinimalLength,
        Self::LengthOutOfRange,
        Self::TruncatedCloseCode,
        Self::InvalidCloseCode,
        Self::InvalidCloseReason,
        Self::InvalidUtf8,
        Self::InvalidDeflate,
        Self::MessageTooLarge,
        Self::TooManyFragments,
        Self::FrameFlood,
        Self::PartialMessageTimeout,
    ];

    /// The row of the table: close code, section of the standard, what happened.
    const fn row(self) -> (CloseCode, &'static str, &'static str) {
        use CloseCode as C;
        match self {
            Self::UnmaskedFrame => (C::PROTOCOL, "RFC 6455 5.1", "the client sent an unmasked frame"),
            Self::MaskedFrame => (C::PROTOCOL, "RFC 6455 5.1", "the server sent a masked frame"),
            Self::ReservedBits => (C::PROTOCOL, "RFC 6455 5.2", "a reserved bit is set without an extension"),
            Self::MisplacedCompressionBit => {
                (C::PROTOCOL, "RFC 7692 6.1", "the compression bit is set on a control or continuation frame")
            }
            Self::ReservedOpcode => (C::PROTOCOL, "RFC 6455 5.2", "the frame has a reserved opcode"),
            Self::FragmentedControl => (C::PROTOCOL, "RFC 6455 5.5", "a control frame is fragmented"),
            Self::OversizedControl => {
                (C::PROTOCOL, "RFC 6455 5.5", "a control frame is longer than 125 bytes")
            }
            Self::UnexpectedContinuation => {
                (C::PROTOCOL, "RFC 6455 5.4", "a continuation frame came where no message is open")
            }
            Self::UnfinishedMessage => {
                (C::PROTOCOL, "RFC 6455 5.4", "a new message began before the last one was finished")
            }
            Self::NonMinimalLength => (C::PROTOCOL, "RFC 6455 5.2", "the length is not in its shortest form"),
            Self::LengthOutOfRange => (C::PROTOCOL, "RFC 6455 5.2", "the 64-bit length has its top bit set"),
            Self::TruncatedCloseCode => (C::PROTOCOL, "RFC 6455 5.5.1", "the close body is one byte long"),
            Self::InvalidCloseCode => {
                (C::PROTOCOL, "RFC 6455 7.4", "the close code must not appear on the wire")
            }
            Self::InvalidCloseReason => (C::INVALID_DATA, "RFC 6455 5.5.1", "the close reason is not UTF-8"),
            Self::InvalidUtf8 => (C::INVALID_DATA, "RFC 6455 8.1", "a text message is not UTF-8"),
            Self::InvalidDeflate => {
                (C::INVALID_DATA, "RFC 7692 7.2.2", "a compressed message does not inflate")
            }
            Self::MessageTooLarge => {
                (C::TOO_BIG, "RFC 6455 10.4", "a message is longer than max_message_bytes")
            }
            Self::TooManyFragments => {
                (C::POLICY, "RFC 6455 10.4", "a message has more frames than max_fragments")
            }
            Self::FrameFlood => (C::POLICY, "RFC 6455 10.4", "too many frames bring no message further"),
            Self::PartialMessageTimeout => {
                (C::POLICY, "RFC 6455 10.4", "a message was not finished within partial_message_timeout")
            }
        }
    }

    /// The close code that is sent to the peer (RFC 6455 section 7.4.1).
    pub const fn close_code(self) -> CloseCode {
        self.row().0
    }

    /// The section of the standard that holds the rule, as `RFC 6455 5.1`.
    pub const fn section(self) -> &'static str {
        self.row().1
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, section, what) = self.row();
        write!(f, "{what} ({section})")
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_has_a_code_that_may_be_sent_and_a_section() {
        for violation in Violation::ALL {
            assert!(violation.close_code().is_sendable(), "{violation:?}");
            assert!(violation.section().starts_with("RFC "), "{violation:?}");
            let text = violation.to_string();
            assert!(!text.ends_with('.') && text.starts_with(char::is_lowercase), "{text}");
        }
    }
}
