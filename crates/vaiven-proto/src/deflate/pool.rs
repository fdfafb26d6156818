//! The zlib states that the connections of a thread share.
//!
//! A state is large (a compressor 150 KiB and more, a decompressor 47 KiB) and of use only while a message is being
//! worked on, so an idle connection owns none: it borrows one here and hands it back. The pool of a thread is bounded;
//! what exceeds it is freed. States may wander from thread to thread with the connection that holds them.

use super::params::WindowBits;
use super::reach::Reach;
use std::cell::RefCell;
use zlib_rs::{Deflate, Inflate};

/// Compressors that a thread keeps. Two: one in use at a time, and a second kind, as another level or window.
const MAX_IDLE_COMPRESSORS: usize = 2;

/// Decompressors that a thread keeps. Four: messages that are still incomplete hold theirs between reads.
const MAX_IDLE_DECOMPRESSORS: usize = 4;

/// Bytes of the buffer between zlib and a message. 16 KiB: large enough to make calls rare, small enough for a
/// processor's first cache, and the most by which a bomb can outgrow its limit unseen.
pub(super) const SCRATCH_BYTES: usize = 16 * 1024;

/// zlib's `memLevel` for compressors. 6: a block ends after 4,096 symbols, which costs no speed and next to no size,
/// and spares 84 KiB against zlib's default of 8.
const MEM_LEVEL: i32 = 6;

/// The kind of a compressor; only the same kind may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompressorKind {
    window: WindowBits,
    level: u8,
}

impl CompressorKind {
    /// A compressor for an agreed window. zlib refuses 8 bits; its 9-bit one refers back at most 512 - 262 = 250
    /// bytes and so keeps to a window of 256 (`every_distance_keeps_to_the_agreed_window` proves it).
    pub(super) fn new(agreed: WindowBits, level: u8) -> Self {
        Self { window: agreed.max(WindowBits::of(9)), level: level.clamp(1, 9) }
    }

    /// Bytes that a compressor of this kind allocates in zlib-rs 0.6.8, which has no call that tells: a hash table of
    /// 64 Ki positions, window (doubled) and chains, buffers of 7 bytes a symbol, and its fixed fields.
    pub(super) fn bytes(self) -> usize {
        const HASH: usize = 2 * 65_536;
        const SYMBOLS: usize = 1 << (MEM_LEVEL + 6);
        const FIELDS: usize = 3 * 1024 + 256;
        HASH + 4 * self.window.bytes() + 7 * SYMBOLS + FIELDS
    }
}

/// A compressor and its kind.
pub(super) struct Compressor {
    pub(super) kind: CompressorKind,
    pub(super) zlib: Deflate,
}

/// A decompressor, and what watches the distances of its messages.
pub(super) struct Decompressor {
    pub(super) zlib: Inflate,
    /// Made when it is needed for the first time.
    pub(super) reach: Option<Box<Reach>>,
    /// The compressed bytes of this message that were not yet looked at for their reach.
    pub(super) held: Vec<u8>,
}

impl Decompressor {
    /// Bytes held, by capacity.
    pub(super) fn memory(&self) -> usize {
        let reach = self.reach.as_ref().map_or(0, |_| size_of::<Reach>());
        DECOMPRESSOR_BYTES + self.held.capacity() + reach
    }
}

/// Bytes that a decompressor allocates in zlib-rs 0.6.8: always a window of 32 KiB, tables and fixed fields.
const DECOMPRESSOR_BYTES: usize = 32 * 1024 + 15 * 1024;

#[derive(Default)]
struct Pool {
    compressors: Vec<Compressor>,
    decompressors: Vec<Decompressor>,
    scratch: Vec<u8>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// A compressor of this kind that remembers nothing.
pub(super) fn take_compressor(kind: CompressorKind) -> Compressor {
    let pooled = with_pool(|pool| {
        let index = pool.compressors.iter().position(|one| one.kind == kind)?;
        Some(pool.compressors.swap_remove(index))
    });
    if let Some(mut compressor) = pooled {
        compressor.zlib.reset();
        return compressor;
    }
    let config = zlib_rs::DeflateConfig {
        level: i32::from(kind.level),
        window_bits: -i32::from(kind.window.bits()),
        mem_level: MEM_LEVEL,
        ..Default::default()
    };
    Compressor { kind, zlib: Deflate::new_with_config(config) }
}

/// Hands a compressor back. The newest ones stay: they are of the kind that is in use.
pub(super) fn put_compressor(compressor: Compressor) {
    with_pool(|pool| {
        if pool.compressors.len() >= MAX_IDLE_COMPRESSORS {
            pool.compressors.remove(0);
        }
        pool.compressors.push(compressor);
        None::<()>
    });
}

/// A decompressor that is to be reset before use. Its window is 32 KiB whatever was agreed: zlib-rs has no smaller one.
pub(super) fn take_decompressor() -> Decompressor {
    with_pool(|pool| pool.decompressors.pop()).unwrap_or_else(|| Decompressor {
        zlib: Inflate::new(false, WindowBits::MAX.bits()),
        reach: None,
        held: Vec::new(),
    })
}

/// Hands a decompressor back.
pub(super) fn put_decompressor(mut decompressor: Decompressor) {
    decompressor.held.clear();
    decompressor.held.shrink_to(SCRATCH_BYTES);
    with_pool(|pool| {
        if pool.decompressors.len() < MAX_IDLE_DECOMPRESSORS {
            pool.decompressors.push(decompressor);
        }
        None::<()>
    });
}

/// Lends the thread's buffer of [`SCRATCH_BYTES`]; what is in it is left over from before.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = with_pool(|pool| Some(std::mem::take(&mut pool.scratch))).unwrap_or_default();
    scratch.resize(SCRATCH_BYTES, 0);
    let result = work(&mut scratch);
    with_pool(|pool| {
        pool.scratch = scratch;
        None::<()>
    });
    result
}

/// `None` also where the thread is ending and its pool is gone: then states are made and freed as needed.
fn with_pool<T>(access: impl FnOnce(&mut Pool) -> Option<T>) -> Option<T> {
    POOL.try_with(|pool| access(&mut pool.borrow_mut())).ok().flatten()
}
