//! Compressed messages against another implementation of DEFLATE, which is given the earlier messages as stored
//! blocks in front: what ours takes, the other takes too, and makes the same of it.

use crate::{deflate_params, pieces};
use arbitrary::{Arbitrary, Result, Unstructured};
use flate2::{Decompress, FlushDecompress, Status};
use vaiven_proto::deflate::{DeflateParams, Inflater};
use vaiven_proto::{Role, Violation};

/// Messages of one connection, each whole, in pieces, and by the reference.
pub fn inflate(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

fn check(u: &mut Unstructured<'_>) -> Result<()> {
    let params = deflate_params(u)?;
    let max_len = usize::from(u16::arbitrary(u)?);
    let cuts: Vec<u8> = Vec::arbitrary(u)?;
    let mut whole = Inflater::new(Role::Server, &params);
    let mut cut = Inflater::new(Role::Server, &params);
    let mut history = Vec::new();
    while !u.is_empty() {
        let message = <&[u8]>::arbitrary(u)?;
        let inflated = run(&mut whole, std::iter::once(message).filter(|m| !m.is_empty()), max_len);
        assert_eq!(run(&mut cut, pieces(message, &cuts), max_len), inflated);
        let Ok(inflated) = inflated else { break };
        let expected = reference(&history, message).expect("what is taken is DEFLATE");
        assert!(inflated == expected, "{} bytes and {}", inflated.len(), expected.len());
        if !params.client_no_context_takeover {
            history.extend_from_slice(&inflated);
            history.drain(..history.len().saturating_sub(window(&params)));
        }
    }
    Ok(())
}

fn window(params: &DeflateParams) -> usize {
    params.client_max_window_bits.bytes().max(512)
}

fn run<'a>(
    inflater: &mut Inflater,
    pieces: impl Iterator<Item = &'a [u8]>,
    max_len: usize,
) -> std::result::Result<Vec<u8>, Violation> {
    let mut out = Vec::new();
    let mut inflated = Ok(());
    for piece in pieces {
        inflated = inflated.and_then(|()| inflater.inflate(piece, &mut out, max_len));
    }
    inflated = inflated.and_then(|()| inflater.finish(&mut out, max_len));
    assert!(
        out.len() <= max_len && out.capacity() <= max_len.max(8),
        "{} bytes of {max_len}",
        out.capacity()
    );
    inflated.map(|()| out)
}

/// The message, inflated by miniz; `None` where that takes it for no DEFLATE.
fn reference(history: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut out = history.to_vec();
    if message.is_empty() {
        // Taken as an empty message, although its sender should have written one byte.
        return Some(Vec::new());
    }
    let mut rest = [message, &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]].concat();
    // A stream ends with a final block, and the next one begins with the window as it is: all that came before.
    while !rest.is_empty() {
        let stored = out.chunks(0xffff).flat_map(|chunk| {
            let len = u16::try_from(chunk.len()).expect("a stored block").to_le_bytes();
            [&[0][..], &len, &[!len[0], !len[1]], chunk].concat()
        });
        let mut input: Vec<u8> = stored.collect();
        input.append(&mut rest);
        let (inflated, used) = stream(&input)?;
        out = inflated;
        rest = input.split_off(used);
        // What was put back behind the message is no stream of its own.
        if rest.len() <= 9 && [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff].ends_with(&rest) {
            break;
        }
    }
    Some(out.split_off(history.len()))
}

/// One stream to its final block: what it stands for, and how many bytes it took.
fn stream(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut miniz = Decompress::new(false);
    let mut out = Vec::with_capacity(1 << 16);
    loop {
        let (read, len) = (usize::try_from(miniz.total_in()).ok()?, out.len());
        let status = miniz.decompress_vec(&input[read..], &mut out, FlushDecompress::None).ok()?;
        if status == Status::StreamEnd {
            return Some((out, usize::try_from(miniz.total_in()).ok()?));
        }
        if out.len() == out.capacity() {
            out.reserve(1 << 16);
        } else if out.len() == len && usize::try_from(miniz.total_in()).ok()? == read {
            return None;
        }
    }
}
