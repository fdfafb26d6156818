//! The buffers that the connections of a thread read into.
//!
//! A connection that waits owns no buffer: each read goes into the thread's slab. What was read and not decoded yet
//! stays a part of that slab, which is used on behind it, and used again from its start when all parts are gone.

use bytes::BytesMut;
use std::cell::RefCell;

/// Bytes of a slab: what one read takes at most. Large, since a system call has a price by the call.
pub(crate) const SLAB_BYTES: usize = 512 << 10;
/// Below this many bytes of room a slab is set aside.
const MIN_ROOM: usize = 128 << 10;
/// Slabs set aside whose parts are in use, each of which may come back.
const MAX_RETIRED: usize = 4;

#[derive(Default)]
struct Slabs {
    current: BytesMut,
    retired: Vec<BytesMut>,
}

thread_local! {
    static SLABS: RefCell<Slabs> = RefCell::default();
}

/// An empty buffer with room to read into.
pub(crate) fn take() -> BytesMut {
    let slabs = SLABS.try_with(|slabs| slabs.borrow_mut().take());
    slabs.unwrap_or_else(|_| BytesMut::with_capacity(SLAB_BYTES))
}

/// Hands the room behind what was read back to the thread.
#[inline]
pub(crate) fn give(room: BytesMut) {
    debug_assert!(room.is_empty());
    if room.capacity() < MIN_ROOM && room.capacity() > 0 {
        // Reused once its other parts are gone.
        let _ = SLABS.try_with(|slabs| slabs.borrow_mut().retire(room));
    } else if room.capacity() > 0 {
        let _ = SLABS.try_with(|slabs| slabs.borrow_mut().current = room);
    }
}

impl Slabs {
    fn take(&mut self) -> BytesMut {
        let mut current = std::mem::take(&mut self.current);
        if current.capacity() >= MIN_ROOM {
            return current;
        }
        let reclaimed = self.retired.iter_mut().position(|slab| slab.try_reclaim(SLAB_BYTES));
        if let Some(index) = reclaimed {
            return self.retired.swap_remove(index);
        }
        current = BytesMut::with_capacity(SLAB_BYTES);
        current
    }

    fn retire(&mut self, slab: BytesMut) {
        if self.retired.len() == MAX_RETIRED {
            self.retired.remove(0);
        }
        self.retired.push(slab);
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
        let again = take();
        assert_eq!(again.as_ptr(), start);
        assert!(again.capacity() >= SLAB_BYTES);
    }
}
