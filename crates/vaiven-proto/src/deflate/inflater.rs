//! Compressed payloads, piece by piece, to payloads within a limit (RFC 7692 section 7.2.2).

use super::history::History;
use super::pool::{self, Decompressor};
use super::reach::Reach;
use super::{DeflateParams, WindowBits};
use crate::{Role, Violation};
use std::fmt;
use zlib_rs::{InflateFlush, Status};

/// Compressed bytes that a message may take beyond [`MAX_EXPANSION`] times its inflated length. 64 KiB: an honest
/// compressor needs some bytes, and what exceeds this is made of empty blocks, which cost time and bring nothing.
const MAX_OVERHEAD_BYTES: usize = 64 * 1024;

/// Compressed bytes for each inflated one. 8: a compressor that flushes after every byte writes 7 for it.
const MAX_EXPANSION: usize = 8;

/// The overhead is looked at whenever a multiple of this was read, so that it does not depend on how a message is
/// split into pieces.
const OVERHEAD_STEP: usize = 4 * 1024;

/// [`TAIL`](super::TAIL) and an empty final block, which must end the stream; else the message was cut off within a block.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// Inflates the messages that one side receives.
///
/// A message is given in pieces of any size as they arrive, and ended with [`finish`](Self::finish). Between
/// messages no zlib state is owned: without context takeover nothing at all, with it the last bytes of the
/// conversation, at most the agreed window.
///
/// # Limits
/// The buffer of the message never holds more than `max_len` bytes, by length, and its capacity grows geometrically
/// up to `max_len`. At most 16 KiB more are inflated before a bomb is noticed. A compressed message longer than 8
/// times its inflated length and 64 KiB is too large as well.
pub struct Inflater {
    window: WindowBits,
    takeover: bool,
    history: History,
    message: Option<Progress>,
}

/// A message that is being inflated.
struct Progress {
    decompressor: Decompressor,
    /// Whether distances are being watched, as is necessary as soon as one could be too large.
    watched: bool,
    /// Compressed bytes read so far.
    read: usize,
    /// Whether no stream is open: at the start, and after a block with BFINAL.
    between_streams: bool,
}

impl Inflater {
    /// A decompressor for what `role` receives.
    pub fn new(role: Role, params: &DeflateParams) -> Self {
        let (no_takeover, window) = match role {
            Role::Server => (params.client_no_context_takeover, params.client_max_window_bits),
            Role::Client => (params.server_no_context_takeover, params.server_max_window_bits),
        };
        // Several compressors take 9 bits for 8 (zlib did so silently), and one more bit costs nothing.
        let window = window.max(WindowBits::of(9));
        Self { window, takeover: !no_takeover, history: History::new(window), message: None }
    }

    /// Inflates the next piece of a message into `out`, which holds this message alone and is empty at its start.
    ///
    /// # Errors
    /// [`Violation::MessageTooLarge`] when `out` would outgrow `max_len`, [`Violation::InvalidDeflate`] when the
    /// piece is no DEFLATE or refers back beyond the agreed window. The connection must fail then; `out` holds the
    /// message up to there, however it was split into pieces.
    pub fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>, max_len: usize) -> Result<(), Violation> {
        let mut message = self.message.take().unwrap_or_else(Progress::new);
        let mut rest = input;
        while !rest.is_empty() {
            let step = OVERHEAD_STEP - message.read % OVERHEAD_STEP;
            let (piece, later) = rest.split_at(step.min(rest.len()));
            message.run(piece, self.window, &self.history, out, max_len)?;
            message.read = message.read.saturating_add(piece.len());
            let overhead = message.read.saturating_sub(out.len().saturating_mul(MAX_EXPANSION));
            if piece.len() == step && overhead > MAX_OVERHEAD_BYTES {
                return Err(Violation::MessageTooLarge);
            }
            rest = later;
        }
        self.message = Some(message);
        Ok(())
    }

    /// Ends a message: puts back the four bytes that its sender cut off.
    ///
    /// A message that ends right behind a block with BFINAL is taken as complete, although its sender should have
    /// added an empty block (RFC 7692 section 7.2.3.4), and so is one without any byte.
    ///
    /// # Errors
    /// As [`inflate`](Self::inflate); also [`Violation::InvalidDeflate`] when the message ends within a block.
    pub fn finish(&mut self, out: &mut Vec<u8>, max_len: usize) -> Result<(), Violation> {
        if let Some(mut message) = self.message.take() {
            if !message.between_streams {
                message.run(&END, self.window, &self.history, out, max_len)?;
                if !message.between_streams {
                    return Err(Violation::InvalidDeflate);
                }
            }
            pool::put_decompressor(message.decompressor);
        }
        if self.takeover {
            self.history.push(out);
        }
        Ok(())
    }

    /// Bytes that this connection holds, by capacity.
    pub fn memory(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.decompressor.memory());
        self.history.memory() + message
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window", &self.window)
            .field("takeover", &self.takeover)
            .field("memory", &self.memory())
            .finish_non_exhaustive()
    }
}

impl Progress {
    fn new() -> Self {
        Self { decompressor: pool::take_decompressor(), watched: false, read: 0, between_streams: true }
    }

    /// Inflates `input` to its end, and fails where it reaches back beyond `window`.
    fn run(
        &mut self,
        input: &[u8],
        window: WindowBits,
        history: &History,
        out: &mut Vec<u8>,
        max_len: usize,
    ) -> Result<(), Violation> {
        let inflated = self.inflate(input, history, out, max_len);
        if window == WindowBits::MAX {
            return inflated;
        }
        if inflated.is_ok() && history.len() + out.len() <= window.bytes() {
            // No distance beyond the window can have been valid yet.
            self.decompressor.held.extend_from_slice(input);
            return Ok(());
        }
        let Decompressor { reach, held, .. } = &mut self.decompressor;
        let reach = reach.get_or_insert_with(|| Box::new(Reach::new()));
        let walked = if self.watched {
            reach.scan(input)
        } else {
            self.watched = true;
            reach.begin(window);
            reach.scan(held).and_then(|()| reach.scan(input))
        };
        match walked {
            // What lies behind the limit does not count, so that the outcome is the same at every split.
            Err(position) if position <= max_len => {
                out.truncate(position);
                Err(Violation::InvalidDeflate)
            }
            _ => inflated,
        }
    }

    /// Inflates `input` to its end.
    fn inflate(
        &mut self,
        input: &[u8],
        history: &History,
        out: &mut Vec<u8>,
        max_len: usize,
    ) -> Result<(), Violation> {
        pool::with_scratch(|scratch| {
            let mut rest = input;
            loop {
                if self.between_streams {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    self.open_stream(history, out)?;
                }
                // One byte more than fits tells a message of exactly the limit from a longer one.
                let room = max_len.saturating_sub(out.len()).saturating_add(1).min(scratch.len());
                let space = scratch.get_mut(..room).unwrap_or_default();
                let (read, written) = (self.decompressor.zlib.total_in(), self.decompressor.zlib.total_out());
                let status = self.decompressor.zlib.decompress(rest, space, InflateFlush::NoFlush);
                let consumed = count(self.decompressor.zlib.total_in() - read);
                let produced = count(self.decompressor.zlib.total_out() - written);
                rest = rest.get(consumed..).unwrap_or_default();
                append(out, space.get(..produced).unwrap_or_default(), max_len)?;
                let status = status.map_err(|_| Violation::InvalidDeflate)?;
                self.between_streams = status == Status::StreamEnd;
                let stalled = consumed == 0 && produced == 0;
                if !self.between_streams && produced < room && (rest.is_empty() || stalled) {
                    return if rest.is_empty() { Ok(()) } else { Err(Violation::InvalidDeflate) };
                }
            }
        })
    }

    /// Begins the message, or goes on behind a final block: the window stays as it is (RFC 7692 section 7.2.3.5).
    fn open_stream(&mut self, history: &History, out: &[u8]) -> Result<(), Violation> {
        self.decompressor.zlib.reset(false);
        let (old, new) = history.as_slices();
        for part in [old, new, out] {
            if !part.is_empty() {
                self.decompressor.zlib.set_dictionary(part).map_err(|_| Violation::InvalidDeflate)?;
            }
        }
        self.between_streams = false;
        Ok(())
    }
}

/// Appends to the message, whose capacity doubles as it grows and never exceeds the limit.
fn append(out: &mut Vec<u8>, bytes: &[u8], max_len: usize) -> Result<(), Violation> {
    let fits = bytes.len().min(max_len.saturating_sub(out.len()));
    let (bytes, rest) = bytes.split_at(fits);
    let needed = out.len() + fits;
    if needed > out.capacity() {
        let capacity = needed.max(out.capacity().saturating_mul(2)).min(max_len);
        out.reserve_exact(capacity - out.len());
    }
    out.extend_from_slice(bytes);
    if rest.is_empty() { Ok(()) } else { Err(Violation::MessageTooLarge) }
}

/// A difference of zlib's counters, which is at most the length of a slice.
fn count(difference: u64) -> usize {
    usize::try_from(difference).expect("zlib reads and writes no more than the slices it is given")
}
