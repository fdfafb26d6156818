//! Split invariance: what a row sends gives the same events whole, byte by byte and at a thousand seeded splits, to
//! the sans-IO readers of the protocol.

use crate::heads;
use crate::row::{Role, Row, catalogue};
use crate::script::{Expect, Head, Side, Step, parse};
use bytes::BytesMut;
use std::time::Instant;
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, Inflater};
use vaiven_proto::handshake::{ClientRequest, Extension, HeadLimits, HeadScanner, RequestHead};
use vaiven_proto::{Decoder, Incoming, Input, Limits, Violation};

const SPLITS: u64 = 1000;
/// For the hundreds of variants of a row that differ in a byte.
const SPLITS_OF_A_BYTE: u64 = 10;
/// What a connection may hold besides its message: the window of the inflater, 16 KiB beyond the limit where a bomb is
/// noticed, the first piece of a buffer.
const HELD: usize = 128 << 10;
const HOST: &str = "127.0.0.1:80";
/// The request whose key all answers here prove.
const REQUEST: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a row sends, up to the end of the opening handshake and behind it.
#[derive(Default)]
struct Conversation {
    opening: Vec<u8>,
    frames: Vec<u8>,
    deflate: Option<DeflateParams>,
}

impl Conversation {
    fn of(row: &Row, play: &str, side: Side) -> Self {
        let mut conversation = Self::default();
        let mut is_open = false;
        for step in parse(play, side) {
            match step {
                Step::Connect => conversation.opening.clear(),
                // Of several conversations the last one is what the row is about.
                Step::HangUp => (conversation, is_open) = (Self::default(), false),
                Step::Open(head) => {
                    conversation.opening = write(&head, side);
                    conversation.deflate = agreed(row, &head, side);
                    is_open = true;
                }
                Step::Head(head) => conversation.opening.extend(write(&head, side)),
                Step::Send { bytes, .. } if is_open => conversation.frames.extend(bytes),
                Step::Send { bytes, .. } => conversation.opening.extend(bytes),
                Step::Expect(Expect::Status(statuses)) if statuses == [101] => is_open = true,
                _ => {}
            }
        }
        conversation
    }
}

fn write(head: &Head, side: Side) -> Vec<u8> {
    match side {
        Side::Client => heads::request(head, HOST),
        Side::Server => heads::answer(head, HOST, REQUEST),
    }
}

/// The compression that a handshake agrees to.
fn agreed(row: &Row, head: &Head, side: Side) -> Option<DeflateParams> {
    let field = head.with.iter().find_map(|field| field.strip_prefix(b"Sec-WebSocket-Extensions: "))?;
    let extensions = Extension::parse_list([field]).ok()?;
    match side {
        Side::Client => DeflateConfig::server().accept(&extensions).map(|(params, _)| params),
        Side::Server if row.client.deflate => DeflateConfig::client().confirm(&extensions).ok()?,
        Side::Server => None,
    }
}

/// Cuts `wire` into pieces of these lengths and hands on each.
fn pieces(wire: &[u8], mut next: impl FnMut() -> usize, mut piece: impl FnMut(&[u8])) {
    let mut rest = wire;
    while !rest.is_empty() {
        let (taken, later) = rest.split_at(next().clamp(1, rest.len()));
        piece(taken);
        rest = later;
    }
}

type Events = (Vec<Incoming>, Option<Violation>);

fn decode(row: &Row, conversation: &Conversation, side: Side, next: impl FnMut() -> usize) -> Events {
    let (role, mut limits) = match side {
        Side::Client => (vaiven_proto::Role::Server, Limits::server()),
        Side::Server => (vaiven_proto::Role::Client, Limits::client()),
    };
    if side == Side::Client {
        (limits.max_message_bytes, limits.max_fragments) = (64 << 10, 1024);
    } else {
        limits.max_message_bytes = row.client.max_message_bytes.unwrap_or(limits.max_message_bytes);
        limits.max_fragments = row.client.max_fragments.unwrap_or(limits.max_fragments);
    }
    let max = limits.max_message_bytes;
    let inflater = conversation.deflate.as_ref().map(|params| Inflater::new(role, params));
    let mut decoder = Decoder::new(role, limits, inflater, Instant::now());
    let mut events = Events::default();
    let mut received = 0;
    pieces(&conversation.frames, next, |piece| {
        received += piece.len();
        let mut input = Input::from(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.0.push(event),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(events.1.replace(violation), None, "a connection fails once");
                    break;
                }
            }
        }
        // A buffer grows by doubling, and so stays below twice of what came; none outgrows the limit.
        let most = if conversation.deflate.is_none() { max.min(2 * received) } else { max };
        let held = decoder.held_bytes();
        assert!(held <= most + HELD, "{held} bytes are held of {received} that came");
    });
    events
}

/// What a reader makes of a head, and what it leaves behind it.
fn read_head(row: &Row, wire: &[u8], side: Side, next: impl FnMut() -> usize) -> (String, Vec<u8>) {
    let mut scanner = HeadScanner::new(HeadLimits::default());
    let mut request = ClientRequest::new(HOST, "/", *b"the sample nonce").expect("it is right");
    for name in &row.client.subprotocols {
        // A row may be about a name that cannot be offered: then nothing is.
        let _ = request.subprotocol(name);
    }
    if row.client.deflate {
        request.extensions(&DeflateConfig::client().offer()).expect("it is right");
    }
    let mut reader = request.response_reader(HeadLimits::default());
    let mut received = BytesMut::new();
    let mut outcome = None;
    pieces(wire, next, |piece| {
        received.extend_from_slice(piece);
        if outcome.is_some() {
            return;
        }
        outcome = match side {
            Side::Client => match RequestHead::take(&mut scanner, &mut received) {
                Ok(None) => None,
                Ok(Some(head)) => Some(format!("{:?} {:?}", head.as_bytes(), head.upgrade().map(|_| ()))),
                Err(error) => Some(format!("{error:?}")),
            },
            Side::Server => match reader.take(&mut received) {
                Ok(None) => None,
                Ok(Some(accepted)) => {
                    Some(format!("{:?} {:?}", accepted.subprotocol(), accepted.extensions()))
                }
                Err(error) => Some(format!("{error:?}")),
            },
        };
    });
    let outcome = outcome.unwrap_or_else(|| "unfinished".to_owned());
    // What stands behind a head that is refused is nobody's.
    let rest = if outcome.contains("Ok(") || side == Side::Server { received.to_vec() } else { Vec::new() };
    (outcome, rest)
}

fn xorshift(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits fit")
}

/// Compares what `read` gives for the whole with what it gives for all splits of `len` bytes.
fn compare<T: PartialEq + std::fmt::Debug>(
    name: &str,
    len: usize,
    splits: u64,
    read: impl Fn(&mut dyn FnMut() -> usize) -> T,
) {
    let whole = read(&mut || usize::MAX);
    assert!(read(&mut || 1) == whole, "{name}: byte by byte differs from {whole:?}");
    for seed in 1..=splits {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
        let longest = 1 + xorshift(&mut state) % len.max(1);
        let split = read(&mut || xorshift(&mut state) % longest);
        assert!(split == whole, "{name}: seed {seed} gives {split:?}, not {whole:?}");
    }
}

/// Leaves out what comes after the end, which is discarded: the whole of it is in the catalogue for the sockets.
fn shorten(row: &Row, conversation: &mut Conversation, side: Side) {
    let full = std::mem::take(&mut conversation.frames);
    for len in [1 << 10, 16 << 10, 128 << 10, 1 << 20] {
        if len >= full.len() {
            break;
        }
        conversation.frames = full[..len].to_vec();
        let (events, violation) = decode(row, conversation, side, || 4 << 10);
        if violation.is_some() || matches!(events.last(), Some(Incoming::Close(_))) {
            return;
        }
    }
    conversation.frames = full;
}

fn check(row: &Row) {
    let sides: &[Side] = match row.role {
        Role::Server => &[Side::Client],
        Role::Client => &[Side::Server],
        Role::Both => &[Side::Client, Side::Server],
        Role::Javascript => &[],
    };
    for &side in sides {
        for play in row.plays() {
            let mut conversation = Conversation::of(row, &play, side);
            let name = format!("{} {side:?}: {play}", row.id);
            let splits = if row.every_byte { SPLITS_OF_A_BYTE } else { SPLITS };
            // What is longer than any head is refused long before its end.
            conversation.opening.truncate(40 << 10);
            if !conversation.opening.is_empty() {
                compare(&name, conversation.opening.len(), splits, |next| {
                    read_head(row, &conversation.opening, side, next)
                });
            }
            shorten(row, &mut conversation, side);
            if !conversation.frames.is_empty() {
                compare(&name, conversation.frames.len(), splits, |next| {
                    decode(row, &conversation, side, next)
                });
            }
        }
    }
}

#[test]
fn every_conversation_gives_the_same_events_however_it_is_split() {
    let rows = catalogue();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    check(row);
                }
            });
        }
    });
}
