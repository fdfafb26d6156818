//! The WebSocket protocol without I/O and without a clock.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod close;
pub mod deflate;
pub mod handshake;
mod message;
mod text;
mod violation;

pub use close::{CloseCode, CloseFrame};
pub use message::Message;
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
