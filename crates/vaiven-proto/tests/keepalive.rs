//! Keepalive on a clock of the test's own.
#![expect(clippy::disallowed_methods, reason = "tests need some instant to begin from")]

use std::time::{Duration, Instant};
use vaiven_proto::{Keepalive, KeepaliveAction, KeepaliveConfig};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn silence_brings_a_ping_and_further_silence_the_end() {
    let start = Instant::now();
    let mut keepalive = Keepalive::new(KeepaliveConfig::default(), 7, start);
    assert_eq!(keepalive.handle_timeout(start + 24 * SECOND), KeepaliveAction::Wait);
    assert!(matches!(keepalive.handle_timeout(start + 25 * SECOND), KeepaliveAction::Ping(_)));
    assert_eq!(keepalive.poll_timeout(), Some(start + 35 * SECOND));
    assert_eq!(keepalive.handle_timeout(start + 34 * SECOND), KeepaliveAction::Wait);
    assert_eq!(keepalive.handle_timeout(start + 35 * SECOND), KeepaliveAction::Dead);
}

#[test]
fn any_byte_proves_the_peer_and_only_the_exact_pong_measures() {
    let start = Instant::now();
    let mut keepalive = Keepalive::new(KeepaliveConfig::default(), 7, start);
    let KeepaliveAction::Ping(payload) = keepalive.handle_timeout(start + 25 * SECOND) else { panic!() };
    keepalive.heard(start + 26 * SECOND);
    assert_eq!(keepalive.poll_timeout(), Some(start + 51 * SECOND));
    assert_eq!(keepalive.pong(b"other", start + 26 * SECOND), None);
    assert_eq!(keepalive.pong(&payload, start + 27 * SECOND), Some(2 * SECOND));
    assert_eq!(keepalive.pong(&payload, start + 28 * SECOND), None);
    assert_eq!(keepalive.round_trip(), Some(2 * SECOND));
}

#[test]
fn a_time_too_long_for_the_clock_never_comes() {
    let (start, never) = (Instant::now(), Duration::MAX);
    let mut keepalive = Keepalive::new(KeepaliveConfig { interval: never, timeout: SECOND }, 7, start);
    assert_eq!(keepalive.poll_timeout(), None);
    assert_eq!(keepalive.handle_timeout(start + 1_000_000 * SECOND), KeepaliveAction::Wait);
    let mut keepalive = Keepalive::new(KeepaliveConfig { interval: SECOND, timeout: never }, 7, start);
    assert!(matches!(keepalive.handle_timeout(start + SECOND), KeepaliveAction::Ping(_)));
    assert_eq!(keepalive.poll_timeout(), None);
    assert_eq!(keepalive.handle_timeout(start + 1_000_000 * SECOND), KeepaliveAction::Wait);
}
