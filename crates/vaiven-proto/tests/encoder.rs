//! What the encoder queues, read back by a decoder of the other side.
#![expect(clippy::disallowed_methods, reason = "tests need some instant to begin from")]

use bytes::Buf;
use std::time::Instant;
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, Inflater, WindowBits};
use vaiven_proto::{
    CloseFrame, Closing, Compress, Decoder, Encoder, Incoming, Input, Limits, Message, OpCode, Role,
    Violation,
};

const PARAMS: DeflateParams = DeflateParams {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: WindowBits::MAX,
    client_max_window_bits: WindowBits::MAX,
};

fn encoder(role: Role) -> Encoder {
    Encoder::new(role, |key| key.fill(0x5a))
}

fn wire(encoder: &mut Encoder) -> Vec<u8> {
    let outbox = encoder.outbox_mut();
    outbox.copy_to_bytes(outbox.remaining()).to_vec()
}

fn received(from: Role, encoder: &mut Encoder) -> Vec<Incoming> {
    let to = if from == Role::Client { Role::Server } else { Role::Client };
    let limits = Limits::client();
    let mut decoder = Decoder::new(to, limits, Some(Inflater::new(to, &PARAMS)), Instant::now());
    let mut input = Input::from(&wire(encoder)[..]);
    std::iter::from_fn(|| decoder.decode(&mut input).expect("the encoder keeps the rules")).collect()
}

#[test]
fn borrowed_payload_is_framed_as_an_owned_message_is() {
    for role in [Role::Client, Role::Server] {
        for max_frame_bytes in [100, usize::MAX] {
            for len in [0, 1, 125, 126, 4_095, 4_096, 65_535, 65_536, 200_000] {
                let payload = vec![b'v'; len];
                let mut owned = encoder(role).with_max_frame_bytes(max_frame_bytes);
                let mut borrowed = encoder(role).with_max_frame_bytes(max_frame_bytes);
                owned.message(Message::binary(payload.clone()), Compress::Auto).unwrap();
                borrowed.payload(OpCode::Binary, &payload, Compress::Auto).unwrap();
                let wire_of_owned = wire(&mut owned);
                assert_eq!(wire(&mut borrowed), wire_of_owned, "{role:?}, {len} bytes");
            }
        }
    }
}

#[test]
fn borrowed_payload_is_compressed_where_that_is_agreed_and_asked_for() {
    let payload = "vaivén ".repeat(400);
    for (compress, shorter) in [(Compress::Auto, true), (Compress::Never, false), (Compress::Always, true)] {
        let mut encoder = encoder(Role::Server).with_deflate(PARAMS, &DeflateConfig::server());
        encoder.payload(OpCode::Text, payload.as_bytes(), compress).unwrap();
        assert_eq!(encoder.outbox().len() < payload.len(), shorter, "{compress:?}");
        assert_eq!(received(Role::Server, &mut encoder), [Incoming::Message(Message::text(&*payload))]);
    }
}

#[test]
fn fragments_become_one_message_with_control_frames_between() {
    for role in [Role::Client, Role::Server] {
        let mut encoder = encoder(role);
        encoder.fragment(OpCode::Text, b"vai").unwrap();
        encoder.ping(b"there?").unwrap();
        encoder.fragment(OpCode::Continuation, "v\u{e9}".as_bytes()).unwrap();
        encoder.last_fragment(b"n").unwrap();
        encoder.payload(OpCode::Binary, b"next", Compress::Auto).unwrap();
        let expected = [
            Incoming::Ping(b"there?"[..].into()),
            Incoming::Message(Message::text("vaivén")),
            Incoming::Message(Message::binary(&b"next"[..])),
        ];
        assert_eq!(received(role, &mut encoder), expected);
    }
}

#[test]
fn nothing_follows_a_close_frame() {
    let mut encoder = encoder(Role::Server);
    encoder.close(Some(&CloseFrame::new(1000, "")));
    let before = encoder.outbox().len();
    assert_eq!(encoder.payload(OpCode::Text, b"late", Compress::Auto), Err(Closing));
    assert_eq!(encoder.fragment(OpCode::Text, b"late"), Err(Closing));
    assert_eq!(encoder.last_fragment(b"late"), Err(Closing));
    assert_eq!(encoder.outbox().len(), before);
}

#[test]
fn a_failed_connection_is_told_the_rule_unless_its_code_is_to_stand_alone() {
    let violation = Violation::ReservedOpcode;
    for (mut encoder, is_explained) in
        [(encoder(Role::Server), true), (encoder(Role::Server).without_explanations(), false)]
    {
        encoder.fail(violation);
        let [Incoming::Close(Some(frame))] = &received(Role::Server, &mut encoder)[..] else {
            panic!("a Close frame, and nothing else");
        };
        assert_eq!(frame.code, violation.close_code());
        assert_eq!(frame.reason.is_empty(), !is_explained);
    }
}
