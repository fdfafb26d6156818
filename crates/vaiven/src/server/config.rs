//! What a server asks of the opening handshake, and gives its connections.

use crate::{Config, DeflateConfig, Role};
use std::time::Duration;
use vaiven_proto::handshake::{HeadLimits, OriginPolicy};

/// Settings of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Limits and timers of each connection.
    pub connection: Config,
    /// How long the opening handshake may take in all. 10 s.
    pub handshake_timeout: Duration,
    /// Bytes, fields and line length of a request.
    pub head_limits: HeadLimits,
    /// Which pages may connect. The same origin only, so that no foreign page talks in its visitors' names; a
    /// client that is no browser sends no Origin and is taken.
    pub origins: OriginPolicy,
    /// The subprotocols that the server speaks. None.
    pub subprotocols: Vec<String>,
    /// permessage-deflate; `None`, the default, declines every offer, since compression costs memory and time and
    /// mixing secrets with foreign text under it leaks them.
    pub deflate: Option<DeflateConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connection: Config::new(Role::Server),
            handshake_timeout: Duration::from_secs(10),
            head_limits: HeadLimits::default(),
            origins: OriginPolicy::same_origin().allow_absent(),
            subprotocols: Vec::new(),
            deflate: None,
        }
    }
}
