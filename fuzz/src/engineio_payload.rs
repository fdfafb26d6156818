//! Engine.IO's payloads against a reader that takes them apart a character at a time, and against their own encoder.

use bytes::Bytes;
use vaiven::Message;
use vaiven_socketio::engine::packet::{self, Packet};
use vaiven_socketio::engine::payload;

/// The first byte is the limit of packets, the rest the body of a request.
pub fn engineio_payload(data: &[u8]) {
    let Some((limit, body)) = data.split_first() else { return };
    let limit = usize::from(*limit);
    let body = Bytes::copy_from_slice(body);
    let decoded = payload::decode(&body, limit).ok();
    assert_eq!(decoded, reference(&body, limit));

    let Some(packets) = decoded else { return };
    let messages: Vec<Message> = packets.into_iter().filter_map(message).collect();
    if messages.is_empty() {
        return;
    }
    let sent: Vec<Message> = messages.iter().map(packet::encode).collect();
    let again =
        payload::decode(&Bytes::from(payload::encode(&sent)), limit).expect("what is encoded is right");
    assert_eq!(again.into_iter().filter_map(message).collect::<Vec<_>>(), messages);
    // A WebSocket carries each of them alone.
    for (sent, message) in sent.into_iter().zip(messages) {
        assert_eq!(Packet::decode(sent), Ok(Packet::Message(message)));
    }
}

fn message(packet: Packet) -> Option<Message> {
    if let Packet::Message(message) = packet { Some(message) } else { None }
}

fn reference(body: &[u8], limit: usize) -> Option<Vec<Packet>> {
    let pieces: Vec<&[u8]> = body.split(|byte| *byte == 0x1e).collect();
    if pieces.len() > limit {
        return None;
    }
    pieces.into_iter().map(reference_packet).collect()
}

fn reference_packet(piece: &[u8]) -> Option<Packet> {
    let text = std::str::from_utf8(piece).ok()?;
    Some(match text {
        "1" => Packet::Close,
        "2probe" => Packet::Probe,
        "3" => Packet::Pong,
        "5" => Packet::Upgrade,
        "6" => Packet::Noop,
        _ => match text.split_at_checked(1)? {
            ("4", rest) => Packet::Message(rest.into()),
            ("b", rest) => Packet::Message(base64(rest)?.into()),
            _ => return None,
        },
    })
}

/// RFC 4648 section 4, bit by bit; some of the padding may be missing.
fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > (4 - digits.len() % 4) % 4 {
        return None;
    }
    let mut bits = Vec::new();
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits.extend((0..6).rev().map(|at| value >> at & 1 == 1));
    }
    let bytes = bits.len() / 8 * 8;
    if bits[bytes..].contains(&true) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits[..bytes].chunks(8).map(byte).collect())
}
