//! Turns a payload into what travels for it: the client's masked frame, and the answer to expect.
//! RFC 6455 section 5.2, RFC 7692 section 7.2.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::Result;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;
/// Says that the length follows in 16 bits; the values below it are lengths.
const LENGTH_16: u8 = 126;
/// Says that the length follows in 64 bits.
const LENGTH_64: u8 = 127;
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What ends a deflate block that was flushed, and is left out on the wire.
const DEFLATE_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Kind of a message, as its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 0x1,
    Binary = 0x2,
}

/// One message, and what comes back for it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The client's frame, masked.
    pub(crate) request: Vec<u8>,
    /// What the server sends for it.
    pub(crate) answer: Answer,
}

/// What a server sends for one message.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Exactly this frame: header, of the given length, and payload.
    Frame { bytes: Vec<u8>, header: usize },
    /// This many bytes of any value: from the raw server.
    Bytes(usize),
    /// A compressed frame of this payload.
    Deflated(Vec<u8>),
}

impl Exchange {
    /// An echo by a WebSocket server.
    pub(crate) fn plain(opcode: Opcode, payload: &[u8]) -> Self {
        let mut bytes = header(FIN | opcode as u8, payload.len(), 0);
        let header = bytes.len();
        bytes.extend_from_slice(payload);
        Self { request: masked(FIN | opcode as u8, payload), answer: Answer::Frame { bytes, header } }
    }

    /// An echo in compressed frames.
    pub(crate) fn deflated(opcode: Opcode, payload: &[u8]) -> Result<Self> {
        let request = masked(FIN | RSV1 | opcode as u8, &deflate(payload)?);
        Ok(Self { request, answer: Answer::Deflated(payload.to_vec()) })
    }

    /// The same request, answered by the raw server.
    pub(crate) fn to_raw(&self) -> Self {
        let answer = Answer::Bytes(self.request.len() - MASKING_KEY.len());
        Self { request: self.request.clone(), answer }
    }
}

/// A Close frame with code 1000, masked.
pub(crate) fn close_frame() -> Vec<u8> {
    masked(FIN | 0x8, &1000_u16.to_be_bytes())
}

/// A text frame, masked.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    masked(FIN | Opcode::Text as u8, text.as_bytes())
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), MASKED);
    frame.extend_from_slice(&MASKING_KEY);
    frame.extend(payload.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn header(first: u8, length: usize, mask: u8) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < LENGTH_16 => header.push(mask | length),
        (_, Ok(length)) => {
            header.push(mask | LENGTH_16);
            header.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            header.push(mask | LENGTH_64);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header
}

fn deflate(payload: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::with_capacity(payload.len() + 64);
    Compress::new(Compression::fast(), false).compress_vec(payload, &mut compressed, FlushCompress::Sync)?;
    compressed.truncate(compressed.len() - DEFLATE_TAIL.len());
    Ok(compressed)
}

/// Reads the answers on one connection, and counts those that are complete.
///
/// Headers are compared always, payloads only of the first messages: the length of the others shows
/// in the header after them.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    /// Messages whose payload is still to be compared.
    unverified: usize,
    /// Bytes of the current answer that were read.
    position: usize,
    /// Payload bytes of a compressed frame that are still to come.
    left: usize,
    /// Header of a compressed frame, then its payload while that is compared.
    partial: Vec<u8>,
    /// Kept from message to message, as the server may take over its context.
    inflater: Option<Decompress>,
}

impl AnswerReader {
    /// A reader that compares the payloads of the first `verify` messages.
    pub(crate) fn new(verify: usize) -> Self {
        Self { unverified: verify, position: 0, left: 0, partial: Vec::new(), inflater: None }
    }

    /// Takes what was received and returns how many answers it completed.
    pub(crate) fn read(&mut self, expected: &Answer, bytes: &[u8]) -> Result<usize> {
        match expected {
            Answer::Frame { bytes: frame, header } => self.read_frames(frame, *header, bytes),
            Answer::Bytes(length) => {
                let received = self.position + bytes.len();
                self.position = received % length;
                Ok(received / length)
            }
            Answer::Deflated(payload) => self.read_deflated(payload, bytes),
        }
    }

    fn read_frames(&mut self, frame: &[u8], header: usize, mut bytes: &[u8]) -> Result<usize> {
        let mut finished = 0;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at((frame.len() - self.position).min(bytes.len()));
            let compared = if self.unverified > 0 {
                now.len()
            } else {
                header.saturating_sub(self.position).min(now.len())
            };
            if now[..compared] != frame[self.position..][..compared] {
                return Err(format!("the answer differs around byte {} of the frame", self.position).into());
            }
            self.position += now.len();
            if self.position == frame.len() {
                self.position = 0;
                self.unverified = self.unverified.saturating_sub(1);
                finished += 1;
            }
            bytes = rest;
        }
        Ok(finished)
    }

    fn read_deflated(&mut self, payload: &[u8], mut bytes: &[u8]) -> Result<usize> {
        let mut finished = 0;
        while let [first, rest @ ..] = bytes {
            if self.left == 0 {
                self.partial.push(*first);
                bytes = rest;
                if let Some(length) = compressed_length(&self.partial)? {
                    self.left = length;
                    self.partial.clear();
                }
                continue;
            }
            let (now, rest) = bytes.split_at(self.left.min(bytes.len()));
            if self.unverified > 0 {
                self.partial.extend_from_slice(now);
            }
            self.left -= now.len();
            bytes = rest;
            if self.left == 0 {
                finished += 1;
                if self.unverified > 0 {
                    self.unverified -= 1;
                    self.verify_deflated(payload)?;
                }
            }
        }
        Ok(finished)
    }

    fn verify_deflated(&mut self, payload: &[u8]) -> Result<()> {
        let mut compressed = std::mem::take(&mut self.partial);
        compressed.extend_from_slice(&DEFLATE_TAIL);
        let mut message = Vec::with_capacity(payload.len() + 64);
        let inflater = self.inflater.get_or_insert_with(|| Decompress::new(false));
        inflater.decompress_vec(&compressed, &mut message, FlushDecompress::Sync)?;
        if message == payload { Ok(()) } else { Err("the answer inflates to something else".into()) }
    }
}

/// Payload length of a compressed text frame, once its header is complete.
fn compressed_length(header: &[u8]) -> Result<Option<usize>> {
    if header[0] != FIN | RSV1 | Opcode::Text as u8 {
        return Err(
            format!("expected a compressed text frame, not one that starts {:#04x}", header[0]).into()
        );
    }
    match header[1..] {
        [] | [LENGTH_16] | [LENGTH_16, _] => Ok(None),
        [length @ 1..LENGTH_16] => Ok(Some(usize::from(length))),
        [LENGTH_16, high, low] => Ok(Some(usize::from(u16::from_be_bytes([high, low])))),
        _ => Err("an unlikely length for a compressed frame".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers_at_every_split(exchange: &Exchange, stream: &[u8], count: usize) {
        for split in 0..=stream.len() {
            let mut reader = AnswerReader::new(1);
            let (head, tail) = stream.split_at(split);
            let finished = reader.read(&exchange.answer, head).expect("a good answer")
                + reader.read(&exchange.answer, tail).expect("a good answer");
            assert_eq!(finished, count, "split at {split}");
        }
    }

    #[test]
    fn counts_frames_of_every_length_form() {
        for length in [0, 125, 126, 70_000] {
            let exchange = Exchange::plain(Opcode::Binary, &vec![7; length]);
            let Answer::Frame { bytes, .. } = &exchange.answer else { panic!("a frame") };
            let mut reader = AnswerReader::new(2);
            assert_eq!(reader.read(&exchange.answer, &bytes.repeat(3)).expect("good answers"), 3);
        }
    }

    #[test]
    fn counts_plain_frames_at_every_split() {
        let exchange = Exchange::plain(Opcode::Text, b"ida y vuelta");
        answers_at_every_split(&exchange, &[&b"\x81\x0cida y vuelta"[..]; 2].concat(), 2);
    }

    #[test]
    fn counts_deflated_frames_at_every_split() {
        let payload = b"ida y vuelta, ida y vuelta".repeat(20);
        let exchange = Exchange::deflated(Opcode::Text, &payload).expect("compressible");
        let body = deflate(&payload).expect("compressible");
        let frame = [header(0xc1, body.len(), 0), body].concat();
        answers_at_every_split(&exchange, &frame.repeat(2), 2);
    }

    #[test]
    fn refuses_a_wrong_payload_while_verifying_and_a_wrong_header_always() {
        let exchange = Exchange::plain(Opcode::Text, b"vaiven");
        assert!(AnswerReader::new(1).read(&exchange.answer, b"\x81\x06vaivem").is_err());
        assert!(AnswerReader::new(0).read(&exchange.answer, b"\x81\x06vaivem").is_ok());
        assert!(AnswerReader::new(0).read(&exchange.answer, b"\x82\x06vaiven").is_err());
    }

    #[test]
    fn masks_a_frame_as_in_rfc_6455_section_5_7() {
        let frame = masked(FIN | Opcode::Text as u8, b"Hello");
        assert_eq!(frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
