//! The WebSocket protocol, both roles, without I/O and without a clock.
//!
//! ```text
//!            bytes in                                                    bytes out
//!               |                                                            ^
//!   handshake --+--> Input --> Decoder --> Incoming --> you --> Encoder --> Outbox
//!                                  |                               ^
//!                                  +------ pong, close echo -------+
//! ```
//!
//! A loop around it does five things: it 1. reads bytes and passes them to [`Decoder::decode`] as [`Input`] until
//! that gives `None`; 2. shows each [`Incoming`] to [`Encoder::respond`], which answers pings and the closing
//! handshake, and then to the application; 3. queues the application's messages with [`Encoder::message`];
//! 4. writes what the [`Outbox`] holds; 5. calls `handle_timeout` when `poll_timeout` says so. [`Connection`] joins
//! both halves for those who have them in one place.
//!
//! It implements RFC 6455 (the protocol) and RFC 7692 (permessage-deflate); every rule that a peer can break is a
//! [`Violation`].
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod close;
mod connection;
mod decoder;
pub mod deflate;
mod encoder;
mod frame;
pub mod handshake;
mod input;
mod keepalive;
mod limits;
pub mod mask;
mod message;
mod outbox;
mod prepared;
mod text;
pub mod utf8;
mod violation;

pub use close::{CloseCode, CloseFrame};
pub use connection::Connection;
pub use decoder::{Decoder, Incoming, WholeMessage};
pub use encoder::{Closing, Compress, Encoder, FillRandom};
pub use frame::{FrameHeader, MAX_CONTROL_BYTES, OpCode};
pub use input::{Input, MAX_SHARE};
pub use keepalive::{Keepalive, KeepaliveAction, KeepaliveConfig};
pub use limits::Limits;
pub use message::Message;
pub use outbox::Outbox;
pub use prepared::{Prepared, PreparedBatch};
pub use text::Text;
pub use violation::Violation;

/// The side of a connection: it decides who masks (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that dialled; it masks what it sends.
    Client,
    /// The side that accepted; it never masks.
    Server,
}
