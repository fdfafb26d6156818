//! The last bytes that passed: what context takeover refers back to (RFC 7692 section 7.2.2).

use super::params::WindowBits;
use std::collections::VecDeque;

/// A ring of at most one window, no larger than what came so far.
#[derive(Debug)]
pub(super) struct History {
    window: WindowBits,
    ring: VecDeque<u8>,
}

impl History {
    pub(super) const fn new(window: WindowBits) -> Self {
        Self { window, ring: VecDeque::new() }
    }

    /// Appends a message; what is older than the window is forgotten.
    pub(super) fn push(&mut self, message: &[u8]) {
        let window = self.window.bytes();
        let tail = message.get(message.len().saturating_sub(window)..).unwrap_or_default();
        let kept = self.ring.len().min(window - tail.len());
        self.ring.drain(..self.ring.len() - kept);
        let needed = kept + tail.len();
        if needed > self.ring.capacity() {
            let capacity = needed.max(self.ring.capacity() * 2).min(window);
            self.ring.reserve_exact(capacity - kept);
        }
        self.ring.extend(tail);
    }

    /// The bytes, oldest first, in two parts.
    pub(super) fn as_slices(&self) -> (&[u8], &[u8]) {
        self.ring.as_slices()
    }

    /// How many bytes there are to refer to.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Bytes held, by capacity.
    pub(super) fn memory(&self) -> usize {
        self.ring.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_the_end_of_everything_and_never_holds_more_than_a_window() {
        let mut history = History::new(WindowBits::MIN);
        let mut all = Vec::new();
        for length in [0, 1, 100, 254, 255, 256, 257, 3, 1000, 128, 128, 1] {
            let message: Vec<u8> =
                (0..length).map(|i| u8::try_from((i * 7 + length) % 251).unwrap()).collect();
            history.push(&message);
            all.extend_from_slice(&message);
            let (old, new) = history.as_slices();
            assert_eq!([old, new].concat(), all[all.len().saturating_sub(256)..]);
            assert!(history.memory() <= 256);
        }
    }
}
