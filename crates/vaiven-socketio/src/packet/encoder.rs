//! Packets of the server's to messages.

use super::json::{text, write_head};
use super::{Arguments, EncodeError, Parser, msgpack};
use bytes::Bytes;
use vaiven::Message;

/// A packet as its parser writes it: one message, or one and its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(Messages);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Messages {
    One(Message),
    Many(Vec<Message>),
}

/// The types of packets, as both parsers number them.
const CONNECT: u8 = 0;
const DISCONNECT: u8 = 1;
const EVENT: u8 = 2;
const ACK: u8 = 3;
const CONNECT_ERROR: u8 = 4;
const BINARY_EVENT: u8 = 5;
const BINARY_ACK: u8 = 6;

/// The character of a type in the default parser's text.
const fn digit(kind: u8) -> u8 {
    b'0' + kind
}

impl Encoded {
    /// The messages, in order.
    pub fn messages(&self) -> &[Message] {
        match &self.0 {
            Messages::One(message) => std::slice::from_ref(message),
            Messages::Many(messages) => messages,
        }
    }

    /// Their payloads' bytes.
    pub fn len(&self) -> usize {
        self.messages().iter().map(Message::len).sum()
    }

    /// Whether there is nothing to send, which no packet is.
    pub fn is_empty(&self) -> bool {
        self.messages().is_empty()
    }

    /// The namespace is joined; `payload` is a JSON object.
    pub fn connect(parser: Parser, namespace: &str, payload: &str) -> Self {
        Self::plain(parser, CONNECT, namespace, payload)
    }

    /// The namespace is not joined; `payload` is a JSON object with a `message`.
    pub fn connect_error(parser: Parser, namespace: &str, payload: &str) -> Self {
        Self::plain(parser, CONNECT_ERROR, namespace, payload)
    }

    /// The namespace is left, by the server's will.
    pub fn disconnect(parser: Parser, namespace: &str) -> Self {
        Self::plain(parser, DISCONNECT, namespace, "")
    }

    fn plain(parser: Parser, kind: u8, namespace: &str, payload: &str) -> Self {
        let mut out = Vec::with_capacity(namespace.len() + payload.len() + 8);
        match parser {
            Parser::Json => {
                write_head(&mut out, digit(kind), namespace, None);
                out.extend_from_slice(payload.as_bytes());
                Self(Messages::One(Message::Text(text(out))))
            }
            Parser::MsgPack => {
                msgpack::write_packet(&mut out, kind, namespace, None, payload, &[]);
                Self(Messages::One(Message::binary(out)))
            }
        }
    }

    /// An event. `offset` is where the client stands once it has it: the last argument, behind all others.
    ///
    /// # Errors
    /// [`EncodeError`] where the arguments cannot be written.
    pub fn event(
        parser: Parser,
        namespace: &str,
        id: Option<u64>,
        name: &str,
        arguments: &(impl Arguments + ?Sized),
        offset: Option<&str>,
    ) -> Result<Self, EncodeError> {
        Self::array(parser, EVENT, namespace, id, |out| {
            serde_json::to_writer(&mut *out, name).map_err(EncodeError)?;
            let behind_name = out.len();
            out.push(b',');
            let attachments = arguments.write(out)?;
            if out.len() == behind_name + 1 {
                out.truncate(behind_name);
            }
            if let Some(offset) = offset {
                out.push(b',');
                serde_json::to_writer(&mut *out, offset).map_err(EncodeError)?;
            }
            Ok(attachments)
        })
    }

    /// An acknowledgement of the client's event `id`.
    ///
    /// # Errors
    /// [`EncodeError`] where the arguments cannot be written.
    pub fn ack(
        parser: Parser,
        namespace: &str,
        id: u64,
        arguments: &(impl Arguments + ?Sized),
    ) -> Result<Self, EncodeError> {
        Self::array(parser, ACK, namespace, Some(id), |out| arguments.write(out))
    }

    /// A packet around an array, whose elements `write` appends.
    fn array(
        parser: Parser,
        kind: u8,
        namespace: &str,
        id: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>,
    ) -> Result<Self, EncodeError> {
        let mut out = Vec::with_capacity(namespace.len() + 96);
        if parser == Parser::Json {
            write_head(&mut out, digit(kind), namespace, id);
        }
        out.push(b'[');
        let attachments = write(&mut out)?;
        out.push(b']');
        if parser == Parser::MsgPack {
            let mut packet = Vec::with_capacity(out.len() + namespace.len() + 32);
            msgpack::write_packet(&mut packet, kind, namespace, id, &text(out), &attachments);
            return Ok(Self(Messages::One(Message::binary(packet))));
        }
        if attachments.is_empty() {
            return Ok(Self(Messages::One(Message::Text(text(out)))));
        }
        let kind = if kind == EVENT { BINARY_EVENT } else { BINARY_ACK };
        out.splice(..1, format!("{}{}-", char::from(digit(kind)), attachments.len()).into_bytes());
        let attachments = attachments.into_iter().map(Message::Binary);
        Ok(Self(Messages::Many(std::iter::once(Message::Text(text(out))).chain(attachments).collect())))
    }
}
