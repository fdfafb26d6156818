//! The buffers that the connections of a thread read into.
//!
//! A connection that waits owns no buffer: each read goes into the thread's slab. What was read and not decoded yet
//! stays a part of that slab, which is used on behind it, and used again from its start when all parts are gone.

use bytes::BytesMut;
use std::cell::RefCell;
use std::collections::VecDeque;

/// Bytes of a slab: what one read takes at most. Large, since a system call has a price by the call; a little more than
/// 512 KiB, so that payloads of 256 KiB fit in twice with their headers.
pub(crate) const SLAB_BYTES: usize = 576 << 10;
/// Below this much room a slab is set aside: a payload of 256 KiB still fits behind others.
const MIN_ROOM: usize = (256 << 10) + 64;
/// Slabs of a thread that are set aside while messages are in them, to be used again without asking the system for
/// memory: at most 9 MiB.
const MAX_RETIRED: usize = 16;
/// Reads in a row for which the current slab was enough, after which those that are set aside are let go.
const QUIET_READS: u16 = 1_024;
/// How many of them are looked at before a new slab is made; the ones that wait longest come first.
const MAX_TRIES: usize = 4;

#[derive(Default)]
struct Slabs {
    current: BytesMut,
    retired: VecDeque<BytesMut>,
    /// Reads for which the current slab was enough, while others are set aside.
    quiet_reads: u16,
}

thread_local! {
    static SLABS: RefCell<Slabs> = RefCell::default();
}

/// An empty buffer with room to read into.
#[inline]
pub(crate) fn take() -> BytesMut {
    SLABS.try_with(|slabs| slabs.borrow_mut().take()).unwrap_or_else(|_| BytesMut::with_capacity(SLAB_BYTES))
}

/// Hands the room behind what was read back to the thread.
#[inline]
pub(crate) fn give(room: BytesMut) {
    debug_assert!(room.is_empty());
    if room.capacity() > 0 {
        // At the end of a thread its slabs may be gone; then the room is simply freed.
        let _ = SLABS.try_with(|slabs| slabs.borrow_mut().give(room));
    }
}

/// Gives the memory of slabs that are set aside back to the system.
pub(crate) fn release_idle() {
    let _ = SLABS.try_with(|slabs| slabs.borrow_mut().retired.clear());
}

impl Slabs {
    #[inline]
    fn take(&mut self) -> BytesMut {
        let mut current = std::mem::take(&mut self.current);
        if current.capacity() >= SLAB_BYTES
            || current.try_reclaim(SLAB_BYTES)
            || current.capacity() >= MIN_ROOM
        {
            if !self.retired.is_empty() {
                self.quiet_reads += 1;
                if self.quiet_reads == QUIET_READS {
                    self.retired = VecDeque::new();
                    self.quiet_reads = 0;
                }
            }
            return current;
        }
        self.replace(current)
    }

    fn replace(&mut self, spent: BytesMut) -> BytesMut {
        self.quiet_reads = 0;
        if spent.capacity() > 0 {
            self.retire(spent);
        }
        let tries = self.retired.len().min(MAX_TRIES);
        for _ in 0..tries {
            let Some(mut slab) = self.retired.pop_front() else { break };
            if slab.try_reclaim(SLAB_BYTES) {
                return slab;
            }
            self.retired.push_back(slab);
        }
        BytesMut::with_capacity(SLAB_BYTES)
    }

    #[inline]
    fn give(&mut self, room: BytesMut) {
        if self.current.capacity() == 0 {
            self.current = room;
        } else if room.capacity() > self.current.capacity() {
            let smaller = std::mem::replace(&mut self.current, room);
            self.retire(smaller);
        } else {
            self.retire(room);
        }
    }

    fn retire(&mut self, slab: BytesMut) {
        if self.retired.len() == MAX_RETIRED {
            self.retired.pop_front();
        }
        self.retired.push_back(slab);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_comes_back_when_its_parts_are_gone() {
        let mut slab = take();
        let start = slab.as_ptr();
        slab.resize(SLAB_BYTES - 10, 1);
        let part = slab.split();
        give(slab);
        let other = take();
        assert_ne!(other.as_ptr(), start);
        drop(part);
        give(other);
        let (one, two) = (take(), take());
        assert!(one.as_ptr() == start || two.as_ptr() == start);
        assert!(one.capacity() >= SLAB_BYTES && two.capacity() >= SLAB_BYTES);
    }

    #[test]
    fn slabs_that_are_set_aside_are_few_and_go_when_nobody_needs_them() {
        let hold = || {
            let mut slab = take();
            slab.resize(SLAB_BYTES - 10, 1);
            let part = slab.split();
            give(slab);
            part
        };
        let retired = || SLABS.with_borrow(|slabs| slabs.retired.len());
        let held: Vec<_> = (0..=2 * MAX_RETIRED).map(|_| hold()).collect();
        assert_eq!(retired(), MAX_RETIRED);
        drop(held);
        give(take());
        let before = retired();
        for _ in 1..QUIET_READS {
            assert_eq!(retired(), before);
            give(take());
        }
        assert_eq!(retired(), 0);
    }
}
