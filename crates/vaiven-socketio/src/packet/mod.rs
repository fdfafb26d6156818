//! Messages to packets and back: the Socket.IO protocol, revision 5, without I/O and without a clock.
//!
//! A packet's arguments are kept as the JSON text that they arrived in, with their binary attachments beside it
//! ([`Args`]); they become values where a handler asks for some. Both of the protocol's parsers, the default one and
//! MessagePack's, read into this form and write from it. Knows neither namespaces nor connections.

mod args;
mod binary;
mod decoder;
mod encoder;
mod error;
mod json;
mod msgpack;
mod placeholder;
mod spread;
#[cfg(test)]
mod tests;
mod value;

pub use args::{Args, Elements};
pub use binary::Binary;
pub use decoder::{Decoder, PacketLimits};
pub use encoder::Encoded;
pub use error::{EncodeError, PacketError};
pub use spread::Arguments;
pub use value::Value;

use vaiven::Text;

/// How packets are written: the two parsers that Socket.IO has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Parser {
    /// JSON text, with attachments in binary messages behind it: what every client speaks unless told otherwise.
    #[default]
    Json,
    /// One binary message of MessagePack for each packet, as npm `socket.io-msgpack-parser` writes it.
    MsgPack,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// It wants to join a namespace.
    Connect {
        /// The namespace, which begins with a slash.
        namespace: Text,
        /// The `auth` payload: the text of a JSON object.
        auth: Option<Text>,
    },
    /// It leaves a namespace.
    Disconnect {
        /// The namespace.
        namespace: Text,
    },
    /// An event happened.
    Event {
        /// The namespace.
        namespace: Text,
        /// The number under which an acknowledgement is expected.
        id: Option<u64>,
        /// The event's name.
        name: Text,
        /// What came with it.
        args: Args,
    },
    /// It acknowledges an event of the server's.
    Ack {
        /// The namespace.
        namespace: Text,
        /// The number of the event.
        id: u64,
        /// What the acknowledgement says.
        args: Args,
    },
}

/// The largest number of an acknowledgement: what a JavaScript number holds exactly.
pub const MAX_ACK_ID: u64 = 1 << 53;

/// The longest name of a namespace, in bytes: room for a channel's name of 255 bytes behind a prefix.
pub const MAX_NAMESPACE_BYTES: usize = 512;

/// Event names that mean something to the libraries themselves, so that nobody may send them.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The namespace that needs no name on the wire.
pub const MAIN_NAMESPACE: &str = "/";

/// A namespace's name as a packet holds it.
fn namespace_text(name: &str) -> Text {
    if name == MAIN_NAMESPACE { Text::from_static(MAIN_NAMESPACE) } else { Text::from(name) }
}

/// Whether a name is the libraries' own.
pub(crate) fn is_reserved_event(name: &str) -> bool {
    RESERVED_EVENTS.contains(&name)
}

/// Whether an event may have this name.
fn check_event_name(name: &str) -> Result<(), PacketError> {
    if is_reserved_event(name) { Err(PacketError::ReservedEvent) } else { Ok(()) }
}

/// Whether a namespace may have this name. In the default parser's text a comma ends it.
fn check_namespace(name: &str) -> Result<(), PacketError> {
    if name.starts_with('/') && !name.contains(',') && name.len() <= MAX_NAMESPACE_BYTES {
        Ok(())
    } else {
        Err(PacketError::Namespace)
    }
}
