//! A client and a server over a link.

use crate::{LinkConfig, Script, link};
use bytes::BytesMut;
use vaiven::{Config, Deflate, Role, Transport, WebSocket};

/// How a client and a server are connected with each other.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Limits and timers of the client.
    pub client: Config,
    /// Limits and timers of the server.
    pub server: Config,
    /// permessage-deflate, as both agreed on it.
    pub deflate: Option<Deflate>,
    /// How the link between them behaves.
    pub link: LinkConfig,
}

impl Default for Pair {
    /// The defaults of both roles, without compression, over a link that behaves.
    fn default() -> Self {
        Self {
            client: Config::new(Role::Client),
            server: Config::new(Role::Server),
            deflate: None,
            link: LinkConfig::default(),
        }
    }
}

impl Pair {
    /// The client and the server, in this order.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(&self, script: Script) -> (WebSocket, WebSocket) {
        let (client, server) = link(script, &self.link);
        let connect = |stream, role, config| {
            WebSocket::from_transport(Transport::other(stream), role, BytesMut::new(), self.deflate, config)
        };
        (connect(client, Role::Client, &self.client), connect(server, Role::Server, &self.server))
    }
}
