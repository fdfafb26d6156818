//! What clients that lost their connection have missed: the sessions that ended unexpectedly, and a log of what was sent.

use super::adapter::Target;
use super::extensions::Extensions;
use super::frames::Frames;
use super::{ConnectError, Socket, SocketId};
use crate::engine::PreparedMessages;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vaiven::Text;

/// How long, and how much of what was sent, is kept for clients that lost their connection.
///
/// A client that comes back in time gets its id, its rooms, its data, and what it missed, in order. One that asks for
/// something that is no longer kept begins anew: `recovered` is false at both ends, and nothing is missing in secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// How long a session waits for its client. 2 minutes, as in the official server.
    pub max_disconnection: Duration,
    /// Events kept in a namespace. 10,000.
    pub max_packets: usize,
    /// Bytes of events kept in a namespace. 16 MiB.
    pub max_bytes: usize,
    /// Sessions of a namespace that wait for their clients; the oldest makes room. 10,000.
    pub max_sessions: usize,
    /// Whether a client that recovers is let in without asking the middleware again. It is, as in the official server:
    /// only the client that was let in knows its session's private id.
    pub skip_middleware: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_disconnection: Duration::from_mins(2),
            max_packets: 10_000,
            max_bytes: 16 << 20,
            max_sessions: 10_000,
            skip_middleware: true,
        }
    }
}

/// A client that joins, and what it says about the session that it had.
#[derive(Debug)]
pub struct Resume {
    /// The socket, which has not joined yet.
    pub socket: Socket,
    /// The private id of its session, if it had one.
    pub pid: Option<Text>,
    /// Where it stands, if it got any event with an offset.
    pub offset: Option<Text>,
}

/// What becomes of a client that joins.
#[derive(Clone, Debug, Default)]
pub struct Resumed {
    /// The private id of its session from now on. The client takes the session for recovered if it is the one that it
    /// had.
    pub pid: Text,
    /// Whether it goes on where it was.
    pub recovered: bool,
    /// What it missed, sent behind the reply and before anything else.
    pub replay: Vec<PreparedMessages>,
}

/// A store of sessions of an application's own: see [`Namespace::sessions`](super::Namespace::sessions).
///
/// Events that are recovered from it carry an offset as their last argument, a text, which
/// [`Encoded::event`](crate::packet::Encoded::event) puts there.
pub trait Sessions: Send + Sync + 'static {
    /// Decides, behind the middleware and before the client is told that it has joined.
    fn resume(
        &self,
        request: Resume,
    ) -> Pin<Box<dyn Future<Output = Result<Resumed, ConnectError>> + Send + '_>>;
}

/// A session whose client may come back.
pub(super) struct Saved {
    pub(super) id: SocketId,
    pub(super) pid: Text,
    pub(super) rooms: Vec<Arc<str>>,
    pub(super) extensions: Extensions,
    /// The first position that the client can have missed when it never got an offset.
    pub(super) joined_at: u64,
    pub(super) since: Instant,
}

/// A session whose client has come back, and the position from which on it has missed events.
pub(super) struct Restored {
    pub(super) saved: Saved,
    pub(super) from: u64,
}

/// An event that was sent.
struct Entry {
    /// What tells it from the others in its offset. Numbers are drawn before the order is fixed.
    number: u64,
    sent_at: Instant,
    target: Target,
    /// `None` for a volatile event, of which only the offset counts.
    frames: Option<Frames>,
    bytes: usize,
}

/// What a namespace keeps for clients that come back. Held under the lock that fixes the order of what is sent.
pub(super) struct Past {
    config: Recovery,
    /// Tells the offsets of this process and namespace from all others.
    epoch: Text,
    entries: VecDeque<Entry>,
    /// The position of the first entry: how many there were before it.
    first: u64,
    bytes: usize,
    saved: HashMap<Text, Saved>,
    /// Those whose client is here, by private id.
    present: HashMap<Text, SocketId>,
    /// Sessions that were forgotten: the application's data in them is dropped without the lock.
    forgotten: Vec<Saved>,
}

impl Past {
    pub(super) fn new(config: Recovery, epoch: Text) -> Self {
        Self {
            config,
            epoch,
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            saved: HashMap::new(),
            present: HashMap::new(),
            forgotten: Vec::new(),
        }
    }

    /// The position behind everything that was sent.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Keeps an event, and forgets what is too much or too old.
    pub(super) fn push(&mut self, number: u64, target: Target, frames: Option<Frames>) {
        let sent_at = Instant::now();
        let kept = frames.as_ref().map_or(0, Frames::bytes);
        let bytes = kept + target.bytes() + size_of::<Entry>();
        self.bytes += bytes;
        self.entries.push_back(Entry { number, sent_at, target, frames, bytes });
        while self.entries.len() > self.config.max_packets || self.bytes > self.config.max_bytes {
            self.pop();
        }
        self.forget_expired_entries(sent_at);
    }

    fn pop(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes -= entry.bytes;
        self.first += 1;
        true
    }

    fn forget_expired_entries(&mut self, now: Instant) {
        let max = self.config.max_disconnection;
        while self.entries.front().is_some_and(|entry| now.duration_since(entry.sent_at) > max) {
            self.pop();
        }
    }

    /// Forgets what is too old.
    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        self.forget_expired_entries(now);
        let max = self.config.max_disconnection;
        let expired = self.saved.extract_if(|_, saved| now.duration_since(saved.since) > max);
        self.forgotten.extend(expired.map(|(_, saved)| saved));
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        if self.saved.is_empty() {
            self.saved = HashMap::new();
        }
    }

    /// Whether nobody can come back.
    pub(super) fn is_empty(&self) -> bool {
        self.saved.is_empty()
    }

    /// The client of this session is here.
    pub(super) fn arrived(&mut self, pid: Text, id: SocketId) {
        self.present.insert(pid, id);
    }

    /// Whose session it is, if its client is here: of a connection that is lost without the server's knowing.
    pub(super) fn present(&self, pid: &str) -> Option<&SocketId> {
        self.present.get(pid)
    }

    /// The client of this session is gone, for good or not.
    pub(super) fn left(&mut self, pid: &str, id: &SocketId) {
        if self.present.get(pid) == Some(id) {
            self.present.remove(pid);
        }
    }

    /// Keeps a session for its client.
    pub(super) fn save(&mut self, saved: Saved) {
        if self.saved.len() >= self.config.max_sessions {
            self.sweep();
        }
        if self.saved.len() >= self.config.max_sessions {
            let oldest = self.saved.values().min_by_key(|saved| saved.since).map(|saved| saved.pid.clone());
            self.forgotten.extend(oldest.and_then(|pid| self.saved.remove(&pid)));
        }
        if self.config.max_sessions > 0 {
            self.forgotten.extend(self.saved.insert(saved.pid.clone(), saved));
        } else {
            self.forgotten.push(saved);
        }
    }

    /// The sessions that were forgotten, to be dropped without the lock.
    pub(super) fn take_forgotten(&mut self) -> Vec<Saved> {
        std::mem::take(&mut self.forgotten)
    }

    /// Takes the session of a client that comes back, if all that it has missed is still here.
    pub(super) fn restore(&mut self, pid: &str, offset: Option<&str>) -> Option<Restored> {
        let saved = self.saved.remove(pid)?;
        let now = Instant::now();
        self.forget_expired_entries(now);
        let from = match offset {
            Some(offset) => self.position(offset).map(|position| position + 1),
            None => Some(saved.joined_at),
        };
        let is_in_time = now.duration_since(saved.since) <= self.config.max_disconnection;
        if let Some(from) = from.filter(|from| is_in_time && *from >= self.first) {
            return Some(Restored { saved, from });
        }
        self.forgotten.push(saved);
        None
    }

    /// An offset as clients see it.
    pub(super) fn offset(&self, number: u64) -> String {
        format!("{}-{number:x}", self.epoch.as_str())
    }

    /// Where the event with this offset stands.
    fn position(&self, offset: &str) -> Option<u64> {
        // The epoch may have hyphens of its own.
        let (epoch, number) = offset.rsplit_once('-')?;
        if epoch != self.epoch.as_str() {
            return None;
        }
        let number = u64::from_str_radix(number, 16).ok()?;
        // Clients ask for what is recent.
        let index = self.entries.iter().rposition(|entry| entry.number == number)?;
        Some(self.first + index as u64)
    }

    /// What was sent from a position on to one who was in these rooms; `None` where a part of it is gone.
    pub(super) fn missed(&self, from: u64, id: &SocketId, rooms: &[Arc<str>]) -> Option<Vec<&Frames>> {
        let skipped = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let missed = self.entries.iter().skip(skipped).filter(|entry| entry.target.includes(id, rooms));
        Some(missed.filter_map(|entry| entry.frames.as_ref()).collect())
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .field("saved", &self.saved.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_offset_is_found_whatever_its_epoch_looks_like() {
        for epoch in ["abcdefgh", "-b-d_f--", "--------"] {
            let mut past = Past::new(Recovery::default(), Text::from(epoch));
            past.push(16, Target::default(), None);
            past.push(17, Target::default(), None);
            let offset = past.offset(17);
            assert_eq!(past.position(&offset), Some(1), "{offset}");
            assert_eq!(past.position(&format!("x{offset}")), None);
            assert_eq!(past.position(&past.offset(18)), None);
        }
    }
}
