//! The server's way to a connection: from an accepted stream, or a request of an HTTP server, to a [`WebSocket`].
//!
//! [`Handshake`] is one client's opening handshake, read but not answered: look at the request, then
//! [`accept`](Handshake::accept) or [`refuse`](Handshake::refuse) it.
//!
//! [`WebSocket`]: crate::WebSocket

mod config;
mod handshake;

pub use config::ServerConfig;
pub use handshake::{AcceptError, Handshake};
pub use vaiven_proto::handshake::{
    Acceptance, HeadLimits, Origin, OriginPolicy, OriginRefusal, Refusal, RequestHead, Upgrade,
};
