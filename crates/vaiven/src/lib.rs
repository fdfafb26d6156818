//! WebSocket client and server on tokio.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
mod config;
mod deadline;
mod error;
mod flusher;
mod link;
mod pair;
mod progress;
mod reader;
mod receiver;
mod sender;
#[cfg(feature = "server")]
pub mod server;
mod slab;
mod timer;
mod transport;
mod websocket;

#[cfg(feature = "client")]
pub use client::{Client, connect};
pub use config::Config;
pub use error::{Error, SendError, TimeoutKind, TrySendError};
pub use pair::pair;
pub use receiver::{Event, Receiver, Receiving};
pub use sender::{Sender, Sending};
pub use transport::{OtherStream, Stream, Transport};
pub use vaiven_proto::deflate::{DeflateConfig, DeflateParams, WindowBits};
pub use vaiven_proto::{
    CloseCode, CloseFrame, Compress, KeepaliveConfig, Limits, Message, Prepared, PreparedBatch, Role, Text,
    Violation,
};
pub use websocket::{Deflate, WebSocket};

/// The examples of the README files are run as tests.
#[cfg(all(doctest, feature = "client", feature = "server"))]
mod readme {
    #[doc = include_str!("../../../README.md")]
    struct English;
    #[doc = include_str!("../../../README.es.md")]
    struct Spanish;
}
