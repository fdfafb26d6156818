//! What an encoder writes, a decoder of the other side reads: any messages, fragments, compression and cuts.

use crate::deflate_params;
use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{Buf, Bytes};
use std::io::IoSlice;
use std::time::Instant;
use vaiven_proto::deflate::{DeflateConfig, Inflater, WindowBits};
use vaiven_proto::{
    CloseFrame, Compress, Decoder, Encoder, Incoming, Input, Limits, Message, Prepared, Role,
};

/// Sends whatever the bytes say and expects it to arrive.
pub fn round_trip(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

#[derive(Arbitrary)]
enum Sent<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A message that compresses well, of up to 64 KiB.
    Repeated(u8, u16),
    Prepared(&'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    ReleaseIdle,
}

fn check(u: &mut Unstructured<'_>) -> Result<()> {
    let (from, to) =
        if bool::arbitrary(u)? { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
    let mut encoder = Encoder::new(from, |key| key.copy_from_slice(&[0x37, 0xfa, 0x21, 0x3d]));
    let mut inflater = None;
    if bool::arbitrary(u)? {
        let params = deflate_params(u)?;
        let mut config = DeflateConfig::server();
        config.level = u8::arbitrary(u)? % 10;
        config.min_bytes = usize::from(u8::arbitrary(u)?);
        config.client_max_window_bits = Some(WindowBits::MAX);
        encoder = encoder.with_deflate(params, &config);
        inflater = Some(Inflater::new(to, &params));
    }
    if bool::arbitrary(u)? {
        encoder = encoder.with_max_frame_bytes(usize::from(u16::arbitrary(u)?));
    }
    let mut limits = Limits::autobahn();
    limits.max_message_bytes = 1 << 20;
    let mut decoder = Decoder::new(to, limits, inflater, Instant::now());
    let mut expected = Vec::new();
    let mut received = Vec::new();
    while !u.is_empty() {
        let compress =
            [Compress::Auto, Compress::Always, Compress::Never][usize::from(u8::arbitrary(u)? % 3)];
        let sent = Sent::arbitrary(u)?;
        expected.extend(sent.queue(&mut encoder, compress));
        // A few bytes leave now, the rest behind what comes next.
        let step = usize::from(u16::arbitrary(u)?);
        transfer(&mut encoder, &mut decoder, step, &mut received);
    }
    let bye = CloseFrame::new(1000, "bye");
    encoder.close(Some(&bye));
    assert!(encoder.message(Message::from("late"), Compress::Auto).is_err());
    transfer(&mut encoder, &mut decoder, usize::MAX, &mut received);
    expected.push(Incoming::Close(Some(bye)));
    assert!(encoder.outbox().is_empty() && !encoder.written());
    assert_eq!(received, expected);
    Ok(())
}

impl Sent<'_> {
    /// Queues it and gives what must arrive.
    fn queue(&self, encoder: &mut Encoder, compress: Compress) -> Option<Incoming> {
        let message = match *self {
            Self::Text(text) => Message::from(text),
            Self::Binary(bytes) => Message::from(bytes.to_vec()),
            Self::Repeated(byte, len) => Message::from(vec![byte; usize::from(len)]),
            Self::Prepared(bytes) => {
                let prepared = Prepared::new(bytes.to_vec());
                encoder.prepared(&prepared, compress).expect("it is open");
                return Some(Incoming::Message(prepared.message().clone()));
            }
            Self::Ping(payload) => {
                encoder.ping(payload).expect("it is open");
                return Some(Incoming::Ping(Bytes::copy_from_slice(&payload[..payload.len().min(125)])));
            }
            Self::Pong(payload) => {
                encoder.pong(payload).expect("it is open");
                return Some(Incoming::Pong(Bytes::copy_from_slice(&payload[..payload.len().min(125)])));
            }
            Self::ReleaseIdle => {
                encoder.release_idle();
                return None;
            }
        };
        encoder.message(message.clone(), compress).expect("it is open");
        Some(Incoming::Message(message))
    }
}

/// Moves up to `step` bytes, gathered as a vectored write would.
fn transfer(encoder: &mut Encoder, decoder: &mut Decoder, step: usize, received: &mut Vec<Incoming>) {
    let mut left = step.min(encoder.outbox().len());
    while left > 0 {
        let outbox = encoder.outbox_mut();
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = outbox.chunks_vectored(&mut slices);
        assert!(filled > 0, "what waits is shown");
        let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
        bytes.truncate(left);
        outbox.advance(bytes.len());
        left -= bytes.len();
        let mut input = Input::from(&bytes[..]);
        while let Some(event) = decoder.decode(&mut input).expect("what is written is right") {
            received.push(event);
        }
    }
}
