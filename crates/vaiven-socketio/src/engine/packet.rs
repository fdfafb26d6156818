//! One packet of Engine.IO, as a WebSocket carries it: a message with the packet's type before it.
//!
//! A text message is a packet whose first character is its type; a binary message is a message of the application. Where
//! there is only text, bytes stand behind the letter `b` in base64 (RFC 4648 section 4).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use vaiven::{Message, Text};

/// Clients may leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
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
pub struct InvalidPacket;

impl std::fmt::Display for InvalidPacket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this is no packet of Engine.IO that a client may send")
    }
}

impl std::error::Error for InvalidPacket {}

// Packets of the server that carry nothing.
pub(super) const CLOSE: Message = Message::Text(Text::from_static("1"));
pub(super) const PING: Message = Message::Text(Text::from_static("2"));
pub(super) const PROBE_ANSWER: Message = Message::Text(Text::from_static("3probe"));
pub(super) const NOOP: Message = Message::Text(Text::from_static("6"));

impl Packet {
    /// The packet that a message of a WebSocket is.
    ///
    /// ```
    /// use vaiven_socketio::engine::packet::Packet;
    /// assert_eq!(Packet::decode("4hola".into()), Ok(Packet::Message("hola".into())));
    /// assert!(Packet::decode("7".into()).is_err());
    /// ```
    ///
    /// # Errors
    /// [`InvalidPacket`].
    pub fn decode(message: Message) -> Result<Self, InvalidPacket> {
        let text = match message {
            Message::Binary(_) => return Ok(Self::Message(message)),
            Message::Text(text) => text,
        };
        match (text.as_bytes(), &*text) {
            ([b'4', ..], _) => {
                let rest = text.into_bytes().slice(1..);
                Ok(Self::Message(Message::Text(Text::try_from(rest).map_err(|_| InvalidPacket)?)))
            }
            ([b'b', base64 @ ..], _) => {
                let bytes = BASE64.decode(base64).map_err(|_| InvalidPacket)?;
                Ok(Self::Message(Message::binary(bytes)))
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
pub fn encode(message: &Message) -> Message {
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

/// Writes a packet where there is only text.
pub(super) fn write_text(packet: &Message, out: &mut String) {
    match packet {
        Message::Text(text) => out.push_str(text),
        Message::Binary(bytes) => {
            out.push('b');
            BASE64.encode_string(bytes, out);
        }
    }
}

/// The packet for a client that takes only text.
pub(super) fn as_text(packet: Message) -> Message {
    match packet {
        Message::Text(_) => packet,
        Message::Binary(_) => {
            let mut text = String::new();
            write_text(&packet, &mut text);
            Message::text(text)
        }
    }
}
