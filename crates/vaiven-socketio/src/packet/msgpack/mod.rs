//! The other parser: each packet is one binary message, a MessagePack map of `type`, `nsp`, `id` and `data`, as npm
//! `socket.io-msgpack-parser` writes it.
//!
//! Inside of this crate a packet's data is JSON text with attachments beside it, whichever parser it came with:
//! [`read`] turns MessagePack into that, [`write`](self::write) turns it back. What MessagePack has and JSON has not
//! becomes what `JSON.stringify` would make of it: `undefined` and numbers that are none become `null`, dates become
//! their ISO 8601 text.

mod read;
mod write;

pub(super) use read::decode;
pub(super) use write::write_packet;

/// How deeply values may be nested: as deeply as serde_json reads.
const MAX_DEPTH: usize = 127;
