//! Packets of Socket.IO: what is read is written and read again, by both parsers, and what is refused leaves nothing.

use bytes::Bytes;
use vaiven::Message;
use vaiven_socketio::Args;
use vaiven_socketio::packet::{Decoder, Encoded, Packet, PacketLimits, Parser};

/// What begins with this byte is an attachment.
const BINARY: u8 = b'~';
/// What separates messages: a byte that is in no text.
const SEPARATOR: u8 = 0xff;

/// The first byte chooses the parser. For MessagePack the rest is one message, else it is several.
pub fn socketio_packet(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut limits = PacketLimits::default();
    limits.max_packet_bytes = 1 << 12;
    if choice & 1 == 1 {
        read(Parser::MsgPack, limits, [Message::binary(rest.to_vec())]);
    } else {
        read(Parser::Json, limits, rest.split(|byte| *byte == SEPARATOR).map(message));
    }
}

fn message(bytes: &[u8]) -> Message {
    match (bytes, std::str::from_utf8(bytes)) {
        ([BINARY, attachment @ ..], _) => Message::binary(attachment.to_vec()),
        (_, Ok(text)) => Message::text(text),
        (_, Err(_)) => Message::binary(Bytes::copy_from_slice(bytes)),
    }
}

fn read(parser: Parser, limits: PacketLimits, messages: impl IntoIterator<Item = Message>) {
    let mut decoder = Decoder::new(parser, limits);
    for message in messages {
        let decoded = decoder.decode(message);
        assert!(decoder.pending_bytes() <= limits.max_packet_bytes);
        match decoded {
            Ok(Some(packet)) => {
                assert_eq!(decoder.pending_bytes(), 0);
                write_again(&packet);
            }
            Ok(None) => {}
            Err(_) => {
                assert_eq!(decoder.pending_bytes(), 0);
                return;
            }
        }
    }
}

fn write_again(packet: &Packet) {
    let (namespace, args) = match packet {
        Packet::Event { namespace, args, .. } | Packet::Ack { namespace, args, .. } => (namespace, args),
        Packet::Connect { auth, .. } => {
            assert!(
                auth.as_ref().is_none_or(|auth| serde_json::from_str::<serde::de::IgnoredAny>(auth).is_ok())
            );
            return;
        }
        Packet::Disconnect { .. } => return,
    };
    // However it is read, the elements are as many values of JSON, and together they are the text.
    let elements: Vec<&str> = args.iter().collect();
    let array = format!("[{}]", args.json());
    let values: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(&array).expect("the elements of an array");
    assert_eq!(elements, values.iter().map(|value| value.get()).collect::<Vec<_>>());

    let unbounded = PacketLimits::default();
    let encode = |parser, args: &Args| match packet {
        Packet::Event { id, name, .. } => Encoded::event(parser, namespace, *id, name, args, None),
        Packet::Ack { id, .. } => Encoded::ack(parser, namespace, *id, args),
        _ => unreachable!("those have no arguments"),
    };
    let again = |parser, args: &Args| {
        let mut decoder = Decoder::new(parser, unbounded);
        let mut last = None;
        for message in encode(parser, args).expect("arguments that were read are written").messages() {
            last = decoder.decode(message.clone()).ok()?;
        }
        last
    };
    assert_eq!(again(Parser::Json, args).as_ref(), Some(packet));
    // MessagePack has numbers where JSON has digits, fewer levels, and no placeholder that is data: what it takes once, it
    // gives back from then on.
    let through = again(Parser::MsgPack, args);
    if let Some(Packet::Event { args, .. } | Packet::Ack { args, .. }) = &through {
        assert_eq!(again(Parser::MsgPack, args), through);
    }
}
