//! Events with their encoded forms, and the newest publications of a channel, for those who come back.

use crate::figures::Counters;
use crate::outlet::{Batch, Event};
use crate::{ChannelName, Position, Publication, Wire};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use vaiven::{Prepared, PreparedBatch};

/// Bytes that one turn or one piece of a replay gives to a subscriber, and its messages, however small.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
pub(crate) const BATCH_MESSAGES: usize = 512;

/// A wire that has subscribers in the hub, and its number there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireId {
    pub(crate) number: u8,
    pub(crate) wire: &'static dyn Wire,
}

/// An event and what each wire made of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    forms: Mutex<Vec<(u8, Vec<Prepared>)>>,
}

impl Entry {
    pub(crate) fn new(event: Event) -> Arc<Self> {
        Arc::new(Self { event, forms: Mutex::default() })
    }

    pub(crate) fn publication(&self) -> Option<&Arc<Publication>> {
        match &self.event {
            Event::Publication(publication) => Some(publication),
            Event::Presence(_) => None,
        }
    }

    pub(crate) fn offset(&self) -> Option<u64> {
        self.publication()?.position.as_ref().map(|position| position.offset)
    }

    /// Bytes that it takes, about, with one encoded form.
    pub(crate) fn cost(&self) -> usize {
        match &self.event {
            Event::Publication(publication) => publication.cost() + publication.data.len() + 128,
            Event::Presence(change) => 256 + 128 * (change.joined.len() + change.left.len()),
        }
    }

    /// Writes it, once for each wire. Nobody else waits for this lock but those who want the same.
    fn form(&self, id: WireId, channel: &ChannelName, counters: &Counters) -> Vec<Prepared> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, form)) = forms.iter().find(|(number, _)| *number == id.number) {
            return form.clone();
        }
        let messages = match &self.event {
            Event::Publication(publication) => id.wire.publication(channel, publication),
            Event::Presence(change) => id.wire.presence(channel, change),
        };
        counters.encoded.add(1);
        let form: Vec<_> = messages.into_iter().map(Prepared::new).collect();
        forms.push((id.number, form.clone()));
        form
    }
}

/// What these entries are for subscribers of a wire.
pub(crate) fn batch<'a>(
    channel: &ChannelName,
    id: WireId,
    entries: impl Iterator<Item = &'a Arc<Entry>>,
    counters: &Counters,
) -> Batch {
    let mut events = Vec::new();
    let mut forms = Vec::new();
    for entry in entries {
        forms.extend(entry.form(id, channel, counters));
        events.push(entry.event.clone());
    }
    Batch { channel: channel.clone(), events, frames: PreparedBatch::new(forms) }
}

/// Takes from the front what one turn or one piece may have, at least one.
pub(crate) fn piece_len<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Arc<Entry>| {
        let first = bytes == 0;
        bytes += entry.cost();
        first || bytes <= BATCH_BYTES
    };
    entries.take(BATCH_MESSAGES).take_while(fits).count()
}

/// The newest publications of a `reliable` channel, without a gap up to its head.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    pub(crate) head: Option<Position>,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Recent {
    /// The offset of the oldest one, or of the next one where there is none.
    pub(crate) fn first(&self) -> u64 {
        self.head.as_ref().map_or(1, |head| head.offset + 1 - self.entries.len() as u64)
    }

    /// Begins anew behind a position. Says how many bytes are free.
    pub(crate) fn begin(&mut self, head: Position) -> usize {
        self.head = Some(head);
        self.clear()
    }

    /// Drops all. Says how many bytes are free.
    pub(crate) fn clear(&mut self) -> usize {
        self.entries.clear();
        std::mem::take(&mut self.bytes)
    }

    /// Adds the one that follows the head. Says how many bytes it takes.
    pub(crate) fn push(&mut self, entry: Arc<Entry>) -> usize {
        let position = entry.publication().and_then(|publication| publication.position.clone());
        debug_assert_eq!(
            position.as_ref().map(|position| position.offset),
            self.head.as_ref().map(|head| head.offset + 1)
        );
        self.head = position;
        let cost = entry.cost();
        self.bytes += cost;
        self.entries.push_back(entry);
        cost
    }

    /// Drops the oldest one if `is_old` says so. Says how many bytes are free.
    pub(crate) fn drop_oldest_if(&mut self, is_old: impl FnOnce(&Publication) -> bool) -> Option<usize> {
        let oldest = self.entries.front()?;
        if !oldest.publication().is_some_and(|publication| is_old(publication)) {
            return None;
        }
        let cost = oldest.cost();
        self.entries.pop_front();
        self.bytes -= cost;
        Some(cost)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those after one offset, up to and with another.
    pub(crate) fn range(&self, after: u64, to: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.first();
        let index = |offset: u64| usize::try_from(offset.saturating_sub(first)).unwrap_or(usize::MAX);
        let end = index(to + 1).min(self.entries.len());
        self.entries.range(index(after + 1).min(end)..end)
    }
}
