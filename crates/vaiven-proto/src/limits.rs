//! How much a peer may make a connection hold, and for how long.

use std::time::Duration;

/// Limits of the receiving side. Every one has a value per role; none of them is ever unlimited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message in bytes, after inflation. Server: 1 MiB, what a form with a picture needs. Client:
    /// 128 MiB, as browsers and undici take, since a client chose its server.
    pub max_message_bytes: usize,
    /// The most frames of one message. Server: 16,384, as npm `ws`; client: 2^32 - 1, since the message buffer
    /// itself is bounded.
    pub max_fragments: u32,
    /// The most frames in [`flood_window`](Self::flood_window) that bring no message further: pings, pongs and
    /// empty data frames. Pongs that answer pings of ours are not among them. 100, far above any keepalive.
    pub max_idle_frames: u32,
    /// The span that [`max_idle_frames`](Self::max_idle_frames) is counted over. 10 s.
    pub flood_window: Duration,
    /// How long a message may stay unfinished without a byte of progress. 30 s.
    pub partial_message_timeout: Duration,
}

impl Limits {
    /// The defaults of a server library.
    pub const fn server() -> Self {
        Self {
            max_message_bytes: 1 << 20,
            max_fragments: 16_384,
            max_idle_frames: 100,
            flood_window: Duration::from_secs(10),
            partial_message_timeout: Duration::from_secs(30),
        }
    }

    /// The defaults of a client.
    pub const fn client() -> Self {
        Self { max_message_bytes: 128 << 20, max_fragments: u32::MAX, ..Self::server() }
    }

    /// The relaxed profile of the Autobahn|Testsuite, which sends 16 MiB messages and 4 MiB in fragments of 64 bytes.
    pub const fn autobahn() -> Self {
        Self {
            max_message_bytes: 64 << 20,
            max_fragments: 1 << 20,
            max_idle_frames: 1_000_000,
            ..Self::server()
        }
    }
}
