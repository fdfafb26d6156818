//! A conversation that is cut at every byte: wherever the stream ends or is reset, the other side ends too.

use crate::heads;
use crate::play::Play;
use crate::row::{Cut, Row};
use crate::script::{self, Expect, Pace, Side, Step};
use crate::server::Servers;
use std::time::Duration;

/// How long the end of a connection may take behind a cut.
const END: Duration = Duration::from_secs(5);

/// Cuts a play at every byte that it sends, and then plays what it expects of the server.
pub(crate) fn play(row: &Row, text: &str, side: Side, servers: &Servers) -> Result<(), String> {
    let steps = script::parse(text, side);
    let cut = row.cut.expect("the row is one that is cut");
    match side {
        Side::Client => {
            let mut play = Play::against_server(row, servers);
            let wire = wire(&steps, |head| heads::request(head, &play.host()));
            for len in 0..=wire.len() {
                cut_once(&mut play, &wire[..len], cut)
                    .map_err(|error| format!("cut at byte {len}: {error}"))?;
            }
            let judged: Vec<Step> =
                steps.into_iter().filter(|step| matches!(step, Step::Expect(_))).collect();
            play.run(&judged)
        }
        Side::Server => {
            let len = wire(&steps, |head| heads::answer(head, "", "")).len();
            // The proof of the key, which only a request gives, is 28 characters long.
            for len in 0..=len + 28 {
                let mut play = Play::against_client(&row.client);
                play.run(&[Step::Connect])?;
                let wire = wire(&steps, |head| heads::answer(head, &play.host(), play.request()));
                let end = [send(&wire[..len]), ending(cut), outcome()];
                play.run(&end).map_err(|error| format!("cut at byte {len}: {error}"))?;
            }
            Ok(())
        }
    }
}

fn cut_once(play: &mut Play, wire: &[u8], cut: Cut) -> Result<(), String> {
    play.hang_up();
    play.run(&[Step::Connect, send(wire), ending(cut)])?;
    match cut {
        Cut::Fin => play.run(&[Step::Expect(Expect::Gone(END))]),
        Cut::Rst => Ok(()),
    }
}

fn send(bytes: &[u8]) -> Step {
    Step::Send { bytes: bytes.to_vec(), pace: Pace::AtOnce }
}

fn ending(cut: Cut) -> Step {
    match cut {
        Cut::Fin => Step::Fin,
        Cut::Rst => Step::Rst,
    }
}

/// A client that is cut off says so, whether in the handshake or behind it.
fn outcome() -> Step {
    let texts = ["disconnected", "io ", "handshake disconnected", "handshake io "];
    Step::Expect(Expect::Outcome(texts.map(ToOwned::to_owned).to_vec()))
}

/// All that the steps send, in one piece.
fn wire(steps: &[Step], mut head: impl FnMut(&script::Head) -> Vec<u8>) -> Vec<u8> {
    steps
        .iter()
        .flat_map(|step| match step {
            Step::Open(changes) | Step::Head(changes) => head(changes),
            Step::Send { bytes, .. } => bytes.clone(),
            _ => Vec::new(),
        })
        .collect()
}
