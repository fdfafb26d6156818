//! Frames as they stand on the wire, written and read without the code under test (RFC 6455 section 5.2).

use std::fmt;

/// The key that every masked frame of the catalogue has, that of the examples in RFC 6455 section 5.7.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How the length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthForm {
    /// In as few bytes as it needs.
    Shortest,
    /// 126 and 16 bits.
    Bits16,
    /// 127 and 64 bits.
    Bits64,
}

/// A frame to write, right or wrong.
#[derive(Clone, Debug)]
pub(crate) struct FrameSpec {
    /// FIN, RSV1-3 and the opcode.
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) form: LengthForm,
    /// The length that the header says, where it is not the payload's.
    pub(crate) declared: Option<u64>,
    pub(crate) payload: Vec<u8>,
}

impl FrameSpec {
    /// The frame's bytes.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let len = self.declared.unwrap_or(self.payload.len() as u64);
        let mask_bit = if self.masked { 0x80 } else { 0 };
        let mut wire = vec![self.first];
        match (self.form, u8::try_from(len), u16::try_from(len)) {
            (LengthForm::Shortest, Ok(len @ 0..=125), _) => wire.push(mask_bit | len),
            (LengthForm::Shortest | LengthForm::Bits16, _, Ok(len)) => {
                wire.push(mask_bit | 0x7e);
                wire.extend(len.to_be_bytes());
            }
            _ => {
                wire.push(mask_bit | 0x7f);
                wire.extend(len.to_be_bytes());
            }
        }
        if self.masked {
            wire.extend(MASKING_KEY);
            wire.extend(unmask(&self.payload, MASKING_KEY));
        } else {
            wire.extend_from_slice(&self.payload);
        }
        wire
    }
}

/// A frame that came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Takes a whole frame off the front of `received`.
    pub(crate) fn take(received: &mut Vec<u8>) -> Option<Self> {
        let (&[first, second], rest) = received.split_first_chunk()?;
        let (len, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_be_bytes(*len)).ok()?, rest)
            }
            len => (usize::from(len), rest),
        };
        let masked = second & 0x80 != 0;
        let (key, rest) = if masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
        let payload = unmask(rest.get(..len)?, *key);
        let behind = rest.len() - len;
        received.drain(..received.len() - behind);
        Some(Self { first, masked, payload })
    }

    /// The opcode.
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// The code of a Close frame; 1005 where it has none.
    pub(crate) fn close_code(&self) -> u16 {
        self.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(60)];
        let len = self.payload.len();
        if self.opcode() == 8 {
            let reason = shown.get(2..).unwrap_or_default().escape_ascii();
            return write!(f, "close {} \"{reason}\"", self.close_code());
        }
        let kind = ["continuation", "text", "binary", "?", "?", "?", "?", "?", "close", "ping", "pong"];
        let kind = kind.get(usize::from(self.opcode())).copied().unwrap_or("?");
        write!(f, "{kind} ({:#04x}, {len} bytes) \"{}\"", self.first, shown.escape_ascii())
    }
}

fn unmask(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}
