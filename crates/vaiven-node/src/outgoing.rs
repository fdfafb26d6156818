//! What JavaScript sends: records of four numbers and payloads in shared memory, to frames in outboxes.
//!
//! A record is connection, operation and flags, offset, length. shared-memory.ts writes the same layout.

use crate::ffi::Memory;
use vaiven_proto::{Compress, OpCode};

/// Text, as UTF-8; else binary.
const TEXT: i32 = 1;
/// Never compressed.
const PLAIN: i32 = 1 << 1;
/// Compressed whatever its length.
const COMPRESSED: i32 = 1 << 2;
/// The sender wants to be told when it is written.
const AWAITED: i32 = 1 << 3;

/// How a message is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner(i32);

impl Manner {
    pub(crate) fn of(flags: i32) -> Self {
        Self(flags)
    }

    #[inline]
    pub(crate) fn opcode(self) -> OpCode {
        if self.0 & TEXT == 0 { OpCode::Binary } else { OpCode::Text }
    }

    #[inline]
    pub(crate) fn compress(self) -> Compress {
        match self.0 & (PLAIN | COMPRESSED) {
            0 => Compress::Auto,
            PLAIN => Compress::Never,
            _ => Compress::Always,
        }
    }

    #[inline]
    pub(crate) fn is_awaited(self) -> bool {
        self.0 & AWAITED != 0
    }
}

/// The messages that JavaScript has written and that are not framed yet.
#[derive(Debug)]
pub(crate) struct Outgoing {
    records: Memory,
    payloads: Memory,
}

/// A message that JavaScript has written.
#[derive(Debug)]
pub(crate) struct OutgoingMessage<'a> {
    pub(crate) connection: u32,
    pub(crate) manner: Manner,
    pub(crate) payload: &'a [u8],
}

impl Outgoing {
    pub(crate) fn new(records: Memory, payloads: Memory) -> Self {
        Self { records, payloads }
    }

    /// The message at `index`; `None` where the record is not sound.
    #[inline]
    pub(crate) fn message(&mut self, index: usize) -> Option<OutgoingMessage<'_>> {
        let record = self.records.words().chunks_exact(4).nth(index)?;
        let &[connection, flags, offset, len] = record else { return None };
        let offset = usize::try_from(offset).ok()?;
        let payload = self.payloads.bytes().get(offset..)?.get(..usize::try_from(len).ok()?)?;
        Some(OutgoingMessage { connection: connection.cast_unsigned(), manner: Manner(flags), payload })
    }
}
