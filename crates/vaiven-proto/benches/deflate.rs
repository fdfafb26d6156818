//! What compression costs: nanoseconds and bytes per message, each way, by level, window and context takeover.
//!
//! `cargo bench -p vaiven-proto --bench deflate`. Every figure is the median of nine rounds, with the fastest and the
//! slowest beside it.
#![expect(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::fmt::Write as _;
use std::time::Instant;
use vaiven_proto::Role;
use vaiven_proto::deflate::{Compression, DeflateConfig, DeflateParams, Deflater, Inflater, WindowBits};

const ROUNDS: usize = 9;
const MESSAGES: usize = 2_000;
const MAX_LEN: usize = 1 << 20;

fn main() {
    println!("message    level window takeover  deflate ns (min-max)     inflate ns (min-max)     bytes");
    for (name, bytes) in [("json 1 KiB", 1024), ("json 16 KiB", 16 * 1024)] {
        let messages: Vec<Vec<u8>> = (0..64).map(|seed| json(bytes, seed)).collect();
        for level in [1, 2, 3, 6] {
            for window in [12, 15] {
                for takeover in [false, true] {
                    run(name, &messages, level, window, takeover);
                }
            }
        }
    }
}

fn run(name: &str, messages: &[Vec<u8>], level: u8, window: u8, takeover: bool) {
    let window = WindowBits::new(window).expect("a window of the list above");
    let params = DeflateParams {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: window,
        client_max_window_bits: window,
    };
    let mut config = DeflateConfig::server();
    config.level = level;
    let mut deflater = Deflater::new(Role::Server, &params, &config);
    let mut inflater = Inflater::new(Role::Client, &params);
    let (mut compressing, mut inflating, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let mut compressed = (0..MESSAGES).map(|_| Vec::with_capacity(4096)).collect::<Vec<_>>();
        let start = Instant::now();
        for (out, message) in compressed.iter_mut().zip(messages.iter().cycle()) {
            assert_eq!(deflater.compress(message, out), Compression::Compressed);
        }
        compressing.push(start.elapsed().as_nanos() / MESSAGES as u128);
        let mut message = Vec::with_capacity(MAX_LEN / 32);
        let start = Instant::now();
        for input in &compressed {
            message.clear();
            inflater.inflate(input, &mut message, MAX_LEN).expect("what was deflated inflates");
            inflater.finish(&mut message, MAX_LEN).expect("what was deflated inflates");
        }
        inflating.push(start.elapsed().as_nanos() / MESSAGES as u128);
        assert_eq!(message, messages[(MESSAGES - 1) % messages.len()]);
        bytes = compressed.iter().map(Vec::len).sum::<usize>() / MESSAGES;
    }
    println!(
        "{name:<11} {level:>4} {window:>6} {takeover:>8}  {:<24} {:<24} {bytes:>5}",
        spread(compressing),
        spread(inflating)
    );
}

fn spread(mut rounds: Vec<u128>) -> String {
    rounds.sort_unstable();
    format!("{:>6} ({}-{})", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1])
}

/// A list of orders, as an application would send them: repeated keys, changing values.
fn json(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut text = String::from("[");
    while text.len() < bytes {
        let (id, price, user) = (next() % 1_000_000, next() % 100_000, next() % 5_000);
        let side = if next() % 2 == 0 { "buy" } else { "sell" };
        let _ = write!(
            text,
            "{{\"id\":{id},\"side\":\"{side}\",\"price\":{}.{:02},\"user\":\"user-{user}\",\"room\":\"sala\"}},",
            price / 100,
            price % 100
        );
    }
    text.truncate(bytes);
    text.into_bytes()
}
