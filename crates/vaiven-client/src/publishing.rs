//! Publications on their way: in order, numbered, sent again after a resume until they are acknowledged.

use crate::wire::Command;
use crate::{Data, Error, NewPublication, Published};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use vaiven::Message;

/// Publications that wait, sent or not.
const MAX_WAITING: usize = 1024;
/// Their bytes together.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// Channels that are known to keep nothing, of more the client knows it only while it is subscribed.
const MAX_UNKEPT: usize = 1024;
/// A refusal with one of these says nothing of an earlier connection's try, which may have been taken.
const SAYS_NOTHING_OF_EARLIER: [&str; 5] = ["rate", "unavailable", "internal", "forbidden", "unauthorized"];

/// The end of a publication for whoever waits for it.
pub(crate) type Reply = oneshot::Sender<Result<Published, Error>>;

#[derive(Debug)]
struct Waiting {
    seq: u64,
    channel: String,
    publication: NewPublication,
    /// The id under which it was sent on this connection.
    sent_as: Option<u64>,
    /// When it was sent for the first time.
    first_sent: Option<Instant>,
    /// Whether an earlier connection took it along.
    is_repeated: bool,
    reply: Reply,
}

#[derive(Debug, Default)]
pub(crate) struct Publishing {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    seq: u64,
    /// Channels whose acknowledgements have no position: what is sent there twice may be published twice.
    unkept: BTreeSet<String>,
}

impl Publishing {
    /// Takes a publication, if there is room.
    pub(crate) fn add(&mut self, channel: &str, publication: NewPublication, reply: Reply) {
        let len = publication.data.len();
        let is_full = self.waiting.len() >= MAX_WAITING || self.bytes + len > MAX_WAITING_BYTES;
        if is_full && !self.waiting.is_empty() {
            let _ = reply.send(Err(Error::QueueFull));
            return;
        }
        self.seq += 1;
        self.bytes += len;
        let (seq, channel) = (self.seq, channel.to_owned());
        let (sent_as, first_sent, is_repeated) = (None, None, false);
        self.waiting.push_back(Waiting {
            seq,
            channel,
            publication,
            sent_as,
            first_sent,
            is_repeated,
            reply,
        });
    }

    /// The next one that this connection has not been given.
    pub(crate) fn next_message(&mut self, now: Instant, mut new_id: impl FnMut() -> u64) -> Option<Message> {
        // Those that were sent stand in front.
        let first_unsent = self.waiting.partition_point(|waiting| waiting.sent_as.is_some());
        let waiting = self.waiting.get_mut(first_unsent)?;
        let id = new_id();
        waiting.sent_as = Some(id);
        waiting.first_sent.get_or_insert(now);
        Some(waiting.message(id))
    }

    /// The connection is gone. What is not numbered may not be sent again; the rest may.
    pub(crate) fn disconnected(&mut self, is_kept: impl Fn(&str) -> bool) {
        let unkept = std::mem::take(&mut self.unkept);
        let is_kept = |channel: &str| !unkept.contains(channel) && is_kept(channel);
        self.fail_where(&Error::Uncertain, |waiting| {
            waiting.sent_as.is_some() && (waiting.publication.ephemeral || !is_kept(&waiting.channel))
        });
        self.unkept = unkept;
        for waiting in &mut self.waiting {
            waiting.is_repeated |= waiting.sent_as.take().is_some();
        }
    }

    /// A connection is there. What was sent too long ago may have been forgotten by the server.
    pub(crate) fn connected(&mut self, now: Instant, window: Duration) {
        self.fail_where(&Error::Uncertain, |waiting| {
            waiting.first_sent.is_some_and(|sent| now.saturating_duration_since(sent) >= window)
        });
    }

    /// Whether the answer to this id was for a publication; then it is told.
    pub(crate) fn answered(&mut self, id: u64, result: Result<Published, Error>) -> Result<(), Error> {
        let Some(index) = self.waiting.iter().position(|waiting| waiting.sent_as == Some(id)) else {
            return result.map(drop);
        };
        if let Some(waiting) = self.waiting.remove(index) {
            self.bytes -= waiting.publication.data.len();
            self.learn(&waiting, &result);
            let result = result.map_err(|error| waiting.judge(error));
            // Whoever asked may have dropped its future.
            let _ = waiting.reply.send(result);
        }
        Ok(())
    }

    /// An acknowledgement tells whether its channel keeps what is published.
    fn learn(&mut self, waiting: &Waiting, result: &Result<Published, Error>) {
        let Ok(Published { position, .. }) = result else { return };
        if position.is_some() {
            self.unkept.remove(&waiting.channel);
        } else if !waiting.publication.ephemeral && self.unkept.len() < MAX_UNKEPT {
            self.unkept.insert(waiting.channel.clone());
        }
    }

    /// The client has ended.
    pub(crate) fn closed(&mut self, reason: &str) {
        let error = |waiting: &Waiting| match waiting.first_sent {
            Some(_) => Error::Uncertain,
            None => Error::Closed { reason: reason.to_owned() },
        };
        self.bytes = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            let error = error(&waiting);
            let _ = waiting.reply.send(Err(error));
        }
    }

    fn fail_where(&mut self, error: &Error, mut fails: impl FnMut(&Waiting) -> bool) {
        let waiting = std::mem::take(&mut self.waiting);
        let (failed, kept): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|waiting| fails(waiting));
        self.waiting = kept;
        for waiting in failed {
            self.bytes -= waiting.publication.data.len();
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }
}

impl Waiting {
    /// What a refusal means to whoever published.
    fn judge(&self, error: Error) -> Error {
        match error {
            Error::Refused { code, .. }
                if self.is_repeated && SAYS_NOTHING_OF_EARLIER.contains(&code.as_str()) =>
            {
                Error::Uncertain
            }
            error => error,
        }
    }

    fn message(&self, id: u64) -> Message {
        let NewPublication { data, key, remove, ephemeral } = &self.publication;
        let json = match data {
            Data::Json(text) if !remove => std::str::from_utf8(text).ok(),
            _ => None,
        };
        // What is in `Data::Json` was written by serde_json; a text of the caller's own that is none is sent as null.
        let raw = json.map(|text| {
            RawValue::from_string(text.to_owned())
                .unwrap_or_else(|_| RawValue::from_string("null".to_owned()).expect("it is JSON"))
        });
        let command = Command::Publish {
            id,
            channel: &self.channel,
            data: raw.as_deref(),
            key: key.as_deref(),
            remove: *remove,
            ephemeral: *ephemeral,
            seq: (!ephemeral).then_some(self.seq),
        };
        match data {
            Data::Binary(bytes) if !remove => command.with_bytes(bytes),
            _ => command.message(),
        }
    }
}
