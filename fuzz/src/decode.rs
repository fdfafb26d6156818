//! A stream to a decoder, whole and in pieces: the same events and the same verdict, within the limits.

use crate::{deflate_params, pieces};
use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{BufMut, BytesMut};
use std::time::{Duration, Instant};
use vaiven_proto::deflate::{DeflateParams, Inflater};
use vaiven_proto::mask::apply_bytewise;
use vaiven_proto::{Decoder, FrameHeader, Incoming, Input, Limits, OpCode, Role, Violation};

/// A stream to a server.
pub fn decode_server(data: &[u8]) {
    // Bytes that are used up leave a short conversation, which is one too.
    let _ = Stream::arbitrary(Role::Server, &mut Unstructured::new(data)).map(|stream| stream.check());
}

/// A stream to a client.
pub fn decode_client(data: &[u8]) {
    let _ = Stream::arbitrary(Role::Client, &mut Unstructured::new(data)).map(|stream| stream.check());
}

/// What a read takes at most, as of a socket.
const SLAB_BYTES: usize = 64 << 10;

struct Stream {
    role: Role,
    limits: Limits,
    deflate: Option<DeflateParams>,
    cuts: Vec<u8>,
    wire: Vec<u8>,
}

/// A part of the stream: mostly frames, so that what lies behind the first one is reached.
#[derive(Arbitrary)]
enum Part<'a> {
    Frame { first: u8, key: [u8; 4], payload: &'a [u8] },
    Data { opcode: u8, fin: bool, compressed: bool, key: [u8; 4], payload: &'a [u8] },
    Zeros { opcode: u8, key: [u8; 4], len: u16 },
    Announced { first: u8, key: [u8; 4], len: u64 },
    Raw(&'a [u8]),
}

impl Stream {
    fn arbitrary(role: Role, u: &mut Unstructured<'_>) -> Result<Self> {
        let mut limits = if bool::arbitrary(u)? { Limits::server() } else { Limits::client() };
        limits.max_message_bytes = match u8::arbitrary(u)? {
            small @ 0..=127 => usize::from(small),
            large => usize::from(large - 127) << 10,
        };
        limits.max_fragments = u32::from(u8::arbitrary(u)?) + 1;
        limits.max_idle_frames = u32::from(u8::arbitrary(u)?);
        let deflate = if bool::arbitrary(u)? { Some(deflate_params(u)?) } else { None };
        let cuts = Vec::arbitrary(u)?;
        let mut wire = Vec::new();
        while !u.is_empty() && wire.len() < 1 << 20 {
            Part::arbitrary(u)?.write(role, &mut wire);
        }
        Ok(Self { role, limits, deflate, cuts, wire })
    }

    fn check(&self) {
        let whole = self.run(std::iter::once(&self.wire[..]), false);
        for direct in [false, true] {
            assert_eq!(self.run(pieces(&self.wire, &self.cuts), direct), whole, "direct: {direct}");
        }
        if self.wire.len() < 4_000 {
            assert_eq!(self.run(pieces(&self.wire, &[0]), false), whole, "byte by byte");
        }
    }

    /// Bytes that a connection may hold: a message and its compressed form, with the state of a decompressor.
    fn most_held(&self) -> usize {
        let max = self.limits.max_message_bytes;
        if self.deflate.is_some() { 4 * max + (256 << 10) } else { max + 256 }
    }

    fn run<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>, direct: bool) -> Outcome {
        let now = Instant::now();
        let inflater = self.deflate.map(|params| Inflater::new(self.role, &params));
        let mut decoder = Decoder::new(self.role, self.limits.clone(), inflater, now);
        let mut outcome = Outcome::default();
        let mut slab = BytesMut::new();
        for (index, mut piece) in pieces.enumerate() {
            while direct && !piece.is_empty() {
                let Some(mut buffer) = decoder.payload_buffer() else { break };
                let (straight, rest) = piece.split_at(piece.len().min(buffer.remaining_mut()));
                assert!(!straight.is_empty(), "a place to read into has room");
                buffer.put_slice(straight);
                piece = rest;
                outcome.pull(&mut decoder, &mut Input::default(), self);
            }
            decoder.set_now(now + Duration::from_micros(index as u64));
            let mut input = if direct {
                if slab.capacity() < piece.len() {
                    slab = BytesMut::with_capacity(SLAB_BYTES.max(piece.len()));
                }
                slab.put_slice(piece);
                Input::new(std::mem::take(&mut slab), SLAB_BYTES.max(piece.len()))
            } else {
                Input::from(piece)
            };
            outcome.pull(&mut decoder, &mut input, self);
            slab = input.into_spare();
        }
        outcome
    }
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: Vec<Incoming>,
    violation: Option<Violation>,
}

impl Outcome {
    fn pull(&mut self, decoder: &mut Decoder, input: &mut Input, stream: &Stream) {
        loop {
            let decoded = decoder.decode(input);
            let held = decoder.held_bytes();
            assert!(held <= stream.most_held(), "{held} bytes held, {:?}", stream.limits);
            match decoded {
                Ok(Some(event)) => {
                    assert!(self.violation.is_none(), "nothing comes behind a violation");
                    if let Incoming::Message(message) = &event {
                        assert!(message.len() <= stream.limits.max_message_bytes);
                        assert!(
                            message.as_text().is_none_or(|text| std::str::from_utf8(text.as_bytes()).is_ok())
                        );
                    }
                    self.events.push(event);
                }
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(self.violation.replace(violation), None, "it fails once");
                    break;
                }
            }
        }
        assert!(input.is_empty(), "all of the input is taken");
    }
}

impl Part<'_> {
    fn write(&self, receiver: Role, wire: &mut Vec<u8>) {
        match *self {
            Self::Frame { first, key, payload } => frame(receiver, first, key, payload, wire),
            Self::Data { opcode, fin, compressed, key, payload } => {
                let first = (u8::from(fin) << 7) | (u8::from(compressed) << 6) | (opcode % 3);
                frame(receiver, first, key, payload, wire);
            }
            Self::Zeros { opcode, key, len } => {
                frame(receiver, opcode % 3, key, &vec![0; usize::from(len)], wire)
            }
            Self::Announced { first, key, len } => head(receiver, first, key, len >> (len % 64), wire),
            Self::Raw(bytes) => wire.extend_from_slice(bytes),
        }
    }
}

/// A header with any first byte, right in all else.
fn head(receiver: Role, first: u8, key: [u8; 4], payload_len: u64, wire: &mut Vec<u8>) {
    let masking_key = (receiver == Role::Server).then_some(key);
    let at = wire.len();
    let payload_len = payload_len & (u64::MAX >> 1);
    FrameHeader { fin: false, rsv1: false, opcode: OpCode::Text, masking_key, payload_len }.write(wire);
    wire[at] = first;
}

fn frame(receiver: Role, first: u8, key: [u8; 4], payload: &[u8], wire: &mut Vec<u8>) {
    head(receiver, first, key, payload.len() as u64, wire);
    let at = wire.len();
    wire.extend_from_slice(payload);
    if receiver == Role::Server {
        apply_bytewise(&mut wire[at..], key);
    }
}
