//! Whether the peer is still there (RFC 6455 sections 5.5.2 and 5.5.3): a ping into silence, and its answer.

use std::time::{Duration, Instant};

/// When to ask, and how long to wait for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepaliveConfig {
    /// After this long without a byte from the peer a ping is sent. 25 s, below the 60 s of common proxies.
    pub interval: Duration,
    /// After this long without a byte behind that ping the peer is dead. 10 s.
    pub timeout: Duration,
}

impl Default for KeepaliveConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(25), timeout: Duration::from_secs(10) }
    }
}

/// What a timeout of the keepalive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepaliveAction {
    /// Not yet.
    Wait,
    /// Send a ping with exactly this payload.
    Ping([u8; 8]),
    /// The peer is gone.
    Dead,
}

/// Keeps watch over a connection. Any byte from the peer proves that it is there; a pong gives a round-trip time
/// only when its payload is exactly that of the outstanding ping.
#[derive(Debug)]
pub struct Keepalive {
    config: KeepaliveConfig,
    heard_at: Instant,
    /// When the ping that is outstanding was sent.
    pinged: Option<Instant>,
    /// Of the latest ping.
    payload: u64,
    round_trip: Option<Duration>,
}

impl Keepalive {
    /// Keepalive of a connection that opened at `now`. `seed` makes the payloads unlike those of others.
    pub fn new(config: KeepaliveConfig, seed: u64, now: Instant) -> Self {
        Self { config, heard_at: now, pinged: None, payload: seed, round_trip: None }
    }

    /// Bytes came from the peer.
    #[inline]
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// A pong came: the round-trip time if it answers the outstanding ping.
    pub fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let sent_at = self.pinged?;
        if payload != self.payload.to_be_bytes() {
            return None;
        }
        self.pinged = None;
        self.round_trip = Some(now.saturating_duration_since(sent_at));
        self.round_trip
    }

    /// The latest round-trip time.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// A payload for a ping that is sent now, outside the schedule; its pong gives a round-trip time.
    pub fn ping(&mut self, now: Instant) -> [u8; 8] {
        self.payload = self.payload.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.pinged = Some(now);
        self.payload.to_be_bytes()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`, which is never, where the time to wait is
    /// too long for the clock.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.pinged {
            Some(sent_at) if sent_at >= self.heard_at => sent_at.checked_add(self.config.timeout),
            _ => self.heard_at.checked_add(self.config.interval),
        }
    }

    /// Acts on the time `now`.
    pub fn handle_timeout(&mut self, now: Instant) -> KeepaliveAction {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return KeepaliveAction::Wait;
        }
        match self.pinged {
            Some(sent_at) if sent_at >= self.heard_at => KeepaliveAction::Dead,
            _ => KeepaliveAction::Ping(self.ping(now)),
        }
    }
}
