//! The server's answer to the opening handshake, as the application sees it.

use super::url::Target;
use crate::DeflateParams;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::SocketAddr;
use vaiven_proto::handshake::Fields;

/// What the server answered when it accepted the connection.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) target: Target,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) subprotocol: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) deflate: Option<DeflateParams>,
}

impl Response {
    /// The URL that was connected to: another than the given one where a redirect was followed.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The address of the other end of the TCP connection: the server's, or the proxy's. `None` over a stream of
    /// the caller's own that is not a TCP socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The subprotocol that the server chose among the offered ones. `None` where it chose none: whether to go on
    /// then is for the application to say.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// All header fields of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The compression that was agreed on; `None` where it was not offered, or declined.
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }
}

/// The fields as the crate `http` has them.
pub(super) fn header_map(fields: &Fields) -> HeaderMap {
    let convert = |(name, value): (&str, &[u8])| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter().filter_map(convert) {
        headers.append(name, value);
    }
    headers
}
