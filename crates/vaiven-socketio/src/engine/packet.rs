//! One packet of Engine.IO, as a WebSocket carries it: a message with the packet's type before it.
//!
//! A text message is a packet whose first character is its type; a binary message is a message of the application.

use bytes::Bytes;
use vaiven::{Message, Text};

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// The client is done with the session.
    Close,
    /// Asks whether a transport works, before an upgrade.
    Probe,
    /// Answers a ping.
    Pong,
    /// A message of the application.
    Message(Message),
    /// The client goes on over this transport.
    Upgrade,
    /// Nothing.
    Noop,
}

/// It is no packet, or none that a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidPacket;

/// Packets of the server that carry nothing.
pub(super) const CLOSE: Message = Message::Text(Text::from_static("1"));
pub(super) const PING: Message = Message::Text(Text::from_static("2"));
pub(super) const PROBE_ANSWER: Message = Message::Text(Text::from_static("3probe"));
pub(super) const NOOP: Message = Message::Text(Text::from_static("6"));

impl Packet {
    /// The packet that a message of a WebSocket is.
    pub(super) fn decode(message: Message) -> Result<Self, InvalidPacket> {
        let text = match message {
            Message::Binary(_) => return Ok(Self::Message(message)),
            Message::Text(text) => text,
        };
        match (text.as_bytes(), &*text) {
            ([b'4', ..], _) => {
                let rest = text.into_bytes().slice(1..);
                Ok(Self::Message(Message::Text(Text::try_from(rest).map_err(|_| InvalidPacket)?)))
            }
            (_, "1") => Ok(Self::Close),
            (_, "2probe") => Ok(Self::Probe),
            (_, "3") => Ok(Self::Pong),
            (_, "5") => Ok(Self::Upgrade),
            (_, "6") => Ok(Self::Noop),
            _ => Err(InvalidPacket),
        }
    }
}

/// A message of the application as a packet.
pub(super) fn encode(message: &Message) -> Message {
    match message {
        Message::Binary(_) => message.clone(),
        Message::Text(text) => {
            let mut packet = Vec::with_capacity(1 + text.len());
            packet.push(b'4');
            packet.extend_from_slice(text.as_bytes());
            Message::Text(Text::try_from(Bytes::from(packet)).expect("it was text and a digit"))
        }
    }
}
