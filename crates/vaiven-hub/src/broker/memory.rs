//! Histories in the memory of the process. They end with it.

use super::{BoxFuture, Broker, BrokerError, Node, Publish, Retention};
use crate::clock::{Clock, as_ms};
use crate::idempotency::Idempotency;
use crate::{
    ChannelName, Epoch, History, HistoryQuery, Position, Publication, PublishError, Published, Publishing,
};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Channels whose history is known; of more, those that were published to longest ago are forgotten.
const MAX_LOGS: usize = 100_000;
/// Bytes of all histories.
const DEFAULT_MAX_BYTES: usize = 256 << 20;
/// Idempotency keys that are known.
const MAX_KEYS: usize = 100_000;

/// A broker for one process that keeps histories in memory.
///
/// A restart begins new epochs: who comes back is told that it cannot be given what it missed.
#[derive(Debug)]
pub struct MemoryBroker {
    inner: Mutex<Inner>,
    node: OnceLock<NodeRef>,
    max_bytes: usize,
    clock: Clock,
}

struct NodeRef(Weak<dyn Node>);

#[derive(Debug, Default)]
struct Inner {
    logs: HashMap<ChannelName, Log>,
    /// All publications that are kept, and some that no longer are, oldest first.
    order: VecDeque<(u64, ChannelName)>,
    sequence: u64,
    bytes: usize,
    idempotency: Idempotency,
}

#[derive(Debug)]
struct Log {
    epoch: Epoch,
    head: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Sequence number of the newest publication.
    newest: u64,
}

#[derive(Debug)]
struct Kept {
    sequence: u64,
    publication: Arc<Publication>,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// A broker that keeps at most 256 MiB.
    pub fn new() -> Self {
        Self::with_max_bytes(DEFAULT_MAX_BYTES)
    }

    /// A broker that keeps at most so many bytes of all channels together; the oldest publications go first.
    pub fn with_max_bytes(max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), node: OnceLock::new(), max_bytes, clock: Clock::starting(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, channel: &ChannelName, publication: &Arc<Publication>) {
        if let Some(node) = self.node.get().and_then(|node| node.0.upgrade()) {
            node.deliver(channel, std::slice::from_ref(publication));
        }
    }

    fn keep(
        &self,
        inner: &mut Inner,
        publish: Publish,
        retention: Retention,
    ) -> Result<Published, PublishError> {
        let Publish { channel, mut publication, .. } = publish;
        let key = publication.idempotency.take();
        let fingerprint = publication.fingerprint();
        if let Some(key) = &key
            && let Some(known) =
                inner.idempotency.find(&channel, key, fingerprint, retention.idempotency_window)
        {
            return known;
        }
        let is_new = inner.logs.get(&channel).is_none_or(|log| log.head == 0);
        if is_new
            && let Some(maker) = publication.maker
            && let Some(node) = self.node.get().and_then(|node| node.0.upgrade())
            && !node.may_make(&channel, maker, retention.age)
        {
            return Err(PublishError::TooManyNewChannels);
        }
        let now = self.clock.now_ms();
        let (position, publication) = inner.append(&channel, |position| publication.publish(position, now));
        inner.prune(&channel, retention, now);
        inner.shrink(self.max_bytes);
        if let Some(key) = key {
            inner.idempotency.insert(&channel, key, fingerprint, Some(position.clone()), MAX_KEYS);
        }
        // Under the lock, so that deliveries have the order of the offsets.
        self.deliver(&channel, &publication);
        Ok(Published { position: Some(position), duplicate: false })
    }
}

impl Inner {
    fn log(&mut self, channel: &ChannelName) -> &mut Log {
        if !self.logs.contains_key(channel) && self.logs.len() >= MAX_LOGS {
            self.forget_some();
        }
        self.logs.entry(channel.clone()).or_insert_with(Log::new)
    }

    fn append(
        &mut self,
        channel: &ChannelName,
        publish: impl FnOnce(Option<Position>) -> Publication,
    ) -> (Position, Arc<Publication>) {
        self.sequence += 1;
        let sequence = self.sequence;
        let log = self.log(channel);
        log.head += 1;
        log.newest = sequence;
        let position = log.position();
        let publication = Arc::new(publish(Some(position.clone())));
        let cost = publication.cost();
        log.kept.push_back(Kept { sequence, publication: Arc::clone(&publication) });
        log.bytes += cost;
        self.bytes += cost;
        self.order.push_back((sequence, channel.clone()));
        (position, publication)
    }

    fn prune(&mut self, channel: &ChannelName, retention: Retention, now: u64) {
        let Some(log) = self.logs.get_mut(channel) else { return };
        let oldest = now.saturating_sub(as_ms(retention.age));
        while log.kept.len() > retention.size
            || log.bytes > retention.bytes
            || log.kept.front().is_some_and(|kept| kept.publication.time < oldest)
        {
            self.bytes -= log.drop_oldest();
        }
    }

    /// Drops the oldest publications of all until they fit, and from the order those that are gone already.
    fn shrink(&mut self, max_bytes: usize) {
        while let Some((sequence, channel)) = self.order.front() {
            let log = self.logs.get_mut(channel);
            let is_kept = log
                .as_ref()
                .is_some_and(|log| log.kept.front().is_some_and(|kept| kept.sequence <= *sequence));
            if is_kept && self.bytes <= max_bytes {
                break;
            }
            if let Some(log) = log.filter(|_| is_kept) {
                self.bytes -= log.drop_oldest();
            }
            self.order.pop_front();
        }
    }

    /// Forgets the sixty-fourth part of the channels that were published to longest ago. Their next epoch is another.
    fn forget_some(&mut self) {
        let mut newest: Vec<u64> = self.logs.values().map(|log| log.newest).collect();
        let (_, limit, _) = newest.select_nth_unstable(MAX_LOGS / 64);
        let limit = *limit;
        let bytes = &mut self.bytes;
        self.logs.retain(|_, log| {
            let is_kept = log.newest > limit;
            if !is_kept {
                *bytes -= log.bytes;
            }
            is_kept
        });
    }
}

impl Log {
    fn new() -> Self {
        Self { epoch: Epoch::random(), head: 0, kept: VecDeque::new(), bytes: 0, newest: 0 }
    }

    fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.head }
    }

    /// Drops the oldest publication, and says how many bytes are free.
    fn drop_oldest(&mut self) -> usize {
        let cost = self.kept.pop_front().map_or(0, |kept| kept.publication.cost());
        self.bytes -= cost;
        if self.kept.is_empty() {
            debug_assert_eq!(self.bytes, 0);
        }
        cost
    }

    fn history(&self, query: &HistoryQuery) -> History {
        let kept = self.kept.len();
        let first = self.head + 1 - kept as u64;
        let since = query.since.as_ref().filter(|since| since.epoch == self.epoch).map(|since| since.offset);
        let index =
            |offset: u64| usize::try_from(offset.saturating_sub(first)).map_or(kept, |at| at.min(kept));
        let publications: Vec<_>;
        let more;
        if query.reverse {
            let end = since.map_or(kept, index);
            let start = end.saturating_sub(query.limit);
            publications =
                self.kept.range(start..end).rev().map(|kept| Arc::clone(&kept.publication)).collect();
            more = start > 0;
        } else {
            let start = since.map_or(0, |since| index(since.saturating_add(1)));
            let end = start.saturating_add(query.limit).min(kept);
            publications = self.kept.range(start..end).map(|kept| Arc::clone(&kept.publication)).collect();
            more = end < kept;
        }
        History { position: self.position(), publications, more }
    }
}

impl Broker for MemoryBroker {
    fn attach(&self, node: Weak<dyn Node>) {
        assert!(self.node.set(NodeRef(node)).is_ok(), "a broker in the process serves one hub");
    }

    fn publish(&self, publish: Publish) -> Publishing {
        let mut inner = self.lock();
        Publishing::ready(if let Some(retention) = publish.retention {
            self.keep(&mut inner, publish, retention)
        } else {
            let publication = publish.publication.publish(None, self.clock.now_ms());
            self.deliver(&publish.channel, &Arc::new(publication));
            Ok(Published { position: None, duplicate: false })
        })
    }

    fn subscribe<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Position, BrokerError>> {
        Box::pin(async move { Ok(self.lock().log(channel).position()) })
    }

    fn unsubscribe(&self, _channel: &ChannelName) {}

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<History, BrokerError>> {
        Box::pin(async move { Ok(self.lock().log(channel).history(&query)) })
    }
}

impl std::fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}
