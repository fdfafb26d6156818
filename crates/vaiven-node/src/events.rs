//! What the engine tells JavaScript: records of four numbers in shared memory, and the payloads that belong to them.
//!
//! A record is connection, kind and flags, offset, length. engine.ts reads the same layout; both sides name it here and
//! in shared-memory.ts. A payload lies in the bytes that were read, in the aside (what came in pieces, or was
//! inflated), or in a buffer of its own that JavaScript takes over.

use crate::ffi::{Failure, Memory};
use bytes::Bytes;
use std::collections::VecDeque;

/// What happened. The numbers are those of shared-memory.ts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Kind {
    /// A message, not text.
    Binary = 0,
    /// A message, text.
    Text = 1,
    /// A message, text of which every byte is below 0x80.
    Ascii = 2,
    Ping = 3,
    Pong = 4,
    /// The peer's Close frame: the code stands in the upper half of the flags, the reason is the payload.
    Close = 5,
    /// The peer broke a rule: the index into `Violation::ALL` is the offset.
    Violation = 6,
    /// The transport is gone: the number of the system's error is the offset, 0 where the peer ended it.
    Ended = 7,
    /// Everything that was queued is written, after it could not be at once or somebody waited for it: how many of the
    /// messages among it asked to be told is the length.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "streams report their writes themselves")
    )]
    Drained = 8,
    /// Over a stream: bytes wait to be taken, as many as the length says.
    Output = 9,
    /// Nothing more will be written: this direction of the socket is ended, or that of the stream is to be.
    Finished = 10,
}

/// Where a payload lies, as flags of a record.
pub(crate) const IN_ASIDE: i32 = 1 << 8;
const OWNED: i32 = 1 << 9;

/// In place of the system's error: the peer answered no ping.
pub(crate) const SILENT: i32 = -1;

/// Numbers in front of the records.
pub(crate) const HEADER_WORDS: usize = 16;
/// In the header: the next record to look at, kept by JavaScript.
pub(crate) const CURSOR: usize = 0;
/// In the header: how many records there are.
pub(crate) const COUNT: usize = 1;
/// In the header: how many messages wait in the outgoing memory, kept by JavaScript.
pub(crate) const OUT_COUNT: usize = 2;
/// In the header: whether records are being looked at.
pub(crate) const WALKING: usize = 3;
/// In the header: whether a batch of the event loop is running, at whose end everything is written.
#[cfg(target_os = "linux")]
pub(crate) const IN_BATCH: usize = 4;
/// In the header: whether JavaScript has something to tell as soon as nothing else is being told.
#[cfg(target_os = "linux")]
pub(crate) const WAITING: usize = 5;
/// In the header: how much of the outgoing memory is used, kept by JavaScript.
pub(crate) const OUT_BYTES: usize = 6;
/// In the header: of what was taken for a stream last, how many messages asked to be told when they are written.
pub(crate) const AWAITED: usize = 7;

/// Numbers of a record.
pub(crate) const RECORD_WORDS: usize = 4;

/// The longest payload that is copied aside; a longer one is handed over in a buffer of its own, because making one
/// costs as much as copying 32 KiB.
pub(crate) const MAX_ASIDE: usize = 32 << 10;

/// As soon as buffers of their own hold this much, the batch is told: a few short compressed messages may be many long
/// ones.
const MAX_OWNED_BYTES: usize = 1 << 20;

/// An event without a payload, which waits for room in the records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    pub(crate) connection: u32,
    pub(crate) kind: Kind,
    pub(crate) offset: i32,
    pub(crate) len: usize,
}

/// The records of a batch and their payloads.
pub(crate) struct Events {
    memory: Memory,
    capacity: usize,
    count: usize,
    aside: Memory,
    aside_used: usize,
    owned: Vec<Option<Bytes>>,
    owned_bytes: usize,
    notices: VecDeque<Notice>,
}

impl Events {
    /// # Errors
    /// The memory has no room for a batch.
    pub(crate) fn new(mut memory: Memory, mut aside: Memory) -> Result<Self, Failure> {
        let capacity = memory.words().len().saturating_sub(HEADER_WORDS) / RECORD_WORDS;
        if capacity == 0 || aside.bytes().len() < MAX_ASIDE {
            return Err(Failure::from("the memory for events is too small"));
        }
        Ok(Self {
            memory,
            capacity,
            count: 0,
            aside,
            aside_used: 0,
            owned: Vec::new(),
            owned_bytes: 0,
            notices: VecDeque::new(),
        })
    }

    /// A number of the header.
    #[inline]
    pub(crate) fn header(&mut self, index: usize) -> usize {
        usize::try_from(self.memory.words()[index]).unwrap_or(0)
    }

    /// Sets a number of the header.
    #[inline]
    pub(crate) fn set_header(&mut self, index: usize, value: usize) {
        self.memory.words()[index] = word(value);
    }

    /// Whether there is no room for the largest event.
    #[inline]
    pub(crate) fn is_full(&mut self) -> bool {
        self.count == self.capacity
            || self.aside.bytes().len() - self.aside_used < MAX_ASIDE
            || self.owned_bytes >= MAX_OWNED_BYTES
    }

    /// Whether notices wait.
    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Begins a batch: JavaScript has looked at every record of the last one.
    pub(crate) fn begin(&mut self) {
        self.count = 0;
        self.aside_used = 0;
        self.owned.clear();
        self.owned_bytes = 0;
        self.set_header(COUNT, 0);
        self.set_header(CURSOR, 0);
    }

    /// Ends a batch: notices that wait go behind the records, as many as have room. Says how many records there are.
    pub(crate) fn finish(&mut self) -> usize {
        while self.count < self.capacity
            && let Some(notice) = self.notices.pop_front()
        {
            self.push(notice.connection, notice.kind as i32, notice.offset, notice.len);
        }
        self.set_header(COUNT, self.count);
        self.set_header(CURSOR, 0);
        self.count
    }

    /// An event to be told with the next batch.
    pub(crate) fn notice(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    /// An event whose payload, if any, JavaScript can see at `offset`.
    #[inline]
    pub(crate) fn push(&mut self, connection: u32, kind_and_flags: i32, offset: i32, len: usize) {
        debug_assert!(self.count < self.capacity, "the caller asks whether there is room");
        let at = HEADER_WORDS + self.count * RECORD_WORDS;
        let record = &mut self.memory.words()[at..at + RECORD_WORDS];
        record.copy_from_slice(&[connection.cast_signed(), kind_and_flags, offset, word(len)]);
        self.count += 1;
    }

    /// An event with a payload that JavaScript cannot see where it is.
    pub(crate) fn push_payload(&mut self, connection: u32, kind_and_flags: i32, payload: Bytes) {
        let len = payload.len();
        if len > MAX_ASIDE {
            let index = word(self.owned.len());
            self.owned.push(Some(payload));
            self.owned_bytes += len;
            return self.push(connection, kind_and_flags | OWNED, index, len);
        }
        let at = self.aside_used;
        self.aside.bytes()[at..at + len].copy_from_slice(&payload);
        self.aside_used += len;
        self.push(connection, kind_and_flags | IN_ASIDE, word(at), len);
    }

    /// Gives out the buffer of an event with one of its own.
    pub(crate) fn take_owned(&mut self, index: usize) -> Option<Bytes> {
        self.owned.get_mut(index)?.take()
    }
}

/// A length or a place as a number of a record; memory and messages are bounded far below 2^31.
#[inline]
pub(crate) fn word(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
