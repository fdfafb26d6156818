//! What masking costs in place: one byte at a time, eight at a time with what every x86-64 processor has, as it is
//! (with AVX2 where the processor has that), and a copy of as many bytes beside it.
//!
//! `cargo bench -p vaiven-proto --bench mask`. Every figure is the median of eleven rounds, with the fastest and the
//! slowest beside it; the four take turns within a round.
#![expect(clippy::disallowed_methods, reason = "a benchmark has a clock")]

use std::hint::black_box;
use std::time::Instant;
use vaiven_proto::mask::{apply_bytewise, apply_mask};

const ROUNDS: usize = 11;
/// Bytes that each of the four works through in a round.
const BYTES: usize = 64 << 20;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

type Work = fn(&mut [u8], &[u8]);

fn main() {
    let kinds: [(&str, Work); 4] = [
        ("bytewise", |payload, _| apply_bytewise(payload, black_box(KEY))),
        ("baseline", |payload, _| baseline(payload, black_box(KEY))),
        ("apply_mask", |payload, _| apply_mask(payload, black_box(KEY))),
        ("memcpy", |payload, source| payload.copy_from_slice(source)),
    ];
    println!("bytes   work          ns each (min-max)              GB/s");
    for len in [20, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let mut rounds = [const { Vec::new() }; 4];
        // One byte off: payloads rarely begin at a round address.
        let mut buffer = vec![0x55; len + 1];
        let source = vec![0xaa; len];
        for _ in 0..ROUNDS {
            for ((_, work), rounds) in kinds.iter().zip(&mut rounds) {
                rounds.push(nanoseconds(*work, &mut buffer[1..], &source));
            }
        }
        for ((name, _), mut rounds) in kinds.iter().zip(rounds) {
            rounds.sort_by(f64::total_cmp);
            let (min, median, max) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
            let spread = format!("{median:.1} ({min:.1}-{max:.1})");
            println!("{len:<7} {name:<13} {spread:<30} {:.1}", f64_from(len) / median);
        }
    }
}

/// The loop of `apply_mask` as it is compiled without AVX2.
#[inline(never)]
fn baseline(payload: &mut [u8], key: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (blocks, rest) = payload.as_chunks_mut::<128>();
    for block in blocks {
        for lane in block.as_chunks_mut::<8>().0 {
            *lane = (u64::from_ne_bytes(*lane) ^ word).to_ne_bytes();
        }
    }
    let (lanes, tail) = rest.as_chunks_mut::<8>();
    for lane in lanes {
        *lane = (u64::from_ne_bytes(*lane) ^ word).to_ne_bytes();
    }
    apply_bytewise(tail, key);
}

fn nanoseconds(work: Work, payload: &mut [u8], source: &[u8]) -> f64 {
    let times = BYTES / payload.len() / if payload.len() < 1 << 10 { 4 } else { 1 };
    let start = Instant::now();
    for _ in 0..times {
        work(black_box(payload), black_box(source));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64_from(times)
}

fn f64_from(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a benchmark's numbers are small"))
}
