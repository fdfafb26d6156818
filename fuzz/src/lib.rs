//! What the fuzz targets do with their bytes. Each target is one function here, so that the seeds and every finding
//! run as ordinary tests too (`tests/seeds.rs`), on a stable compiler.

mod decode;
mod engineio_payload;
mod handshake;
mod header;
mod inflate;
mod operations;
mod round_trip;
mod socketio_packet;
mod v1_command;

pub use decode::{decode_client, decode_server};
pub use engineio_payload::engineio_payload;
pub use handshake::{handshake_client, handshake_server};
pub use header::header;
pub use inflate::inflate;
pub use operations::operations;
pub use round_trip::round_trip;
pub use socketio_packet::socketio_packet;
pub use v1_command::v1_command;

use arbitrary::{Arbitrary, Result, Unstructured};
use vaiven_proto::deflate::{DeflateParams, WindowBits};

/// Parameters of compression, any that can be agreed on.
pub(crate) fn deflate_params(u: &mut Unstructured<'_>) -> Result<DeflateParams> {
    let mut window = || Ok(WindowBits::new(u.int_in_range(8..=15)?).expect("8 to 15"));
    let (server, client) = (window()?, window()?);
    Ok(DeflateParams {
        server_no_context_takeover: bool::arbitrary(u)?,
        client_no_context_takeover: bool::arbitrary(u)?,
        server_max_window_bits: server,
        client_max_window_bits: client,
    })
}

/// Cuts `wire` into pieces whose lengths are the bytes of `cuts`, used again and again; no cuts, no cutting.
pub(crate) fn pieces<'a>(mut wire: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = cuts.iter().map(|&cut| usize::from(cut) + 1).cycle();
    std::iter::from_fn(move || {
        let len = lengths.next().unwrap_or(usize::MAX).min(wire.len());
        let (piece, rest) = wire.split_at(len);
        wire = rest;
        (len > 0).then_some(piece)
    })
}
