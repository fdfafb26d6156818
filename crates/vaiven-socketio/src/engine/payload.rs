//! Several packets in the body of a request or of its answer, with a separator between them.
//!
//! Text stands there as it is; bytes stand behind the letter `b` in base64 (RFC 4648 section 4).

use super::packet::Packet;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use vaiven::{Message, Text};

const SEPARATOR: u8 = 0x1e;

/// Clients may leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A body that is no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidPayload;

/// The packets of a body, of which there may be `max_packets`.
pub(super) fn decode(body: &Bytes, max_packets: usize) -> Result<Vec<Packet>, InvalidPayload> {
    if std::str::from_utf8(body).is_err() {
        return Err(InvalidPayload);
    }
    let packets = body.split(|byte| *byte == SEPARATOR);
    if packets.clone().nth(max_packets).is_some() {
        return Err(InvalidPayload);
    }
    packets.map(|packet| decode_packet(body, packet)).collect()
}

fn decode_packet(body: &Bytes, packet: &[u8]) -> Result<Packet, InvalidPayload> {
    if let [b'b', base64 @ ..] = packet {
        let bytes = BASE64.decode(base64).map_err(|_| InvalidPayload)?;
        return Ok(Packet::Message(Message::binary(bytes)));
    }
    // A copy: one message out of many must not keep all of them alive.
    let packet = if packet.len() == body.len() { body.clone() } else { Bytes::copy_from_slice(packet) };
    let text = Text::try_from(packet).map_err(|_| InvalidPayload)?;
    Packet::decode(Message::Text(text)).map_err(|_| InvalidPayload)
}

/// Joins packets, each as a WebSocket would carry it.
pub(super) fn encode<'a>(packets: impl IntoIterator<Item = &'a Message>) -> String {
    let mut payload = String::new();
    for (number, packet) in packets.into_iter().enumerate() {
        if number > 0 {
            payload.push(char::from(SEPARATOR));
        }
        match packet {
            Message::Text(text) => payload.push_str(text),
            Message::Binary(bytes) => {
                payload.push('b');
                BASE64.encode_string(bytes, &mut payload);
            }
        }
    }
    payload
}
