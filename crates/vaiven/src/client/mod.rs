//! The client's way to a server: from a URL to a connected stream on which the opening handshake can begin.
//!
//! In the order of the data: [`Target`] is the URL (WHATWG URL; RFC 6455 section 3), [`Proxy`] the detour, `connect`
//! the race for a TCP connection (RFC 8305), [`TlsConfig`] whom to trust, [`Stream`] what comes of it, [`dial`] the
//! whole way; [`RedirectPolicy`] says where an answer may lead next. Nothing here knows HTTP's Upgrade or a frame.

mod connect;
mod credentials;
mod dial;
mod error;
mod proxy;
mod redirect;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod url;

pub use self::dial::{DialOptions, dial};
pub use self::error::{DialError, DialPhase};
pub use self::proxy::{Proxy, ProxyProblem};
pub use self::redirect::{Redirect, RedirectPolicy};
#[cfg(feature = "tls")]
pub use self::stream::TlsStream;
pub use self::stream::{Io, Stream};
#[cfg(feature = "tls")]
pub use self::tls::{TlsConfig, TlsConfigBuilder, TlsProblem};
pub use self::url::Target;

/// A host and a port as messages name them, with an IPv6 address in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
