//! Requests and answers of the opening handshake: the right ones, changed as a row says (RFC 6455 section 4).

use crate::script::{Head, Side};
use crate::wire::{FrameSpec, LengthForm};
use vaiven_proto::handshake::Key;

/// The right request's fields; the key is that of RFC 6455 section 1.3.
const REQUEST: [&str; 5] = [
    "Host: {host}",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];
/// The right answer's fields.
const ANSWER: [&str; 3] = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: {accept}"];

/// The bytes of a request.
pub(crate) fn request(head: &Head, host: &str) -> Vec<u8> {
    write("GET /echo HTTP/1.1", &REQUEST, head, &[("{host}", host)])
}

/// The bytes of an answer to a request.
pub(crate) fn answer(head: &Head, host: &str, request: &str) -> Vec<u8> {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let key = key.and_then(|key| Key::parse(key.as_bytes()));
    let accept = key.map(|key| key.accept().as_str().to_owned()).unwrap_or_default();
    write("HTTP/1.1 101 Switching Protocols", &ANSWER, head, &[("{host}", host), ("{accept}", &accept)])
}

/// The status of an answer.
pub(crate) fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A ping that asks whether the other side lives.
pub(crate) fn ping(side: Side) -> Vec<u8> {
    let masked = side == Side::Client;
    let payload = b"alive?".to_vec();
    FrameSpec { first: 0x89, masked, form: LengthForm::Shortest, declared: None, payload }.to_wire()
}

fn write(start_line: &str, fields: &[&str], head: &Head, filled: &[(&str, &str)]) -> Vec<u8> {
    let mut lines = vec![head.start_line.as_deref().unwrap_or(start_line).as_bytes().to_vec()];
    let is_set = |field: &str| {
        let name = name(field.as_bytes());
        let without = head.without.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name));
        without || head.set.iter().any(|other| self::name(other).eq_ignore_ascii_case(name))
    };
    lines.extend(fields.iter().filter(|field| !is_set(field)).map(|field| field.as_bytes().to_vec()));
    lines.extend(head.set.iter().chain(&head.with).cloned());
    let mut bytes = lines.join(&b"\r\n"[..]);
    bytes.extend_from_slice(b"\r\n\r\n");
    let port = filled[0].1.rsplit(':').next().unwrap_or_default();
    bytes = replace(&bytes, b"{port}", port.as_bytes());
    for (place, value) in filled {
        bytes = replace(&bytes, place.as_bytes(), value.as_bytes());
    }
    bytes
}

fn name(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == b':').next().unwrap_or_default()
}

fn replace(bytes: &[u8], place: &[u8], value: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(place.len()).position(|part| part == place) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(value);
        rest = &rest[at + place.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
