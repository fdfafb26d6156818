//! Several packets in the body of a request or of its answer, as text, with a separator between them.

use super::packet::{self, Packet};
use bytes::Bytes;
use vaiven::{Message, Text};

const SEPARATOR: u8 = 0x1e;

/// A body that is no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPayload;

impl std::fmt::Display for InvalidPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this is no payload of Engine.IO, or one with too many packets")
    }
}

impl std::error::Error for InvalidPayload {}

/// The packets of a body, of which there may be `max_packets`.
///
/// ```
/// use vaiven_socketio::engine::packet::Packet;
/// use vaiven_socketio::engine::payload::decode;
/// let packets = decode(&"4hola\x1e3".into(), 1_024)?;
/// assert_eq!(packets, [Packet::Message("hola".into()), Packet::Pong]);
/// # Ok::<(), vaiven_socketio::engine::payload::InvalidPayload>(())
/// ```
///
/// # Errors
/// [`InvalidPayload`], where one of the packets is none or there are too many. Nothing of it is given.
pub fn decode(body: &Bytes, max_packets: usize) -> Result<Vec<Packet>, InvalidPayload> {
    let packets = body.split(|byte| *byte == SEPARATOR);
    if packets.clone().nth(max_packets).is_some() {
        return Err(InvalidPayload);
    }
    packets.map(|packet| decode_packet(body, packet)).collect()
}

fn decode_packet(body: &Bytes, packet: &[u8]) -> Result<Packet, InvalidPayload> {
    // A copy: one message out of many must not keep all of them alive.
    let packet = if packet.len() == body.len() { body.clone() } else { Bytes::copy_from_slice(packet) };
    let text = Text::try_from(packet).map_err(|_| InvalidPayload)?;
    Packet::decode(Message::Text(text)).map_err(|_| InvalidPayload)
}

/// Joins packets, each as a WebSocket would carry it.
pub fn encode<'a>(packets: impl IntoIterator<Item = &'a Message>) -> String {
    let mut payload = String::new();
    for (number, packet) in packets.into_iter().enumerate() {
        if number > 0 {
            payload.push(char::from(SEPARATOR));
        }
        packet::write_text(packet, &mut payload);
    }
    payload
}
