//! `FrameHeader::parse` against a reader that follows the drawing of RFC 6455 section 5.2 bit by bit.

use vaiven_proto::{FrameHeader, OpCode, Role, Violation};

/// Compares both on every beginning of the bytes, for each side, with and without compression.
pub fn header(data: &[u8]) {
    for receiver in [Role::Client, Role::Server] {
        for rsv1_allowed in [false, true] {
            for len in 0..=data.len().min(FrameHeader::MAX_BYTES + 2) {
                let input = &data[..len];
                let parsed = FrameHeader::parse(input, receiver, rsv1_allowed);
                assert_eq!(parsed, reference(input, receiver, rsv1_allowed), "{input:02x?} {receiver:?}");
                if let Ok(Some((header, len))) = parsed {
                    let mut written = Vec::new();
                    header.write(&mut written);
                    assert_eq!(written, input[..len]);
                    assert_eq!(header.len(), len);
                }
            }
        }
    }
}

/// The bits of the input, one at a time.
struct Bits<'a> {
    input: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits as a number, the first bit the most significant; `None` where the input ends.
    fn take(&mut self, count: usize) -> Option<u64> {
        (0..count).try_fold(0, |number, _| {
            let byte = *self.input.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(number << 1 | u64::from(bit))
        })
    }
}

type Parsed = Result<Option<(FrameHeader, usize)>, Violation>;

fn reference(input: &[u8], receiver: Role, rsv1_allowed: bool) -> Parsed {
    read(&mut Bits { input, at: 0 }, receiver, rsv1_allowed).map_or(Ok(None), |parsed| parsed.map(Some))
}

/// `None` where the input ends before anything is wrong.
fn read(
    bits: &mut Bits<'_>,
    receiver: Role,
    rsv1_allowed: bool,
) -> Option<Result<(FrameHeader, usize), Violation>> {
    let (fin, rsv1, rsv2, rsv3) = (bits.take(1)?, bits.take(1)?, bits.take(1)?, bits.take(1)?);
    let number = bits.take(4)?;
    if rsv2 == 1 || rsv3 == 1 || (rsv1 == 1 && !rsv1_allowed) {
        return Some(Err(Violation::ReservedBits));
    }
    let opcode = match number {
        0 => OpCode::Continuation,
        1 => OpCode::Text,
        2 => OpCode::Binary,
        8 => OpCode::Close,
        9 => OpCode::Ping,
        10 => OpCode::Pong,
        _ => return Some(Err(Violation::ReservedOpcode)),
    };
    if rsv1 == 1 && number != 1 && number != 2 {
        return Some(Err(Violation::MisplacedCompressionBit));
    }
    if number >= 8 && fin == 0 {
        return Some(Err(Violation::FragmentedControl));
    }
    let (masked, mut len) = (bits.take(1)?, bits.take(7)?);
    if receiver == Role::Server && masked == 0 {
        return Some(Err(Violation::UnmaskedFrame));
    }
    if receiver == Role::Client && masked == 1 {
        return Some(Err(Violation::MaskedFrame));
    }
    if number >= 8 && len > 125 {
        return Some(Err(Violation::OversizedControl));
    }
    if len == 126 {
        len = bits.take(16)?;
        if len < 126 {
            return Some(Err(Violation::NonMinimalLength));
        }
    } else if len == 127 {
        len = bits.take(64)?;
        if len >= 1 << 63 {
            return Some(Err(Violation::LengthOutOfRange));
        }
        if len < 65_536 {
            return Some(Err(Violation::NonMinimalLength));
        }
    }
    let masking_key = if masked == 1 {
        let key = u32::try_from(bits.take(32)?).expect("32 bits");
        Some(key.to_be_bytes())
    } else {
        None
    };
    let header = FrameHeader { fin: fin == 1, rsv1: rsv1 == 1, opcode, masking_key, payload_len: len };
    Some(Ok((header, bits.at / 8)))
}
