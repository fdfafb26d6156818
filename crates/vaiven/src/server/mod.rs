//! The server's way to a connection: from a listening socket, an accepted stream, or a request of an HTTP server, to a
//! [`WebSocket`].
//!
//! 1. [`Server`] listens, lets in what its limits allow, and gives each connection's [`Handshake`] to a handler.
//! 2. [`Handshake`] is one client's opening handshake, read but not answered: look at the request, then
//!    [`accept`](Handshake::accept) or [`refuse`](Handshake::refuse) it, or take it apart for another protocol on the
//!    same port.
//! 3. [`ServerHandle`] counts connections, and [drains](ServerHandle::drain) the server.
//!
//! Inside another server, `upgrade` (feature `hyper`) and `axum::WebSocketUpgrade` (feature `axum`) answer a request by
//! the same rules, and [`ServerHandle::detached`] drains what came of it.
//!
//! [`WebSocket`]: crate::WebSocket

mod admission;
#[cfg(feature = "axum")]
pub mod axum;
mod config;
mod connection;
mod drain;
mod forwarded;
mod handshake;
mod listener;
mod registry;
mod replay;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "hyper")]
mod upgrade;

pub use config::ServerConfig;
pub use drain::{DrainOptions, DrainReport, ServerCounts, ServerHandle};
pub use forwarded::{ForwardedField, IpNetwork, ParseNetworkError, TrustedProxies};
pub use handshake::{AcceptError, Handshake, HandshakeParts};
pub use listener::{Server, ServerEvent};
pub use registry::Permit;
pub use replay::{Place, Replay};
#[cfg(feature = "tls")]
pub use tls::{TlsConfig, TlsConfigBuilder, TlsError};
#[cfg(feature = "hyper")]
pub use upgrade::{Upgrading, refusal_response, upgrade, upgrade_with};
pub use vaiven_proto::handshake::{
    Acceptance, AllowedHost, HeadLimits, HostPolicy, HostRefusal, HttpVersion, Origin, OriginPolicy,
    OriginRefusal, Refusal, RequestHead, Scheme, Upgrade,
};
