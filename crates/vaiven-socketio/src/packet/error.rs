//! Why a packet was refused, and why arguments could not be written.

use std::fmt;

/// A rule of the protocol that a client broke: its connection is ended, with `parse error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// The first character is no type that a client may send.
    Type,
    /// The number of attachments is missing, none, or not followed by a hyphen.
    AttachmentCount,
    /// More attachments than [`PacketLimits::max_attachments`](super::PacketLimits::max_attachments).
    TooManyAttachments,
    /// A packet with its attachments exceeds [`PacketLimits::max_packet_bytes`](super::PacketLimits::max_packet_bytes).
    TooLarge,
    /// A placeholder names no attachment of its packet.
    Placeholder,
    /// Text arrived where an attachment was due.
    TextForAttachment,
    /// Bytes arrived where a packet was due.
    UnexpectedBinary,
    /// A namespace that does not begin with a slash, has a comma, or is longer than
    /// [`MAX_NAMESPACE_BYTES`](super::MAX_NAMESPACE_BYTES).
    Namespace,
    /// A number of an acknowledgement that is missing, misplaced, or above [`MAX_ACK_ID`](super::MAX_ACK_ID).
    AckId,
    /// A payload that is no JSON, or not what this type of packet carries.
    Payload,
    /// An event without a name of text.
    EventName,
    /// An event with a name of the libraries' own.
    ReservedEvent,
    /// A packet for a namespace that was not joined, or CONNECT for one that was.
    State,
    /// A message that is no MessagePack, or nested more deeply than 128 times.
    MsgPack,
}

impl PacketError {
    fn as_str(self) -> &'static str {
        match self {
            Self::Type => "unknown packet type",
            Self::AttachmentCount => "illegal number of attachments",
            Self::TooManyAttachments => "too many attachments",
            Self::TooLarge => "the packet and its attachments are too large",
            Self::Placeholder => "a placeholder names no attachment",
            Self::TextForAttachment => "text where an attachment was due",
            Self::UnexpectedBinary => "bytes where a packet was due",
            Self::Namespace => "illegal namespace",
            Self::AckId => "illegal acknowledgement id",
            Self::Payload => "invalid payload",
            Self::EventName => "an event's name is text",
            Self::ReservedEvent => "a reserved event name",
            Self::State => "a packet that its namespace's state does not allow",
            Self::MsgPack => "invalid MessagePack",
        }
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for PacketError {}

/// Arguments that could not be written, or read as what a handler asked for.
#[derive(Debug)]
pub struct EncodeError(pub(crate) serde_json::Error);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the arguments cannot be written as JSON: {}", self.0)
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
