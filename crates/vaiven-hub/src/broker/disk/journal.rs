//! The thread of the history: what waits -> groups that are committed, then delivered, then acknowledged.
//!
//! When a group cannot be committed nobody hears of it but its publishers. After a failure that leaves it open what was
//! written, the store is closed, opened anew, and the channels of the group begin other epochs.

use super::census::Makes;
use super::store::{Fault, Store};
use super::{DiskConfig, Fsync, NodeRef, OpenError, StoreFigures};
use crate::TRACE_TARGET;
use crate::clock::Clock;
use crate::publishing::Acknowledgement;
use crate::{BrokerError, ChannelName, History, HistoryQuery, Position, Publication, Publish, PublishError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Bytes that wait for the thread before publications are refused.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// Jobs that wait for it.
const MAX_WAITING: usize = 200_000;
/// Publications and bytes of one group.
const GROUP: usize = 512;
const GROUP_BYTES: usize = 4 << 20;
/// How soon a store that failed is opened anew.
const REOPEN: Duration = Duration::from_secs(1);
/// How often what is old is let go.
const SWEEP: Duration = Duration::from_secs(10);
/// How long a channel without publications keeps its epoch and its count.
const FORGET_MS: u64 = 30 * 24 * 3_600_000;

type Answer<T> = oneshot::Sender<Result<T, BrokerError>>;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Publish(Publish, Acknowledgement),
    Subscribe(ChannelName, Answer<Position>),
    Unsubscribe(ChannelName),
    History(ChannelName, HistoryQuery, Answer<History>),
    Close,
}

/// What waits for the thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    figures: StoreFigures,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, or gives it back when too much waits.
    #[expect(clippy::result_large_err, reason = "the job goes back to where it came from")]
    pub(super) fn push(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let state = self.lock();
        if state.bytes > MAX_WAITING_BYTES || state.jobs.len() >= MAX_WAITING {
            return Err(job);
        }
        if Self::add(state, job) {
            self.wake_soon();
        }
        Ok(())
    }

    /// Adds a job however much waits, and has the thread see it at once.
    pub(super) fn push_always(&self, job: Job) {
        Self::add(self.lock(), job);
        self.filled.notify_one();
    }

    /// Says whether it is the first one.
    fn add(mut state: MutexGuard<'_, Waiting>, job: Job) -> bool {
        state.bytes += job.bytes();
        state.jobs.push_back(job);
        state.jobs.len() == 1
    }

    /// Wakes the thread when the task that runs has yielded: what a publisher says in one go comes into one group, and
    /// goes to each subscriber with one write.
    fn wake_soon(self: &Arc<Self>) {
        match Handle::try_current() {
            Ok(runtime) => {
                let queue = Arc::clone(self);
                drop(runtime.spawn(async move { queue.filled.notify_one() }));
            }
            Err(_) => self.filled.notify_one(),
        }
    }

    /// Some jobs, in order; none when the time is over.
    fn take(&self, patience: Duration) -> Vec<Job> {
        let state = self.lock();
        let is_empty = |state: &mut Waiting| state.jobs.is_empty();
        let waited = self.filled.wait_timeout_while(state, patience, is_empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let mut bytes = 0;
        let mut fits = |job: &&Job| {
            bytes += job.bytes();
            bytes <= GROUP_BYTES
        };
        let len = state.jobs.iter().take(GROUP).take_while(&mut fits).count().max(1).min(state.jobs.len());
        let jobs: Vec<_> = state.jobs.drain(..len).collect();
        state.bytes -= jobs.iter().map(Job::bytes).sum::<usize>();
        jobs
    }

    fn count(&self, count: impl FnOnce(&mut StoreFigures)) {
        count(&mut self.lock().figures);
    }

    pub(super) fn figures(&self) -> StoreFigures {
        self.lock().figures
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Publish(publish, _) => 256 + publish.publication.data.len(),
            _ => 256,
        }
    }
}

pub(super) struct Journal {
    /// None while it failed.
    store: Option<Store>,
    clock: Clock,
    folder: PathBuf,
    config: DiskConfig,
    queue: Arc<Queue>,
    node: Arc<Mutex<Option<NodeRef>>>,
    /// Channels that the node listens to.
    subscribed: HashSet<ChannelName>,
    /// Where each channel ends that nobody can vouch for beyond, until the store is open again.
    unvouched: HashMap<ChannelName, u64>,
    /// Channels that were published to since the last fsync, where not every group is, and where they ended before.
    unsynced: HashMap<ChannelName, u64>,
    next_open: Instant,
    next_sweep: Instant,
    next_sync: Instant,
}

impl Journal {
    pub(super) fn new(
        store: Store,
        clock: Clock,
        folder: PathBuf,
        config: DiskConfig,
        queue: Arc<Queue>,
        node: Arc<Mutex<Option<NodeRef>>>,
    ) -> Self {
        let now = Instant::now();
        queue.count(|figures| {
            figures.is_open = true;
            figures.bytes = store.bytes;
        });
        Self {
            store: Some(store),
            clock,
            folder,
            config,
            queue,
            node,
            subscribed: HashSet::new(),
            unvouched: HashMap::new(),
            unsynced: HashMap::new(),
            next_open: now,
            next_sweep: now + SWEEP,
            next_sync: now,
        }
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        loop {
            let jobs = self.queue.take(self.patience());
            let closes = jobs.iter().any(|job| matches!(job, Job::Close));
            self.keep_up();
            self.work(jobs);
            if closes {
                break;
            }
        }
        if let Some(store) = self.store.take()
            && let Err(fault) = store.close()
        {
            tracing::error!("the history was not closed in order: {fault:?}");
        }
    }

    /// How long there is nothing to do without a job.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let mut next = self.next_sweep;
        if self.store.is_none() {
            next = next.min(self.next_open);
        }
        if !self.unsynced.is_empty() {
            next = next.min(self.next_sync);
        }
        next.saturating_duration_since(now)
    }

    /// Opens the store where it failed, brings to the disk what is due, and lets go of what is old.
    fn keep_up(&mut self) {
        let now = Instant::now();
        if self.store.is_none() && now >= self.next_open {
            self.next_open = now + REOPEN;
            self.reopen();
        }
        if let Fsync::Interval(interval) = self.config.fsync
            && now >= self.next_sync
            && !self.unsynced.is_empty()
            && let Some(store) = &mut self.store
        {
            self.next_sync = now + interval;
            match store.sync() {
                Ok(()) => self.unsynced.clear(),
                Err(fault) => self.failed(fault, HashMap::new()),
            }
        }
        if now >= self.next_sweep
            && let Some(store) = &mut self.store
        {
            let (time, before) = (self.clock.now_ms(), self.clock.now_ms().saturating_sub(FORGET_MS));
            match store.sweep(time, before) {
                Ok(more) => self.next_sweep = now + if more { Duration::ZERO } else { SWEEP },
                Err(fault) => {
                    self.next_sweep = now + SWEEP;
                    self.failed(fault, HashMap::new());
                }
            }
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut group = Vec::new();
        for job in jobs {
            match job {
                Job::Publish(publish, acknowledgement) => group.push((publish, acknowledgement)),
                other => {
                    self.commit(std::mem::take(&mut group));
                    self.answer(other);
                }
            }
        }
        self.commit(group);
    }

    fn answer(&mut self, job: Job) {
        match job {
            Job::Subscribe(channel, answer) => {
                let position = self.read(|store| store.position(&channel));
                if position.is_ok() {
                    self.subscribed.insert(channel);
                }
                drop(answer.send(position));
            }
            Job::Unsubscribe(channel) => {
                self.subscribed.remove(&channel);
            }
            Job::History(channel, query, answer) => {
                let mut history = self.read(|store| store.history(&channel, &query));
                if history.is_err() && self.store.is_some() {
                    // A bad record was cut off, or the damaged file set aside: what is left can be read.
                    history = self.read(|store| store.history(&channel, &query));
                }
                drop(answer.send(history));
            }
            Job::Publish(..) | Job::Close => {}
        }
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut Store) -> Result<T, Fault>) -> Result<T, BrokerError> {
        let store = self.store.as_mut().ok_or(BrokerError)?;
        read(store).map_err(|fault| {
            self.failed(fault, HashMap::new());
            BrokerError
        })
    }

    /// Keeps a group, delivers it and acknowledges it, in this order.
    fn commit(&mut self, group: Vec<(Publish, Acknowledgement)>) {
        if group.is_empty() {
            return;
        }
        let len = i64::try_from(group.len()).unwrap_or(i64::MAX);
        let _span = tracing::info_span!(target: TRACE_TARGET, "commit", publications = len).entered();
        let (publishes, acknowledgements): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let outcome = match self.ends_of(&publishes) {
            Ok(ends) => self.append(publishes.clone(), ends),
            Err(error) => Err(error),
        };
        let Ok(outcomes) = outcome else {
            self.refuse(publishes, acknowledgements);
            return;
        };
        let kept =
            outcomes.iter().filter(|(outcome, _)| matches!(outcome, Ok(done) if done.position.is_some()));
        let kept = kept.count() as u64;
        let bytes = self.store.as_ref().map_or(0, |store| store.bytes);
        self.queue.count(|figures| {
            figures.groups += 1;
            figures.kept += kept;
            figures.bytes = bytes;
        });
        let (outcomes, publications): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
        self.deliver(publishes.iter().map(|publish| &publish.channel).zip(publications));
        for (acknowledgement, outcome) in acknowledgements.into_iter().zip(outcomes) {
            acknowledgement.tell(outcome);
        }
    }

    /// Where the channels of a group end before it.
    fn ends_of(&mut self, publishes: &[Publish]) -> Result<HashMap<ChannelName, u64>, BrokerError> {
        let mut ends = HashMap::new();
        for publish in publishes.iter().filter(|publish| publish.retention.is_some()) {
            if !ends.contains_key(&publish.channel) {
                let end = self.read(|store| store.position(&publish.channel))?.offset;
                ends.insert(publish.channel.clone(), end);
            }
        }
        Ok(ends)
    }

    fn append(
        &mut self,
        publishes: Vec<Publish>,
        ends: HashMap<ChannelName, u64>,
    ) -> Result<Vec<super::store::Outcome>, BrokerError> {
        if ends.is_empty() {
            // Nothing is to be kept, so that the store is not asked.
            return Err(BrokerError);
        }
        let node = self.node();
        let store = self.store.as_mut().ok_or(BrokerError)?;
        let makes = Makes {
            may_make: &|channel, maker, retention| {
                node.as_ref().is_none_or(|node| node.may_make(channel, maker, retention.age))
            },
            is_in_use: &|channel| self.subscribed.contains(channel) || ends.contains_key(channel),
        };
        match store.append(publishes, self.clock.now_ms(), &makes) {
            Ok(outcomes) => {
                if self.config.fsync != Fsync::Always {
                    for (channel, end) in ends {
                        self.unsynced.entry(channel).or_insert(end);
                    }
                }
                Ok(outcomes)
            }
            Err(fault) => {
                self.failed(fault, ends);
                Err(BrokerError)
            }
        }
    }

    /// What was to be kept is refused; the rest is for those who listen, whatever the store does.
    fn refuse(&self, publishes: Vec<Publish>, acknowledgements: Vec<Acknowledgement>) {
        for (publish, acknowledgement) in publishes.into_iter().zip(acknowledgements) {
            if publish.retention.is_some() {
                acknowledgement.tell(Err(PublishError::Unavailable));
                continue;
            }
            let publication = publish.publication.publish(None, self.clock.now_ms());
            self.deliver(std::iter::once((&publish.channel, Some(Arc::new(publication)))));
            acknowledgement.tell(Ok(crate::Published { position: None, duplicate: false }));
        }
    }

    /// Does what a fault asks for; `ends` say where the channels of a failed group ended before it.
    fn failed(&mut self, fault: Fault, ends: HashMap<ChannelName, u64>) {
        self.queue.count(|figures| figures.errors += 1);
        match fault {
            Fault::Full => tracing::error!("the disk of the history is full: publications are refused"),
            Fault::Record(channel, offset) => {
                tracing::error!("the history of {channel} has a bad record: it ends before {offset}");
                self.queue.count(|figures| figures.bad_records += 1);
                self.cut(&channel, offset - 1);
            }
            Fault::Unknown(error) => {
                tracing::error!("the history failed and is opened anew: {error}");
                self.unvouched.extend(ends);
                for (channel, end) in self.unsynced.drain() {
                    let before = self.unvouched.entry(channel).or_insert(end);
                    *before = end.min(*before);
                }
                self.give_up();
            }
            Fault::Damaged(error) => {
                tracing::error!("the history is damaged and is opened anew: {error}");
                self.unvouched.extend(ends);
                self.give_up();
                super::store::set_aside_in(&self.folder);
            }
        }
    }

    fn give_up(&mut self) {
        self.store = None;
        self.next_open = Instant::now() + REOPEN;
        self.queue.count(|figures| figures.is_open = false);
    }

    fn reopen(&mut self) {
        match Store::open(&self.folder, &self.config) {
            Ok(store) => self.store = Some(store),
            Err(error @ OpenError::Newer(_)) => return tracing::error!("{error}"),
            Err(error) => return tracing::warn!("the history does not open yet: {error}"),
        }
        for (channel, end) in std::mem::take(&mut self.unvouched) {
            self.cut(&channel, end);
        }
        if self.store.is_none() {
            return;
        }
        tracing::info!("the history is open again");
        self.queue.count(|figures| {
            figures.reopened += 1;
            figures.is_open = true;
        });
        // Where another file was begun, all positions are others.
        let subscribed: Vec<_> = self.subscribed.iter().cloned().collect();
        for channel in subscribed {
            if let Ok(position) = self.read(|store| store.position(&channel)) {
                self.interrupt(&channel, &position);
            }
        }
    }

    /// Begins another epoch of a channel behind an offset, or as soon as the store can.
    fn cut(&mut self, channel: &ChannelName, last: u64) {
        self.unvouched.insert(channel.clone(), last);
        if let Ok(position) = self.read(|store| store.cut(channel, last)) {
            self.unvouched.remove(channel);
            self.queue.count(|figures| figures.epoch_changes += 1);
            self.interrupt(channel, &position);
        } else if self.store.is_some() {
            // The disk is full, say. The channel must not go on in its old epoch, so nothing does for the moment.
            self.give_up();
        }
    }

    /// Gives each channel what a group has for it at once.
    fn deliver<'a>(&self, group: impl Iterator<Item = (&'a ChannelName, Option<Arc<Publication>>)>) {
        let Some(node) = self.node() else { return };
        let mut channels: HashMap<&ChannelName, Vec<Arc<Publication>>> = HashMap::new();
        for (channel, publication) in group {
            if let Some(publication) = publication {
                channels.entry(channel).or_default().push(publication);
            }
        }
        for (channel, publications) in channels {
            node.deliver(channel, &publications);
        }
    }

    fn interrupt(&self, channel: &ChannelName, position: &Position) {
        if let Some(node) = self.node() {
            node.interrupt(channel, position);
        }
    }

    fn node(&self) -> Option<Arc<dyn crate::Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|node| node.0.upgrade())
    }
}
