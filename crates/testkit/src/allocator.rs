//! An allocator that counts, for tests of what a connection holds.
//!
//! `GlobalAlloc` is an unsafe trait: these four calls pass on to the system's allocator what they were given.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait, and passing on to System is an unsafe call")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count of the bytes that each thread holds. To be made the global allocator of a
/// test binary.
#[derive(Debug, Default)]
pub struct CountingAllocator;

/// Bytes that the current thread has allocated and not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Now.
    pub now: isize,
    /// At most, since [`Held::reset_peak`].
    pub peak: isize,
}

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

impl Held {
    /// What the thread holds now, and held at most.
    pub fn read() -> Self {
        Self { now: NOW.get(), peak: PEAK.get() }
    }

    /// Forgets the peak: it is what is held now.
    pub fn reset_peak() {
        PEAK.set(NOW.get());
    }
}

fn count(difference: isize) {
    // At the end of a thread its counters may be gone; nobody reads them then.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + difference);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call is passed on to `System` as it is; counting touches no allocation.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(signed(new_size) - signed(layout.size()));
        // SAFETY: the caller keeps to the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
