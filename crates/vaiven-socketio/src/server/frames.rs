//! One packet for many clients: encoded once for each parser, and framed once.

use crate::engine::PreparedMessages;
use crate::packet::{Args, Arguments, EncodeError, Encoded, Parser};

/// Which parsers a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parsers {
    /// The default one.
    #[default]
    Json,
    /// MessagePack's alone.
    MsgPack,
    /// Whichever a client begins with: its first message is binary where it is MessagePack. What is sent to many is
    /// encoded twice.
    Either,
}

/// A packet, ready for every connection.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    json: Option<PreparedMessages>,
    msgpack: Option<PreparedMessages>,
    /// What it takes to keep it.
    bytes: usize,
}

impl Frames {
    /// Encodes an event.
    pub(super) fn event(
        parsers: Parsers,
        namespace: &str,
        id: Option<u64>,
        name: &str,
        arguments: &impl Arguments,
        offset: Option<&str>,
    ) -> Result<Self, EncodeError> {
        let encode = |parser| Encoded::event(parser, namespace, id, name, arguments, offset);
        match parsers {
            Parsers::Json => Ok(Self::new(Some(encode(Parser::Json)?), None)),
            Parsers::MsgPack => Ok(Self::new(None, Some(encode(Parser::MsgPack)?))),
            Parsers::Either => {
                // The application's values are asked once.
                let arguments = Args::of(arguments)?;
                let encode = |parser| Encoded::event(parser, namespace, id, name, &arguments, offset);
                Ok(Self::new(Some(encode(Parser::Json)?), Some(encode(Parser::MsgPack)?)))
            }
        }
    }

    fn new(json: Option<Encoded>, msgpack: Option<Encoded>) -> Self {
        // Beside a message stands its frame, which has it once more.
        let bytes = 2 * [&json, &msgpack].into_iter().flatten().map(Encoded::len).sum::<usize>();
        let prepare = |encoded: Encoded| PreparedMessages::new(encoded.messages());
        Self { json: json.map(prepare), msgpack: msgpack.map(prepare), bytes }
    }

    /// The packet as this parser writes it; `None` where no client speaks it.
    pub(super) fn of(&self, parser: Parser) -> Option<&PreparedMessages> {
        match parser {
            Parser::Json => self.json.as_ref(),
            Parser::MsgPack => self.msgpack.as_ref(),
        }
    }

    /// Bytes that it keeps alive.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
