//! Two connections with each other, in memory.

use crate::transport::Transport;
use crate::{Config, Role, WebSocket};
use bytes::BytesMut;

/// Bytes that the pipe between a pair holds in each direction.
const PIPE_BYTES: usize = 64 << 10;

/// A client and a server that are connected with each other in memory, with the defaults of their roles: for tests,
/// and for parts of one program that speak WebSocket with each other.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn pair() -> (WebSocket, WebSocket) {
    let (client, server) = tokio::io::duplex(PIPE_BYTES);
    let connect = |stream, role| {
        WebSocket::from_transport(Transport::other(stream), role, BytesMut::new(), None, &Config::new(role))
    };
    (connect(client, Role::Client), connect(server, Role::Server))
}
