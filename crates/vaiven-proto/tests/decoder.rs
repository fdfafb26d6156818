//! The decoder against conversations as they stand on the wire: each gives the same events whole, byte by byte, at
//! seeded splits, and when large payloads are read straight into the message buffer.
#![expect(clippy::disallowed_methods, reason = "tests need some instant to begin from")]

use bytes::{BufMut, BytesMut};
use std::time::{Duration, Instant};
use vaiven_proto::deflate::{DeflateParams, Inflater, WindowBits};
use vaiven_proto::{
    CloseCode, CloseFrame, Decoder, FrameHeader, Incoming, Input, Limits, Message, OpCode, Role, Violation,
    WholeMessage, mask::apply_mask,
};

type Outcome = (Vec<Incoming>, Option<Violation>);

/// A frame of a client (masked) or a server.
fn frame(from: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let masking_key = (from == Role::Client).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let header = FrameHeader {
        fin: true,
        rsv1: false,
        opcode: OpCode::Text,
        masking_key,
        payload_len: payload.len() as u64,
    };
    let mut wire = Vec::new();
    header.write(&mut wire);
    wire[0] = first;
    let start = wire.len();
    wire.extend_from_slice(payload);
    if let Some(key) = masking_key {
        apply_mask(&mut wire[start..], key);
    }
    wire
}

fn decoder(role: Role, limits: &Limits, deflate: bool) -> Decoder {
    let params = DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    let inflater = deflate.then(|| Inflater::new(role, &params));
    Decoder::new(role, limits.clone(), inflater, Instant::now())
}

fn pull(decoder: &mut Decoder, input: &mut Input, outcome: &mut Outcome) {
    loop {
        match decoder.decode(input) {
            Ok(Some(event)) => outcome.0.push(event),
            Ok(None) => break,
            Err(violation) => {
                assert_eq!(outcome.1.replace(violation), None);
                break;
            }
        }
    }
    assert!(input.is_empty(), "the decoder takes all of its input");
}

/// Feeds the wire in pieces of these lengths, the last one repeated.
fn feed(mut decoder: Decoder, wire: &[u8], mut next: impl FnMut() -> usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = wire;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(next().clamp(1, rest.len()));
        rest = later;
        pull(&mut decoder, &mut Input::from(piece), &mut outcome);
    }
    outcome
}

/// Reads as a socket loop does: from a roomy shared buffer, a message alone copied out of it, or straight into the
/// message.
fn feed_direct(mut decoder: Decoder, wire: &[u8], step: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = wire;
    while !rest.is_empty() {
        let len = step.min(rest.len());
        if let Some(mut buffer) = decoder.payload_buffer() {
            let len = len.min(buffer.remaining_mut());
            assert!(len > 0);
            buffer.put_slice(&rest[..len]);
            rest = &rest[len..];
            pull(&mut decoder, &mut Input::default(), &mut outcome);
        } else {
            let mut slab = BytesMut::with_capacity(256 << 10);
            slab.put_slice(&rest[..len]);
            rest = &rest[len..];
            if let Some(message) = decoder.decode_alone(&mut slab) {
                outcome.0.push(Incoming::Message(message));
                continue;
            }
            let allocation = slab.capacity();
            pull(&mut decoder, &mut Input::new(slab, allocation), &mut outcome);
        }
    }
    outcome
}

/// Reads as one does who keeps a buffer: whole messages are taken where they lie, the rest is passed on as a copy.
fn feed_in_place(mut decoder: Decoder, wire: &[u8], step: usize) -> Outcome {
    let mut outcome = Outcome::default();
    for read in wire.chunks(step) {
        let mut read = read.to_vec();
        let mut rest = &mut read[..];
        loop {
            if let Some(WholeMessage { is_text, payload }) = decoder.decode_in_place(rest) {
                let (taken, later) = std::mem::take(&mut rest).split_at_mut(payload.end);
                let payload = &taken[payload];
                outcome.0.push(if is_text {
                    text(std::str::from_utf8(payload).expect("text is validated"))
                } else {
                    binary(payload)
                });
                rest = later;
                continue;
            }
            // One event at a time, so that whole messages behind it are found in place again.
            let mut input = Input::from(&*rest);
            match decoder.decode(&mut input) {
                Ok(Some(event)) => outcome.0.push(event),
                Ok(None) => break,
                Err(violation) => assert_eq!(outcome.1.replace(violation), None),
            }
            let left = input.len();
            let taken = rest.len() - left;
            rest = &mut std::mem::take(&mut rest)[taken..];
        }
    }
    outcome
}

fn xorshift(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits fit")
}

#[track_caller]
fn check_with(limits: &Limits, deflate: bool, role: Role, wire: &[u8], expected: &Outcome) {
    let new = || decoder(role, limits, deflate);
    assert_eq!(&feed(new(), wire, || usize::MAX), expected, "whole");
    if wire.len() < 10_000 {
        assert_eq!(&feed(new(), wire, || 1), expected, "byte by byte");
    }
    for step in [700, 20_000, 100_000] {
        assert_eq!(&feed_direct(new(), wire, step), expected, "direct in steps of {step}");
        assert_eq!(&feed_in_place(new(), wire, step), expected, "in place in steps of {step}");
    }
    let seeds = match wire.len() {
        _ if cfg!(miri) => 2,
        10_000.. => 10,
        _ => 200,
    };
    for seed in 1..=seeds {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
        let longest = 1 + xorshift(&mut state) % 64.max(wire.len());
        let outcome = feed(new(), wire, || xorshift(&mut state) % longest);
        assert_eq!(&outcome, expected, "seed {seed}");
    }
}

#[track_caller]
fn check(role: Role, frames: &[(u8, &[u8])], events: &[Incoming], violation: Option<Violation>) {
    let from = if role == Role::Server { Role::Client } else { Role::Server };
    let wire: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(from, *first, payload)).collect();
    let limits = Limits::server();
    check_with(&limits, false, role, &wire, &(events.to_vec(), violation));
}

fn text(text: &str) -> Incoming {
    Incoming::Message(Message::text(text))
}

fn binary(bytes: &[u8]) -> Incoming {
    Incoming::Message(Message::binary(bytes.to_vec()))
}

#[test]
fn whole_messages_of_both_kinds_are_delivered() {
    for role in [Role::Server, Role::Client] {
        check(role, &[(0x81, "vaivén".as_bytes())], &[text("vaivén")], None);
        check(role, &[(0x82, b"\x00\xff")], &[binary(b"\x00\xff")], None);
        check(role, &[(0x81, b""), (0x82, b"")], &[text(""), binary(b"")], None);
    }
}

#[test]
fn fragments_become_one_message_with_control_frames_between_them() {
    for role in [Role::Server, Role::Client] {
        check(
            role,
            &[(0x01, b"ho"), (0x89, b"you?"), (0x00, b""), (0x8a, b"x"), (0x80, b"la"), (0x81, b"!")],
            &[Incoming::Ping(b"you?"[..].into()), Incoming::Pong(b"x"[..].into()), text("hola"), text("!")],
            None,
        );
    }
}

#[test]
fn frames_out_of_order_are_refused() {
    for role in [Role::Server, Role::Client] {
        check(role, &[(0x80, b"x")], &[], Some(Violation::UnexpectedContinuation));
        check(role, &[(0x01, b"a"), (0x81, b"b")], &[], Some(Violation::UnfinishedMessage));
        check(role, &[(0x81, b"a"), (0x83, b"b")], &[text("a")], Some(Violation::ReservedOpcode));
        check(role, &[(0x09, b"a")], &[], Some(Violation::FragmentedControl));
        check(role, &[(0xc1, b"a")], &[], Some(Violation::ReservedBits));
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_as_soon_as_it_shows() {
    for bad in [&b"\xc0\x80"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xff"] {
        check(Role::Server, &[(0x81, bad)], &[], Some(Violation::InvalidUtf8));
        check(Role::Server, &[(0x01, bad), (0x00, b"x")], &[], Some(Violation::InvalidUtf8));
    }
    check(Role::Server, &[(0x01, b"\xe2"), (0x00, b"\x82"), (0x80, b"\xac")], &[text("€")], None);
    check(Role::Server, &[(0x01, b"\xe2\x82"), (0x80, b"")], &[], Some(Violation::InvalidUtf8));
    check(Role::Server, &[(0x81, b"\xe2\x82")], &[], Some(Violation::InvalidUtf8));
}

#[test]
fn close_frames_end_everything() {
    for role in [Role::Server, Role::Client] {
        check(role, &[(0x88, b""), (0x81, b"late")], &[Incoming::Close(None)], None);
        let going = CloseFrame::new(CloseCode::GOING_AWAY, "adiós");
        check(role, &[(0x88, &going.to_body()), (0xff, b"x")], &[Incoming::Close(Some(going))], None);
        check(role, &[(0x88, b"\x03")], &[], Some(Violation::TruncatedCloseCode));
        check(role, &[(0x88, b"\x03\xed")], &[], Some(Violation::InvalidCloseCode));
        check(role, &[(0x88, b"\x03\xe8\xff")], &[], Some(Violation::InvalidCloseReason));
    }
}

#[test]
#[cfg_attr(miri, ignore = "megabytes take Miri minutes")]
fn the_longest_message_is_taken_and_one_byte_more_is_not() {
    let mut limits = Limits::server();
    limits.max_message_bytes = 200_000;
    for (len, verdict) in [(199_999, None), (200_000, None), (200_001, Some(Violation::MessageTooLarge))] {
        let payload = vec![b'a'; len];
        let events = if verdict.is_none() { vec![binary(&payload)] } else { vec![] };
        let whole = frame(Role::Client, 0x82, &payload);
        check_with(&limits, false, Role::Server, &whole, &(events.clone(), verdict));
        let mut halves = frame(Role::Client, 0x02, &payload[..70_000]);
        halves.extend(frame(Role::Client, 0x80, &payload[70_000..]));
        check_with(&limits, false, Role::Server, &halves, &(events, verdict));
    }
    for len in [1 << 31, 1 << 32, (1 << 63) - 1] {
        for fragment in [false, true] {
            let mut wire = if fragment { frame(Role::Client, 0x02, b"abc") } else { vec![] };
            wire.extend([if fragment { 0x80 } else { 0x82 }, 0xff]);
            wire.extend_from_slice(&u64::to_be_bytes(len));
            wire.extend([0; 4]);
            check_with(&limits, false, Role::Server, &wire, &(vec![], Some(Violation::MessageTooLarge)));
        }
    }
}

#[test]
fn the_most_fragments_are_taken_and_one_more_is_not() {
    let mut limits = Limits::server();
    limits.max_fragments = 10;
    for (count, verdict) in [(9, None), (10, None), (11, Some(Violation::TooManyFragments))] {
        let mut wire = frame(Role::Client, 0x01, b"a");
        for i in 2..=count {
            wire.extend(frame(Role::Client, if i == count { 0x80 } else { 0x00 }, b"a"));
        }
        let events = if verdict.is_none() { vec![text(&"a".repeat(count))] } else { vec![] };
        check_with(&limits, false, Role::Server, &wire, &(events, verdict));
    }
}

#[test]
fn frames_that_bring_nothing_further_are_counted() {
    let mut limits = Limits::server();
    limits.max_idle_frames = 5;
    for first in [0x8a, 0x02] {
        let opening = if first == 0x02 { vec![] } else { frame(Role::Client, 0x02, b"a") };
        let mut wire = opening;
        for i in 0..6 {
            wire.extend(frame(Role::Client, if first == 0x02 && i > 0 { 0x00 } else { first }, b""));
        }
        // The pong that is too many is told, as it may have been asked for.
        let events = if first == 0x8a { vec![Incoming::Pong(bytes::Bytes::new()); 6] } else { Vec::new() };
        check_with(&limits, false, Role::Server, &wire, &(events, Some(Violation::FrameFlood)));
    }
    // Nothing comes behind the one that is too many.
    let behind = [frame(Role::Client, 0x8a, b"").repeat(6), frame(Role::Client, 0x82, b"a")].concat();
    let events = vec![Incoming::Pong(bytes::Bytes::new()); 6];
    check_with(&limits, false, Role::Server, &behind, &(events, Some(Violation::FrameFlood)));
    // The window passes, and the count begins anew.
    let start = Instant::now();
    let mut decoder = Decoder::new(Role::Server, limits, None, start);
    for second in 0..60 {
        decoder.set_now(start + Duration::from_secs(second * 3));
        let mut input = Input::from(&frame(Role::Client, 0x89, b"")[..]);
        assert!(matches!(decoder.decode(&mut input), Ok(Some(Incoming::Ping(_)))));
    }
}

#[test]
fn compressed_messages_are_inflated_and_judged() {
    let limits = Limits::server();
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let wire: Vec<u8> = [
        frame(Role::Client, 0xc1, hello),
        frame(Role::Client, 0x81, b"plain"),
        frame(Role::Client, 0x41, &hello[..3]),
        frame(Role::Client, 0x89, b"p"),
        frame(Role::Client, 0x80, &hello[3..]),
        frame(Role::Client, 0xc1, b"\x00"),
    ]
    .concat();
    let events = vec![text("Hello"), text("plain"), Incoming::Ping(b"p"[..].into()), text("Hello"), text("")];
    check_with(&limits, true, Role::Server, &wire, &(events, None));
    let garbage = frame(Role::Client, 0xc1, b"\xff\xff\xff\xff");
    check_with(&limits, true, Role::Server, &garbage, &(vec![], Some(Violation::InvalidDeflate)));
    let continuation = [frame(Role::Client, 0x41, hello), frame(Role::Client, 0xc0, b"x")].concat();
    let verdict = Some(Violation::MisplacedCompressionBit);
    check_with(&limits, true, Role::Server, &continuation, &(vec![], verdict));
}

#[test]
fn text_that_inflates_is_judged_up_to_where_the_stream_breaks() {
    // A stored block with a byte that is no UTF-8, and a block of the reserved type behind it.
    let broken = frame(Role::Client, 0xc1, b"\x00\x02\x00\xfd\xffa\xff\x07");
    let invalid = (vec![], Some(Violation::InvalidUtf8));
    check_with(&Limits::server(), true, Role::Server, &broken, &invalid);
    // The same byte, and more behind it than a message may have.
    let mut limits = Limits::server();
    limits.max_message_bytes = 3;
    let long = frame(Role::Client, 0xc1, b"\x00\x05\x00\xfa\xffa\xffaaa\x00");
    check_with(&limits, true, Role::Server, &long, &invalid);
    let behind = frame(Role::Client, 0xc1, b"\x00\x05\x00\xfa\xffaaaa\xff\x00");
    check_with(&limits, true, Role::Server, &behind, &(vec![], Some(Violation::MessageTooLarge)));
}

#[test]
#[cfg_attr(miri, ignore = "megabytes take Miri minutes")]
fn the_capacity_of_a_message_keeps_to_its_limit_too() {
    for max in [1_000, 70_000, 100_000] {
        for fragment in [1, 300, 999, 20_000, 40_001] {
            let mut limits = Limits::server();
            limits.max_message_bytes = max;
            limits.max_fragments = u32::MAX;
            let mut decoder = Decoder::new(Role::Server, limits, None, Instant::now());
            let mut outcome = Outcome::default();
            for (index, piece) in vec![b'a'; max].chunks(fragment).enumerate() {
                let wire = frame(Role::Client, u8::from(index == 0), piece);
                let (head, tail) = wire.split_at(wire.len() / 2);
                pull(&mut decoder, &mut Input::from(head), &mut outcome);
                if let Some(mut buffer) = decoder.payload_buffer() {
                    buffer.put_slice(tail);
                    pull(&mut decoder, &mut Input::default(), &mut outcome);
                } else {
                    pull(&mut decoder, &mut Input::from(tail), &mut outcome);
                }
                assert!(decoder.held_bytes() <= max, "{} of {max}", decoder.held_bytes());
            }
            pull(&mut decoder, &mut Input::from(&frame(Role::Client, 0x80, b"")[..]), &mut outcome);
            assert_eq!(outcome, (vec![text(&"a".repeat(max))], None));
        }
    }
}

#[test]
fn a_message_that_stops_halfway_times_out() {
    let start = Instant::now();
    let mut decoder = Decoder::new(Role::Server, Limits::server(), None, start);
    assert_eq!(decoder.poll_timeout(), None);
    let wire = frame(Role::Client, 0x82, b"abcdef");
    for len in [1, 5, 9] {
        decoder = Decoder::new(Role::Server, Limits::server(), None, start);
        assert_eq!(decoder.decode(&mut Input::from(&wire[..len])), Ok(None));
        let deadline = decoder.poll_timeout().unwrap();
        let before = start + Duration::from_millis(29_999);
        assert_eq!(deadline, start + Duration::from_secs(30));
        assert_eq!(decoder.handle_timeout(before), Ok(()));
        assert_eq!(decoder.handle_timeout(deadline), Err(Violation::PartialMessageTimeout));
    }
}

#[test]
fn the_time_for_a_message_begins_with_its_first_byte() {
    let start = Instant::now();
    let later = start + Duration::from_hours(1);
    let deadline = later + Duration::from_secs(30);
    for (first, len) in [(0x82, 1), (0x82, 5), (0x82, 9), (0x89, 1), (0x89, 5), (0x89, 9)] {
        let mut decoder = Decoder::new(Role::Server, Limits::server(), None, start);
        decoder.set_now(later);
        let wire = frame(Role::Client, first, b"abcdef");
        assert_eq!(decoder.decode(&mut Input::from(&wire[..len])), Ok(None));
        assert_eq!(decoder.poll_timeout(), Some(deadline), "{len} bytes of {first:02x}");
        assert_eq!(decoder.handle_timeout(later), Ok(()));
    }
    // A control frame between fragments brings the message no further.
    let mut decoder = Decoder::new(Role::Server, Limits::server(), None, start);
    assert_eq!(decoder.decode(&mut Input::from(&frame(Role::Client, 0x02, b"abc")[..])), Ok(None));
    decoder.set_now(start + Duration::from_secs(29));
    assert_eq!(decoder.decode(&mut Input::from(&frame(Role::Client, 0x89, b"ping")[..9])), Ok(None));
    assert_eq!(decoder.poll_timeout(), Some(start + Duration::from_secs(30)));
}

#[test]
fn a_header_alone_makes_the_connection_hold_little() {
    let mut limits = Limits::server();
    limits.max_message_bytes = 64 << 20;
    let mut decoder = Decoder::new(Role::Server, limits, None, Instant::now());
    let mut header = vec![0x82, 0xff];
    header.extend_from_slice(&(64_u64 << 20).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    assert_eq!(decoder.decode(&mut Input::from(&header[..])), Ok(None));
    assert!(decoder.payload_buffer().unwrap().remaining_mut() <= 64 << 10);
    assert!(decoder.held_bytes() <= 64 << 10, "{}", decoder.held_bytes());
}

#[test]
fn a_message_keeps_at_most_sixty_four_times_its_size_alive() {
    let mut slab = BytesMut::with_capacity(256 << 10);
    let large = vec![7; 20_000];
    slab.put_slice(&frame(Role::Client, 0x82, &large));
    slab.put_slice(&frame(Role::Client, 0x82, b"small"));
    slab.put_slice(&frame(Role::Client, 0x82, &large));
    let range = slab.as_ptr_range();
    let allocation = slab.capacity();
    let mut input = Input::new(slab, allocation);
    let mut decoder = Decoder::new(Role::Server, Limits::server(), None, Instant::now());
    let mut shared = Vec::new();
    while let Some(Incoming::Message(message)) = decoder.decode(&mut input).unwrap() {
        shared.push(range.contains(&message.as_bytes().as_ptr()));
    }
    assert_eq!(shared, [true, false, true]);
}

#[test]
fn what_is_inside_invalid_text_is_never_taken_for_frames() {
    let inner = frame(Role::Client, 0x82, b"hello");
    let wire = frame(Role::Client, 0x81, &inner);
    let mut input = Input::from(&wire[..]);
    let mut decoder = decoder(Role::Server, &Limits::server(), false);
    assert_eq!(decoder.decode_common(&mut input), None);
    assert_eq!(decoder.decode(&mut input), Err(Violation::InvalidUtf8));
    assert_eq!(decoder.decode(&mut input), Ok(None));
}

#[test]
fn only_a_whole_message_and_nothing_else_is_decoded_alone() {
    #[track_caller]
    fn check(received: &[u8], expected: Option<&str>) {
        let mut received = received.to_vec();
        let mut limits = Limits::server();
        limits.max_message_bytes = 20_000;
        let message = decoder(Role::Server, &limits, true).decode_alone(&mut received);
        assert_eq!(message.as_ref().map(Message::as_bytes), expected.map(str::as_bytes));
    }
    for (length, is_alone) in
        [(0, false), (1, true), (125, true), (126, true), (16_383, true), (16_384, false)]
    {
        let text = "a".repeat(length);
        let whole = frame(Role::Client, 0x81, text.as_bytes());
        check(&whole, is_alone.then_some(&text[..]));
        check(&whole[..whole.len() - 1], None);
        check(&[&whole[..], &[0x81]].concat(), None);
    }
    for first in [0x01, 0x80, 0x88, 0x89, 0x8a, 0x91, 0xc1] {
        check(&frame(Role::Client, first, b"text"), None);
    }
    check(&frame(Role::Server, 0x81, b"unmasked"), None);
    check(&frame(Role::Client, 0x81, b"\xff"), None);
    check(&frame(Role::Client, 0x81, &vec![b'a'; 20_001]), None);
}

#[test]
fn whole_message_in_place_ends_where_the_next_frame_begins() {
    let mut wire = frame(Role::Client, 0x81, "vaivén".as_bytes());
    let end = wire.len();
    wire.extend(frame(Role::Client, 0x82, &[7; 300]));
    let mut decoder = decoder(Role::Server, &Limits::server(), false);
    let first = decoder.decode_in_place(&mut wire).expect("the message is whole");
    assert_eq!(first, WholeMessage { is_text: true, payload: 6..end });
    assert_eq!(&wire[first.payload], "vaivén".as_bytes());
    let second = decoder.decode_in_place(&mut wire[end..]).expect("the message is whole");
    assert_eq!(wire[end..][second.payload], [7; 300]);
    assert_eq!(decoder.decode_in_place(&mut []), None);
}
