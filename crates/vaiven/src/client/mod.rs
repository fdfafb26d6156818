//! The client's way to a server: from a URL to a [`WebSocket`](crate::WebSocket).
//!
//! [`Client`] does it all. Below it, in the order of the data: [`Target`] is the URL (WHATWG URL; RFC 6455 section 3),
//! [`Proxy`] the detour, `connect` the race for a TCP connection (RFC 8305), [`TlsConfig`] whom to trust, [`Dialled`]
//! what comes of it, [`dial`] the whole way to a stream; `opening` runs the opening handshake on it (RFC 6455
//! section 4.1), [`Response`] is what the server answered, [`HandshakeFailure`] why that is no connection, and
//! [`RedirectPolicy`] where it may lead next. Nothing here knows a frame.

mod body;
mod builder;
mod connect;
mod credentials;
mod dial;
mod error;
mod failure;
mod opening;
mod proxy;
mod redirect;
mod response;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod url;

pub use self::builder::{Client, connect};
pub use self::dial::{DialOptions, dial};
pub use self::error::{DialError, DialPhase};
pub use self::failure::{HandshakeFailure, HandshakeProblem, Refused};
pub use self::proxy::{Proxy, ProxyProblem};
pub use self::redirect::{Redirect, RedirectPolicy};
pub use self::response::Response;
pub use self::stream::Dialled;
#[cfg(feature = "tls")]
pub use self::stream::TlsStream;
#[cfg(feature = "tls")]
pub use self::tls::{TlsConfig, TlsConfigBuilder, TlsProblem};
pub use self::url::Target;
pub use vaiven_proto::handshake::HandshakeError;

/// A host and a port as messages name them, with an IPv6 address in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
