//! Both halves of a connection together, on a clock of the test's own.
#![expect(clippy::disallowed_methods, reason = "tests need some instant to begin from")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::time::Instant;
use vaiven_proto::{Connection, Decoder, Encoder, Incoming, Input, Limits, Role, Violation};

const MAX_IDLE_FRAMES: u32 = 5;
/// From a server, which does not mask.
const PONG: &[u8] = &[0x8a, 1, b'x'];
const MESSAGE: &[u8] = &[0x82, 1, b'm'];

fn client() -> Connection {
    let mut limits = Limits::client();
    limits.max_idle_frames = MAX_IDLE_FRAMES;
    Connection::new(
        Decoder::new(Role::Client, limits, None, Instant::now()),
        Encoder::new(Role::Client, |key| key.fill(7)),
    )
}

/// Sends so many pings, and takes so many pongs and a message behind them, in pieces of this length: how many pongs
/// came, and the verdict.
fn pongs(pings: u32, pongs: u32, piece: usize) -> (u32, Option<Violation>) {
    let mut client = client();
    for _ in 0..pings {
        client.encoder().ping(b"x").unwrap();
    }
    let wire = [PONG.repeat(pongs as usize), MESSAGE.to_vec()].concat();
    let (mut came, mut has_message) = (0, false);
    for piece in wire.chunks(piece) {
        let mut input = Input::from(piece);
        loop {
            match client.recv(&mut input, Instant::now()) {
                Ok(Some(Incoming::Pong(_))) => came += 1,
                Ok(Some(_)) => has_message = true,
                Ok(None) => break,
                Err(violation) => {
                    assert!(!has_message, "nothing comes behind the pong that is too many");
                    return (came, Some(violation));
                }
            }
        }
    }
    assert!(has_message);
    (came, None)
}

#[test]
fn only_pongs_that_nobody_asked_for_are_counted() {
    for piece in [1, 2, 3, 7, 1000] {
        for pings in [0, 1, MAX_IDLE_FRAMES, 10 * MAX_IDLE_FRAMES] {
            for unasked in [MAX_IDLE_FRAMES - 1, MAX_IDLE_FRAMES, MAX_IDLE_FRAMES + 1] {
                let verdict = (unasked > MAX_IDLE_FRAMES).then_some(Violation::FrameFlood);
                let outcome = pongs(pings, pings + unasked, piece);
                assert_eq!(outcome, (pings + unasked, verdict), "{pings} pings, {unasked} more, by {piece}");
            }
        }
    }
}

#[test]
fn at_the_limit_a_pong_that_was_asked_for_still_passes_and_another_does_not() {
    for unasked in [MAX_IDLE_FRAMES - 1, MAX_IDLE_FRAMES, MAX_IDLE_FRAMES + 1] {
        let mut client = client();
        let recv = |client: &mut Connection, wire: &[u8]| client.recv(&mut Input::from(wire), Instant::now());
        for number in 1..=unasked {
            let came = recv(&mut client, PONG);
            assert!(matches!(came, Ok(Some(Incoming::Pong(_)))), "{number} of {unasked}: {came:?}");
        }
        client.encoder().ping(b"x").unwrap();
        let asked = recv(&mut client, PONG);
        if unasked > MAX_IDLE_FRAMES {
            assert_eq!(asked, Err(Violation::FrameFlood));
            continue;
        }
        assert!(matches!(asked, Ok(Some(Incoming::Pong(_)))), "behind {unasked}: {asked:?}");
        assert_eq!(recv(&mut client, b""), Ok(None));
        for _ in unasked..=MAX_IDLE_FRAMES {
            assert!(matches!(recv(&mut client, PONG), Ok(Some(Incoming::Pong(_)))));
        }
        assert_eq!(recv(&mut client, b""), Err(Violation::FrameFlood));
    }
}
