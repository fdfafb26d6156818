//! Frames that wait to be written.

use bytes::{Buf, Bytes};
use std::{cell::RefCell, collections::VecDeque, io::IoSlice};

/// From this length on a payload is queued by reference instead of being copied behind its header.
pub(crate) const SHARE_MIN: usize = 4 << 10;
/// The same for frames that are shared with others: the reference is there already.
const SHARED_MIN: usize = 512;

/// Bytes on their way out, in order: read through [`Buf`], with vectored writes in mind.
///
/// Short frames are joined in one buffer, long payloads are queued by reference. An empty outbox owns no memory.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Written before `tail`.
    queue: VecDeque<Bytes>,
    /// Frames joined behind the queue, and how many of its bytes are written.
    tail: Vec<u8>,
    tail_sent: usize,
    len: usize,
}

impl Outbox {
    /// The buffer to append `len` bytes of frames to.
    #[inline]
    pub(crate) fn append(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.capacity() == 0 {
            self.tail = pool::take(len);
        } else if self.tail_sent > self.tail.len() / 2 && self.tail.capacity() - self.tail.len() < len {
            // A peer that keeps up and never catches up leaves no empty moment: what is written goes here.
            self.tail.drain(..self.tail_sent);
            self.tail_sent = 0;
        }
        let before = self.tail.len();
        write(&mut self.tail);
        debug_assert_eq!(self.tail.len() - before, len);
        self.len += self.tail.len() - before;
    }

    /// Queues bytes by reference behind everything else.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !self.tail.is_empty() {
            // The joined frames, often a header alone, are copied so that the buffer serves again.
            self.queue.push_back(Bytes::copy_from_slice(self.tail.split_at(self.tail_sent).1));
            self.tail.clear();
            self.tail_sent = 0;
        }
        self.len += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Appends whole frames that are shared with others: by reference where they are long, else as a copy.
    #[inline]
    pub(crate) fn extend(&mut self, frames: &Bytes) {
        if frames.len() < SHARED_MIN {
            self.append(frames.len(), |out| out.extend_from_slice(frames));
        } else {
            self.push(frames.clone());
        }
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(self.tail.split_at(self.tail_sent).1, |bytes| bytes)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = self.tail.split_at(self.tail_sent).1;
        let waiting = self.queue.iter().map(|bytes| &bytes[..]).chain((!tail.is_empty()).then_some(tail));
        let mut filled = 0;
        for (slice, bytes) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut written: usize) {
        self.len = self.len.checked_sub(written).expect("no more is written than waits");
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
        self.tail_sent += written;
        if self.len == 0 {
            self.tail_sent = 0;
            pool::give(std::mem::take(&mut self.tail));
            if self.queue.capacity() > 0 {
                self.queue = VecDeque::new();
            }
        }
    }
}

/// A few buffers per thread: most connections have something to write for the length of one wake-up only.
mod pool {
    use super::RefCell;

    const MAX_BUFFERS: usize = 16;
    const MAX_BYTES: usize = 64 << 10;
    const MIN_BYTES: usize = 256;

    thread_local! {
        static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    /// An empty buffer, used before or new with room for `len` bytes.
    pub(super) fn take(len: usize) -> Vec<u8> {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        pooled.unwrap_or_else(|| Vec::with_capacity(len.max(MIN_BYTES)))
    }

    /// Keeps a buffer for the next one to ask.
    pub(super) fn give(mut buffer: Vec<u8>) {
        if !(MIN_BYTES..=MAX_BYTES).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        // At the end of a thread the pool may be gone; then the buffer is simply freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_BUFFERS {
                pool.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while outbox.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = outbox.chunks_vectored(&mut slices);
            assert!(filled > 0);
            let flat: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).collect();
            let taken = flat.len().min(step);
            out.extend_from_slice(&flat[..taken]);
            outbox.advance(taken);
        }
        out
    }

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        for step in 1..40 {
            let mut outbox = Outbox::default();
            outbox.append(3, |out| out.extend_from_slice(b"abc"));
            outbox.push(Bytes::from_static(b"0123456789"));
            outbox.push(Bytes::from_static(b"xyz"));
            outbox.append(2, |out| out.extend_from_slice(b"de"));
            outbox.append(1, |out| out.extend_from_slice(b"f"));
            assert_eq!(outbox.len(), 19);
            assert_eq!(drain(&mut outbox, step), b"abc0123456789xyzdef");
            assert!(outbox.is_empty() && outbox.tail.capacity() == 0 && outbox.queue.capacity() == 0);
        }
    }

    #[test]
    fn what_is_written_is_let_go_although_something_always_waits() {
        let mut outbox = Outbox::default();
        outbox.append(1_000, |out| out.resize(out.len() + 1_000, b'a'));
        let steps = if cfg!(miri) { 100 } else { 10_000_u32 };
        for step in 0..steps {
            let number = step.to_be_bytes();
            outbox.append(100, |out| out.extend(number.iter().cycle().take(100)));
            outbox.advance(100);
            assert!(outbox.tail.capacity() <= 64 << 10, "{} in step {step}", outbox.tail.capacity());
        }
        let waiting = drain(&mut outbox, 1_000);
        let expected: Vec<u8> = (steps - 10..steps).flat_map(|step| step.to_be_bytes().repeat(25)).collect();
        assert_eq!(waiting, expected);
    }

    #[test]
    fn a_half_written_tail_keeps_its_place_when_more_is_queued() {
        let mut outbox = Outbox::default();
        outbox.append(4, |out| out.extend_from_slice(b"abcd"));
        outbox.advance(2);
        outbox.push(Bytes::from_static(b"XY"));
        outbox.append(1, |out| out.extend_from_slice(b"e"));
        assert_eq!(drain(&mut outbox, 100), b"cdXYe");
    }
}
