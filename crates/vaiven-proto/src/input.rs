//! Bytes as they came from the network, on their way into the decoder.

use bytes::{Bytes, BytesMut};

/// How many times its own size a message may keep alive: one shorter than this part of the allocation that it
/// arrived in is copied out, so that a short message that is kept for long does not hold a large buffer. An
/// allocation of up to 4 KiB is shared whatever the size of its messages.
pub const MAX_SHARE: usize = 64;

/// An allocation of at most 4 KiB may be kept alive by the shortest message.
const SMALL_ALLOCATION: usize = 4 << 10;

/// Received bytes that wait to be decoded.
///
/// A message that is a good part of the allocation is passed on without a copy: its `Bytes` share this
/// allocation. A message never keeps more than [`MAX_SHARE`] times its own size alive, or 4 KiB.
#[derive(Debug, Default)]
pub struct Input {
    bytes: BytesMut,
    allocation: usize,
}

impl Input {
    /// Input over `bytes`, which are part of an allocation of `allocation` bytes.
    ///
    /// Spare capacity behind the bytes may be used for the rest of a message that they begin; what is left of it
    /// comes back from [`into_spare`](Self::into_spare).
    pub fn new(bytes: BytesMut, allocation: usize) -> Self {
        debug_assert!(bytes.capacity() <= allocation);
        Self { bytes, allocation }
    }

    /// Bytes that were not decoded yet.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether everything was decoded.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that were not decoded yet.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the allocation that the input is a part of.
    #[inline]
    pub fn allocation(&self) -> usize {
        self.allocation
    }

    /// Gives up what was not decoded and hands back the spare capacity.
    pub fn into_spare(mut self) -> BytesMut {
        self.bytes.clear();
        self.bytes
    }

    /// Takes the spare capacity away from behind the bytes, to be used for another read.
    pub fn split_spare(&mut self) -> BytesMut {
        self.bytes.split_off(self.bytes.len())
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) {
        // `split_to` would promote the buffer to a shared one; `advance` only moves its start.
        bytes::Buf::advance(&mut self.bytes, bytes);
    }

    #[inline]
    pub(crate) fn all_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    #[inline]
    pub(crate) fn front_mut(&mut self, bytes: usize) -> &mut [u8] {
        self.bytes.split_at_mut(bytes).0
    }

    /// Whether a payload of `len` is too small a part of the allocation to keep it alive.
    #[inline]
    fn is_wasteful(&self, len: usize) -> bool {
        self.allocation > SMALL_ALLOCATION && len.saturating_mul(MAX_SHARE) < self.allocation
    }

    /// Takes the first `len` bytes: shared where that is worth it, else copied.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        if self.is_wasteful(len) {
            let bytes = Bytes::copy_from_slice(self.bytes.split_at(len).0);
            self.skip(len);
            return bytes;
        }
        if len == self.bytes.len() && self.bytes.capacity() == len {
            // The last of it: the allocation itself becomes the message.
            return std::mem::take(&mut self.bytes).freeze();
        }
        self.bytes.split_to(len).freeze()
    }

    /// Makes the bytes, which begin a payload of `len`, and the spare capacity behind them the payload's own
    /// buffer, when it fits there and is worth the sharing, and when a good part of it has arrived: a header alone
    /// takes no room.
    pub(crate) fn adopt(&mut self, len: usize) -> Option<BytesMut> {
        debug_assert!(len >= self.bytes.len());
        if self.bytes.capacity() < len || self.is_wasteful(len) || !is_well_begun(self.bytes.len(), len) {
            return None;
        }
        let rest = self.bytes.split_off(len);
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

/// Whether so much of a payload of `len` has arrived that room for all of it may be held.
pub(crate) fn is_well_begun(arrived: usize, len: usize) -> bool {
    arrived.saturating_mul(MAX_SHARE) >= len
}

impl From<&[u8]> for Input {
    /// Input over a copy of the bytes.
    fn from(bytes: &[u8]) -> Self {
        Self::new(BytesMut::from(bytes), bytes.len())
    }
}
