//! The header of a frame: bytes to its fields and back (RFC 6455 section 5.2).
//!
//! Every rule that can be judged from the header alone is judged here, at the first byte that shows the breach;
//! rules that need the message around the frame are the decoder's.

use crate::{Role, Violation};

/// What a frame carries (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the open message.
    Continuation = 0,
    /// The first fragment of a text message.
    Text = 1,
    /// The first fragment of a binary message.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A question whether the peer is there.
    Ping = 9,
    /// The answer to a ping, with the same payload.
    Pong = 10,
}

impl OpCode {
    /// The opcode of these four bits; `None` for the reserved ones.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control frame: Close, Ping or Pong.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// With permessage-deflate: the message is compressed.
    pub rsv1: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The key that the payload is masked with.
    pub masking_key: Option<[u8; 4]>,
    /// Length of the payload in bytes, at most 2^63 - 1.
    pub payload_len: u64,
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

impl FrameHeader {
    /// The longest header in bytes: two of flags, eight of length, four of mask.
    pub const MAX_BYTES: usize = 14;

    /// Reads a header from the front of `input`, as `receiver` must: a server takes only masked frames, a client
    /// only unmasked ones. `rsv1_allowed` says that permessage-deflate was agreed.
    ///
    /// Gives the header and its length in bytes, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The [`Violation`] of the first byte that breaks a rule, whether or not the rest has arrived.
    pub fn parse(
        input: &[u8],
        receiver: Role,
        rsv1_allowed: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = input.split_first() else { return Ok(None) };
        let opcode = Self::check_first(first, rsv1_allowed)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        Self::check_second(second, opcode, receiver)?;

        let (payload_len, rest, len_bytes) = match second & !MASKED {
            LEN_16 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from(u16::from_be_bytes(*bytes));
                if len <= MAX_CONTROL_BYTES as u64 {
                    return Err(Violation::NonMinimalLength);
                }
                (len, rest, 2)
            }
            LEN_64 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let len = u64::from_be_bytes(*bytes);
                if len >> 63 != 0 {
                    return Err(Violation::LengthOutOfRange);
                }
                if u16::try_from(len).is_ok() {
                    return Err(Violation::NonMinimalLength);
                }
                (len, rest, 8)
            }
            len => (u64::from(len), rest, 0),
        };
        let (masking_key, mask_bytes) = if second & MASKED == 0 {
            (None, 0)
        } else {
            let Some(key) = rest.first_chunk() else { return Ok(None) };
            (Some(*key), 4)
        };
        let header =
            Self { fin: first & FIN != 0, rsv1: first & RSV1 != 0, opcode, masking_key, payload_len };
        Ok(Some((header, 2 + len_bytes + mask_bytes)))
    }

    #[inline]
    fn check_first(first: u8, rsv1_allowed: bool) -> Result<OpCode, Violation> {
        if first & RSV2_AND_3 != 0 || (first & RSV1 != 0 && !rsv1_allowed) {
            return Err(Violation::ReservedBits);
        }
        let opcode = OpCode::from_bits(first & 0x0f).ok_or(Violation::ReservedOpcode)?;
        if first & RSV1 != 0 && !matches!(opcode, OpCode::Text | OpCode::Binary) {
            return Err(Violation::MisplacedCompressionBit);
        }
        if opcode.is_control() && first & FIN == 0 {
            return Err(Violation::FragmentedControl);
        }
        Ok(opcode)
    }

    #[inline]
    fn check_second(second: u8, opcode: OpCode, receiver: Role) -> Result<(), Violation> {
        match (receiver, second & MASKED != 0) {
            (Role::Server, false) => return Err(Violation::UnmaskedFrame),
            (Role::Client, true) => return Err(Violation::MaskedFrame),
            _ => {}
        }
        if opcode.is_control() && usize::from(second & !MASKED) > MAX_CONTROL_BYTES {
            return Err(Violation::OversizedControl);
        }
        Ok(())
    }

    /// Bytes that [`write`](Self::write) appends.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        let length = match self.payload_len {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        2 + length + if self.masking_key.is_some() { 4 } else { 0 }
    }

    /// Appends the header to `out`, the length in its shortest form.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.payload_len >> 63 == 0);
        let first = (u8::from(self.fin) << 7) | (u8::from(self.rsv1) << 6) | self.opcode as u8;
        let masked = if self.masking_key.is_some() { MASKED } else { 0 };
        let [.., high, low] = self.payload_len.to_be_bytes();
        match self.payload_len {
            0..=125 => out.extend_from_slice(&[first, masked | low]),
            126..=0xffff => out.extend_from_slice(&[first, masked | LEN_16, high, low]),
            _ => {
                out.extend_from_slice(&[first, masked | LEN_64]);
                out.extend_from_slice(&self.payload_len.to_be_bytes());
            }
        }
        if let Some(key) = self.masking_key {
            out.extend_from_slice(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(receiver: Role, input: &[u8], expected: Result<Option<(u64, usize)>, Violation>) {
        let parsed = FrameHeader::parse(input, receiver, true);
        assert_eq!(parsed.map(|h| h.map(|(h, n)| (h.payload_len, n))), expected, "{input:02x?}");
    }

    #[test]
    fn each_side_takes_only_its_own_kind_of_mask() {
        check(Role::Server, &[0x81, 0x05], Err(Violation::UnmaskedFrame));
        check(Role::Client, &[0x81, 0x85], Err(Violation::MaskedFrame));
        check(Role::Client, &[0x81, 0x05], Ok(Some((5, 2))));
        check(Role::Server, &[0x81, 0x85, 1, 2, 3], Ok(None));
        check(Role::Server, &[0x81, 0x85, 1, 2, 3, 4], Ok(Some((5, 6))));
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused_at_the_first_byte() {
        for bits in [0x10, 0x20, 0x30, 0x70] {
            check(Role::Client, &[0x81 | bits], Err(Violation::ReservedBits));
        }
        assert_eq!(FrameHeader::parse(&[0xc1], Role::Client, false), Err(Violation::ReservedBits));
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            check(Role::Client, &[0x80 | opcode], Err(Violation::ReservedOpcode));
        }
        for opcode in [0, 8, 9, 10] {
            check(Role::Client, &[0xc0 | opcode], Err(Violation::MisplacedCompressionBit));
        }
        for opcode in [8, 9, 10] {
            check(Role::Client, &[opcode], Err(Violation::FragmentedControl));
        }
    }

    #[test]
    fn lengths_are_taken_only_in_their_shortest_form() {
        check(Role::Client, &[0x82, 125], Ok(Some((125, 2))));
        check(Role::Client, &[0x82, 126, 0, 125], Err(Violation::NonMinimalLength));
        check(Role::Client, &[0x82, 126, 0, 126], Ok(Some((126, 4))));
        check(Role::Client, &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Err(Violation::NonMinimalLength));
        check(Role::Client, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], Ok(Some((65_536, 10))));
        check(Role::Client, &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(Violation::LengthOutOfRange));
        check(Role::Client, &[0x89, 126], Err(Violation::OversizedControl));
        check(Role::Client, &[0x89, 125], Ok(Some((125, 2))));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, u64::from(u32::MAX), (1 << 63) - 1];
        for payload_len in lengths {
            for (masking_key, receiver) in [(None, Role::Client), (Some([1, 2, 3, 4]), Role::Server)] {
                let header =
                    FrameHeader { fin: true, rsv1: true, opcode: OpCode::Text, masking_key, payload_len };
                let mut wire = Vec::new();
                header.write(&mut wire);
                assert_eq!(wire.len(), header.len());
                assert!(wire.len() <= FrameHeader::MAX_BYTES);
                for cut in 0..wire.len() {
                    assert_eq!(FrameHeader::parse(&wire[..cut], receiver, true), Ok(None));
                }
                assert_eq!(FrameHeader::parse(&wire, receiver, true), Ok(Some((header, wire.len()))));
            }
        }
    }
}
