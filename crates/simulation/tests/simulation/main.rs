//! The whole on virtual time: real clients and a real server, whose hub stands over a store that fails, behind a network
//! that cuts. All that happens follows from a seed.
//!
//! In reading order: `world` lets a seed happen and judges how it ends; `network` has the server and the ways to it;
//! `store` keeps publications, badly; `publisher` and `subscriber` are what applications do with a client; `ledger` knows
//! what was published in truth, and judges what people are told of it; `trace` is all that happened as one number.
//!
//! A failure names its seed. `SIMULATION_SEED=… cargo test -p simulation` plays it again and shows what happens;
//! `SIMULATION_SEEDS=10000 cargo test --release -p simulation` plays more.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod ledger;
mod network;
mod publisher;
mod store;
mod subscriber;
mod trace;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use world::Figures;

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;

/// Real time in which a seed must end: one that needs more goes round without letting virtual time pass.
const REAL_TIME: Duration = Duration::from_secs(100);

/// Plays a seed on a thread of its own, so that nothing that a thread keeps connects it with others.
fn play(seed: u64, shows: bool) -> Option<Figures> {
    let (sender, played) = mpsc::channel();
    let play = move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("a runtime without I/O");
        // Nobody waits where real time was over.
        let _ = sender.send(runtime.block_on(world::run(seed, shows)));
    };
    std::thread::Builder::new().name(format!("seed {seed}")).spawn(play).expect("a thread starts");
    let played = played.recv_timeout(REAL_TIME);
    if let Err(error) = &played {
        let how = if *error == RecvTimeoutError::Timeout { "goes round for ever" } else { "fails" };
        eprintln!("seed {seed} {how}: SIMULATION_SEED={seed} cargo test -p simulation -- --nocapture");
    }
    played.ok()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a seed is a number"))
}

#[test]
fn nothing_is_lost_doubled_or_disordered_whatever_a_seed_does() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let figures = play(seed, true).expect("the seed passes");
        eprintln!("{figures:?}");
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (next, total, failed) = (AtomicU64::new(1), Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds {
                        return;
                    }
                    match play(seed, false) {
                        Some(figures) => total.lock().unwrap().add(&figures),
                        None => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let (total, failed) = (total.into_inner().unwrap(), failed.into_inner().unwrap());
    eprintln!("{seeds} seeds: {total:?}");
    assert!(failed.is_empty(), "{} seeds fail: {failed:?}", failed.len());
    // A simulation in which nothing happens proves nothing.
    total.assert_eventful(seeds);
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for seed in 1..=10 {
        let [first, second] = [(); 2].map(|()| play(seed, false).expect("the seed passes").trace);
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(play(1, false).unwrap().trace, play(2, false).unwrap().trace);
}
