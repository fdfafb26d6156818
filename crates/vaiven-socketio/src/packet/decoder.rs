//! Messages to packets: one message is a packet, or the beginning of one whose attachments follow.

use super::{Packet, PacketError, Parser, json, msgpack};
use bytes::Bytes;
use vaiven::{Message, Text};

/// How much a client may make the server hold for one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketLimits {
    /// Attachments of a packet. Default: 10, as in the official parser.
    pub max_attachments: usize,
    /// A packet with all of its attachments, in bytes. Default: 1,000,000, the most that one message may have.
    pub max_packet_bytes: usize,
}

impl Default for PacketLimits {
    fn default() -> Self {
        Self { max_attachments: 10, max_packet_bytes: 1_000_000 }
    }
}

/// Reads a connection's messages. A message that breaks a rule leaves nothing behind.
///
/// ```
/// use vaiven_socketio::packet::{Decoder, Packet, PacketLimits, Parser};
/// let mut decoder = Decoder::new(Parser::Json, PacketLimits::default());
/// let packet = decoder.decode(r#"27["chat","hola"]"#.into())?;
/// let Some(Packet::Event { id, name, args, .. }) = packet else { panic!("an event") };
/// assert_eq!((id, name.as_str(), args.json()), (Some(7), "chat", r#""hola""#));
/// # Ok::<(), vaiven_socketio::packet::PacketError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    parser: Parser,
    limits: PacketLimits,
    /// Boxed: most connections never have one, and each of them has a decoder.
    pending: Option<Box<Pending>>,
}

/// A packet whose attachments have not all arrived.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    missing: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
}

impl Decoder {
    /// Reads what this parser writes.
    pub fn new(parser: Parser, limits: PacketLimits) -> Self {
        Self { parser, limits, pending: None }
    }

    /// The parser.
    pub fn parser(&self) -> Parser {
        self.parser
    }

    /// Bytes that are held until a packet's attachments are complete.
    pub fn pending_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes)
    }

    /// Takes a message; gives a packet when it is complete.
    ///
    /// # Errors
    /// [`PacketError`], after which the connection is to be ended: what follows means nothing.
    pub fn decode(&mut self, message: Message) -> Result<Option<Packet>, PacketError> {
        let pending = self.pending.take();
        match (message, pending) {
            (Message::Binary(bytes), Some(pending)) => self.attach(pending, bytes),
            (Message::Text(_), Some(_)) => Err(PacketError::TextForAttachment),
            (message, None) if message.len() > self.limits.max_packet_bytes => Err(PacketError::TooLarge),
            (Message::Text(text), None) if self.parser == Parser::Json => self.begin(&text),
            (Message::Binary(bytes), None) if self.parser == Parser::MsgPack => {
                msgpack::decode(&bytes, self.limits.max_attachments).map(Some)
            }
            (Message::Binary(_), None) => Err(PacketError::UnexpectedBinary),
            (Message::Text(_), None) => Err(PacketError::MsgPack),
        }
    }

    fn begin(&mut self, text: &Text) -> Result<Option<Packet>, PacketError> {
        let json::Head { packet, attachments } = json::decode(text, self.limits.max_attachments)?;
        if attachments == 0 {
            return Ok(Some(packet));
        }
        let pending = Pending {
            packet,
            missing: attachments,
            attachments: Vec::with_capacity(attachments),
            bytes: text.len(),
        };
        self.pending = Some(Box::new(pending));
        Ok(None)
    }

    fn attach(&mut self, mut pending: Box<Pending>, bytes: Bytes) -> Result<Option<Packet>, PacketError> {
        pending.bytes += bytes.len();
        if pending.bytes > self.limits.max_packet_bytes {
            return Err(PacketError::TooLarge);
        }
        pending.attachments.push(bytes);
        pending.missing -= 1;
        if pending.missing > 0 {
            self.pending = Some(pending);
            return Ok(None);
        }
        let Pending { packet, attachments, .. } = *pending;
        Ok(Some(packet.with_attachments(attachments)))
    }
}

impl Packet {
    /// The namespace that it is for.
    pub fn namespace(&self) -> &Text {
        match self {
            Self::Connect { namespace, .. }
            | Self::Disconnect { namespace }
            | Self::Event { namespace, .. }
            | Self::Ack { namespace, .. } => namespace,
        }
    }

    fn with_attachments(mut self, attachments: Vec<Bytes>) -> Self {
        if let Self::Event { args, .. } | Self::Ack { args, .. } = &mut self {
            *args = std::mem::take(args).attached(attachments);
        }
        self
    }
}
