//! What a connection may hold and how long it waits: the values after the opening handshake.

use std::time::Duration;
use vaiven_proto::{KeepaliveConfig, Limits, Role};

/// Limits and timers of one connection.
///
/// ```
/// use vaiven::{Config, Role};
/// let mut config = Config::new(Role::Server);
/// config.limits.max_message_bytes = 64 << 10;
/// config.outbox_bytes = 256 << 10;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What the peer may send.
    pub limits: Limits,
    /// Pings into silence; `None` leaves a silent peer alone. 25 s, then 10 s, on a server; off on a client,
    /// whose server asks.
    pub keepalive: Option<KeepaliveConfig>,
    /// Bytes that may wait to be written before `send` waits and `try_send` refuses. 1 MiB. A message always
    /// fits into an empty outbox, whatever its length.
    pub outbox_bytes: usize,
    /// How long a peer may take nothing of what waits to be written before the connection is dropped. 10 s. Under
    /// TLS of this crate's making what counts is what the socket takes; other streams count what they take themselves.
    pub write_timeout: Duration,
    /// How long the closing handshake may take, and what waits to be written before it. 5 s.
    pub close_timeout: Duration,
    /// Outgoing messages are split into frames of at most this many bytes; `None`, the default, sends each
    /// message as one frame.
    pub max_frame_bytes: Option<usize>,
    /// Whether a peer that broke a rule is told which one, in the reason of the Close frame. It is: whoever looks for the
    /// fault finds it there. Without, the close code stands alone.
    pub explain_violations: bool,
}

impl Config {
    /// The defaults of a role.
    pub fn new(role: Role) -> Self {
        let (limits, keepalive) = match role {
            Role::Client => (Limits::client(), None),
            Role::Server => (Limits::server(), Some(KeepaliveConfig::default())),
        };
        Self {
            limits,
            keepalive,
            outbox_bytes: 1 << 20,
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            max_frame_bytes: None,
            explain_violations: true,
        }
    }
}
