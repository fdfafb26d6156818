//! What can be set.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use vaiven::server::{Origin, OriginPolicy, ServerConfig};
use vaiven::{DeflateConfig, KeepaliveConfig, Limits};

/// Settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen. 127.0.0.1:8080: a server that was merely tried out is not open to the network.
    pub listen: SocketAddr,
    /// Pages that may connect besides those of the same origin. None.
    pub origins: Origins,
    /// Who may read `/metrics`. This machine.
    pub metrics_from: MetricsFrom,
    /// The longest message. 64 KiB.
    pub max_message_bytes: usize,
    /// The most frames of one message. 1,024.
    pub max_fragments: u32,
    /// The most frames in 10 s that bring no message further. 100.
    pub max_idle_frames: u32,
    /// Messages that a client may send in a second. 100.
    pub message_rate: u32,
    /// Messages that a client may send at once. 200.
    pub message_burst: u32,
    /// Bytes that may wait for a client. 1 MiB.
    pub outbox_bytes: usize,
    /// How long a client may take nothing of what waits for it. 10 s.
    pub write_timeout: Duration,
    /// How long the opening handshake may take. 10 s.
    pub handshake_timeout: Duration,
    /// How long the closing handshake may take. 5 s.
    pub close_timeout: Duration,
    /// Silence after which a ping is sent. 25 s.
    pub ping_interval: Duration,
    /// Silence after a ping that ends the connection. 10 s.
    pub ping_timeout: Duration,
    /// How long closing all connections may take. 30 s.
    pub drain_timeout: Duration,
    /// The most rooms. 10,000.
    pub max_rooms: usize,
    /// The most members of a room. 10,000.
    pub max_room_members: usize,
    /// Whether permessage-deflate is agreed to. No.
    pub compression: bool,
}

/// Which pages may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of the server itself and of these origins.
    SameAnd(Vec<Origin>),
    /// Every page.
    Any,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFrom {
    /// Programs on the same machine.
    Loopback,
    /// Everybody.
    Anywhere,
}

impl MetricsFrom {
    pub(crate) fn admits(self, address: IpAddr, is_forwarded: bool) -> bool {
        self == Self::Anywhere || (address.to_canonical().is_loopback() && !is_forwarded)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            origins: Origins::SameAnd(Vec::new()),
            metrics_from: MetricsFrom::Loopback,
            max_message_bytes: 64 << 10,
            max_fragments: 1024,
            max_idle_frames: 100,
            message_rate: 100,
            message_burst: 200,
            outbox_bytes: 1 << 20,
            write_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            max_rooms: 10_000,
            max_room_members: 10_000,
            compression: false,
        }
    }
}

impl Settings {
    /// The relaxed limits of the Autobahn|Testsuite, and of benchmarks: long messages in many fragments, as fast as
    /// they come, compressed where the client offers it.
    pub fn autobahn() -> Self {
        let limits = Limits::autobahn();
        Self {
            max_message_bytes: limits.max_message_bytes,
            max_fragments: limits.max_fragments,
            max_idle_frames: limits.max_idle_frames,
            message_rate: 1_000_000_000,
            message_burst: 1_000_000_000,
            outbox_bytes: 16 << 20,
            compression: true,
            ..Self::default()
        }
    }

    pub(crate) fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.origins = match &self.origins {
            Origins::Any => OriginPolicy::any(),
            Origins::SameAnd(list) => {
                list.iter().cloned().fold(OriginPolicy::same_origin().allow_absent(), OriginPolicy::allow)
            }
        };
        config.handshake_timeout = self.handshake_timeout;
        config.deflate = self.compression.then(DeflateConfig::server);
        let connection = &mut config.connection;
        connection.limits.max_message_bytes = self.max_message_bytes;
        connection.limits.max_fragments = self.max_fragments;
        connection.limits.max_idle_frames = self.max_idle_frames;
        connection.outbox_bytes = self.outbox_bytes;
        connection.write_timeout = self.write_timeout;
        connection.close_timeout = self.close_timeout;
        connection.keepalive =
            Some(KeepaliveConfig { interval: self.ping_interval, timeout: self.ping_timeout });
        config
    }
}
