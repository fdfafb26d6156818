//! Payloads to compressed payloads (RFC 7692 section 7.2.1).

use super::pool::{self, Compressor, CompressorKind};
use super::{DeflateConfig, DeflateParams, TAIL};
use crate::Role;
use std::fmt;
use zlib_rs::{DeflateFlush, Status};

/// Whether a message goes out compressed (RFC 7692 section 6: every message may choose).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it decides about RSV1 of the message's first frame"]
pub enum Compression {
    /// The compressed payload was appended; the first frame carries RSV1.
    Compressed,
    /// Nothing was appended; the message goes out as it is, without RSV1.
    Skipped,
}

/// Compresses the messages that one side sends.
///
/// Without context takeover it owns no memory between messages; with it, it keeps a compressor until
/// [`release_idle`](Self::release_idle).
///
/// ```
/// use vaiven_proto::{Role, deflate::*};
/// let config = DeflateConfig::server();
/// let params = DeflateParams {
///     server_no_context_takeover: true,
///     client_no_context_takeover: true,
///     server_max_window_bits: WindowBits::MAX,
///     client_max_window_bits: WindowBits::MAX,
/// };
/// let mut compressed = Vec::new();
/// let outcome = Deflater::new(Role::Server, &params, &config).compress(&[b'a'; 4096], &mut compressed);
/// assert_eq!(outcome, Compression::Compressed);
///
/// let mut message = Vec::new();
/// let mut inflater = Inflater::new(Role::Client, &params);
/// inflater.inflate(&compressed, &mut message, 4096)?;
/// inflater.finish(&mut message, 4096)?;
/// assert_eq!(message, [b'a'; 4096]);
/// # Ok::<(), vaiven_proto::Violation>(())
/// ```
pub struct Deflater {
    kind: CompressorKind,
    takeover: bool,
    min_bytes: usize,
    /// With context takeover: what remembers the messages sent so far.
    compressor: Option<Compressor>,
}

impl Deflater {
    /// A compressor for what `role` sends.
    pub fn new(role: Role, params: &DeflateParams, config: &DeflateConfig) -> Self {
        let (no_takeover, window) = match role {
            Role::Server => (params.server_no_context_takeover, params.server_max_window_bits),
            Role::Client => (params.client_no_context_takeover, params.client_max_window_bits),
        };
        Self {
            kind: CompressorKind::new(window, config.level),
            takeover: !no_takeover,
            min_bytes: config.min_bytes,
            compressor: None,
        }
    }

    /// Appends the compressed form of a message to `out`, unless the message is shorter than `min_bytes` or its
    /// compressed form is not smaller: then `out` is as before.
    ///
    /// The one exception is the empty message: with a `min_bytes` of 0 it becomes the single byte `00` of RFC 7692
    /// section 7.2.3.6.
    ///
    /// A message that was compressed and then skipped is unknown to the peer's window, so the compressor forgets
    /// everything with it: a fresh one refers only to what it sent itself, which the peer has.
    ///
    /// # Limits
    /// `out` grows by at most the payload's length and 16 KiB.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Compression {
        if payload.len() < self.min_bytes {
            return Compression::Skipped;
        }
        if payload.is_empty() {
            out.push(0);
            return Compression::Compressed;
        }
        let start = out.len();
        let mut compressor = self.compressor.take().unwrap_or_else(|| pool::take_compressor(self.kind));
        if !compressor.append(payload, out) {
            out.truncate(start);
            pool::put_compressor(compressor);
            return Compression::Skipped;
        }
        if self.takeover {
            self.compressor = Some(compressor);
        } else {
            pool::put_compressor(compressor);
        }
        Compression::Compressed
    }

    /// Gives the memory back. Afterwards messages compress as at the beginning of the connection, which the peer
    /// cannot tell: a compressor is free not to refer to earlier messages.
    ///
    /// To be called also when a message that another compressor made (one compressed once for many) is sent on a
    /// connection with context takeover: the peer's window moved on without this compressor.
    pub fn release_idle(&mut self) {
        if let Some(compressor) = self.compressor.take() {
            pool::put_compressor(compressor);
        }
    }

    /// Bytes that this connection holds, by capacity.
    pub fn memory(&self) -> usize {
        self.compressor.as_ref().map_or(0, |_| self.kind.bytes())
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("kind", &self.kind)
            .field("takeover", &self.takeover)
            .field("memory", &self.memory())
            .finish_non_exhaustive()
    }
}

impl Compressor {
    /// Appends the flushed stream of a payload without its tail; false when it is not smaller than the payload.
    fn append(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let flushed = pool::with_scratch(|scratch| {
            let mut rest = payload;
            loop {
                let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
                let status = self.zlib.compress(rest, scratch, DeflateFlush::SyncFlush);
                let consumed = count(self.zlib.total_in() - read);
                let produced = count(self.zlib.total_out() - written);
                rest = rest.get(consumed..).unwrap_or_default();
                out.extend_from_slice(scratch.get(..produced).unwrap_or_default());
                // The length is looked at on the way, so that what does not compress is given up early.
                if !matches!(status, Ok(Status::Ok)) || out.len() - start > payload.len() + TAIL.len() {
                    return false;
                }
                // zlib has flushed everything when it leaves room.
                if rest.is_empty() && produced < scratch.len() {
                    return true;
                }
            }
        });
        if !flushed || !out.ends_with(&TAIL) {
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        out.len() - start < payload.len()
    }
}

/// A difference of zlib's counters, which is at most the length of a slice.
fn count(difference: u64) -> usize {
    usize::try_from(difference).expect("zlib reads and writes no more than the slices it is given")
}
