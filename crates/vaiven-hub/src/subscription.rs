//! A subscription: what is to be replayed, piece by piece, and then what is published from now on.

use crate::channel::Channel;
use crate::config::Contract;
use crate::outlet::{Batch, Outlet};
use crate::presence::Member;
use crate::recent::{Entry, WireId, batch, piece_len};
use crate::{Broker, ReplayError, SubscribeError};
use crate::{HistoryQuery, Position};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a subscriber wants.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// What was published after this position is replayed.
    pub since: Option<Position>,
    /// How many of the latest publications are replayed where `since` is not given or cannot be honoured.
    pub last: usize,
    /// Who subscribes, for the others to see, where the channel's namespace has presence.
    pub member: Option<Member>,
    /// Whether the subscriber is told who comes and goes.
    pub watch_presence: bool,
}

/// A part in a channel. It is not live yet: first [`replay`](Self::replay) is to be called until it gives nothing more.
///
/// Dropped, it is as if the connection had been lost: its member stays for the grace time. [`leave`](Self::leave) ends
/// it on purpose.
pub struct Subscription {
    seat: Seat,
    broker: Arc<dyn Broker>,
    outlet: Arc<dyn Outlet>,
    wire: WireId,
    watches: bool,
    member: Option<Arc<str>>,
    grace: Duration,
    start: Start,
    /// Up to where it was replayed.
    cursor: u64,
    /// Removed keys up to this version are of no interest to it: it never knew them.
    ignores_removed: u64,
    /// Its key among the channel's members, once it is live.
    live: Option<usize>,
}

/// Where a subscription begins.
#[derive(Clone, Debug, Default)]
struct Start {
    position: Option<Position>,
    recovered: Option<bool>,
    missed: u64,
}

/// A place in a channel. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Seat(pub(crate) Arc<Channel>);

/// What a replay does next.
enum Step {
    Give(Vec<Arc<Entry>>, u64),
    Read(Position, u64),
    Live,
}

impl Subscription {
    pub(crate) async fn begin(
        seat: Seat,
        broker: Arc<dyn Broker>,
        options: SubscribeOptions,
        outlet: Arc<dyn Outlet>,
        wire: WireId,
        grace: Duration,
    ) -> Result<Self, SubscribeError> {
        let SubscribeOptions { since, last, member, watch_presence } = options;
        let channel = Arc::clone(&seat.0);
        let start = match channel.contract() {
            Contract::Reliable => Start::find(&channel, &*broker, since, last).await?,
            Contract::Latest | Contract::Volatile => Start::default(),
        };
        let cursor = start.position.as_ref().map_or(0, |position| position.offset);
        let member = member.filter(|_| channel.namespace.presence);
        let client = member.as_ref().map(|member| Arc::clone(&member.client));
        let ignores_removed = channel.lock().taken;
        let watches = watch_presence && channel.namespace.presence;
        let mut subscription = Self {
            seat,
            broker,
            outlet,
            wire,
            watches,
            member: None,
            grace,
            start,
            cursor,
            ignores_removed,
            live: None,
        };
        if let Some(member) = member {
            channel.join(member);
            subscription.member = client;
        }
        Ok(subscription)
    }

    /// What the channel promises.
    pub fn contract(&self) -> Contract {
        self.seat.0.contract()
    }

    /// The position after which publications follow, in a `reliable` channel.
    pub fn position(&self) -> Option<&Position> {
        self.start.position.as_ref()
    }

    /// Whether everything after `since` follows, where `since` was given in a `reliable` channel.
    pub fn recovered(&self) -> Option<bool> {
        self.start.recovered
    }

    /// How many publications after the position there were when the subscription began.
    pub fn missed(&self) -> u64 {
        self.start.missed
    }

    /// Whether everything was replayed and the outlet is given what is published.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The next piece of what is to be replayed: at most 512 messages or about 256 KiB, or one message that is longer.
    /// The caller gives it to the outlet's other end, in its own time, before it asks again. `None` says that there was
    /// nothing left, and that from this moment on the outlet is given what is published: without a gap, without doubles,
    /// in order, whatever is published meanwhile.
    ///
    /// # Errors
    /// [`ReplayError`]: the subscription is of no more use.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost: the next call gives the same piece.
    pub async fn replay(&mut self) -> Result<Option<Batch>, ReplayError> {
        let channel = Arc::clone(&self.seat.0);
        if self.live.is_some() {
            return Ok(None);
        }
        loop {
            let entries = match self.step()? {
                Step::Live => return Ok(None),
                Step::Give(entries, reached) => {
                    self.cursor = reached;
                    entries
                }
                Step::Read(after, to) => {
                    let entries = read(&channel, &*self.broker, &after, to).await?;
                    self.cursor = entries.last().and_then(|entry| entry.offset()).unwrap_or(self.cursor);
                    entries
                }
            };
            if entries.is_empty() {
                continue;
            }
            channel.counters().replayed.add(entries.len() as u64);
            return Ok(Some(batch(&channel.name, self.wire, entries.iter(), channel.counters())));
        }
    }

    fn step(&mut self) -> Result<Step, ReplayError> {
        let channel = &self.seat.0;
        let mut state = channel.lock();
        if let Some(position) = &self.start.position
            && state.recent.head.as_ref().is_none_or(|head| head.epoch != position.epoch)
        {
            return Err(ReplayError::Lost);
        }
        if channel.contract() == Contract::Volatile || self.cursor >= state.taken {
            let key = state.insert(Arc::clone(&self.outlet), self.wire, self.watches, self.cursor);
            self.live = Some(key);
            return Ok(Step::Live);
        }
        if channel.contract() == Contract::Latest {
            let (mut entries, reached) = state.latest.piece(self.cursor, state.taken);
            if reached <= self.ignores_removed {
                entries.retain(|entry| !crate::latest::is_removed(entry));
            }
            return Ok(Step::Give(entries, reached));
        }
        if self.cursor + 1 < state.recent.first() {
            let after = self.start.position.as_ref().expect("a reliable channel has one").at(self.cursor);
            return Ok(Step::Read(after, state.taken));
        }
        let range = || state.recent.range(self.cursor, state.taken);
        let entries: Vec<_> = range().take(piece_len(range())).cloned().collect();
        let reached = self.cursor + entries.len() as u64;
        Ok(Step::Give(entries, reached))
    }

    /// Ends the subscription on purpose: its member leaves at once.
    pub fn leave(mut self) {
        self.grace = Duration::ZERO;
    }
}

/// Reads what comes after a position, up to an offset, as one piece.
async fn read(
    channel: &Channel,
    broker: &dyn Broker,
    after: &Position,
    to: u64,
) -> Result<Vec<Arc<Entry>>, ReplayError> {
    let counters = &channel.common.counters;
    let block = channel.older.after(broker, &channel.name, after, counters).await;
    let block = block.map_err(|_| ReplayError::Unavailable)?;
    let is_wanted = |entry: &&Arc<Entry>| entry.offset().is_some_and(|at| at > after.offset && at <= to);
    let wanted = || block.entries.iter().filter(is_wanted);
    let entries: Vec<_> = wanted().take(piece_len(wanted())).cloned().collect();
    let is_next = entries.first().is_some_and(|entry| {
        let position = entry.publication().and_then(|publication| publication.position.as_ref());
        position == Some(&after.at(after.offset + 1))
    });
    if is_next { Ok(entries) } else { Err(ReplayError::Lost) }
}

impl Start {
    async fn find(
        channel: &Channel,
        broker: &dyn Broker,
        since: Option<Position>,
        last: usize,
    ) -> Result<Self, SubscribeError> {
        let head = channel.lock().recent.head.clone().ok_or(SubscribeError::Unavailable)?;
        if let Some(since) =
            since.clone().filter(|since| since.epoch == head.epoch && since.offset <= head.offset)
        {
            let is_kept = since.offset == head.offset || has_next(channel, broker, &since, &head).await?;
            if is_kept {
                channel.counters().recovered.add(1);
                let missed = head.offset - since.offset;
                return Ok(Self { position: Some(since), recovered: Some(true), missed });
            }
        }
        if since.is_some() {
            channel.counters().unrecoverable.add(1);
        }
        let wanted = head.at(head.offset.saturating_sub(last as u64));
        let offset = if wanted.offset == head.offset || has_next(channel, broker, &wanted, &head).await? {
            wanted.offset
        } else {
            // The history does not reach back so far: it is asked how far it does.
            channel.counters().history_reads.add(1);
            let query = HistoryQuery { since: Some(head.at(head.offset + 1)), limit: last, reverse: true };
            let history =
                broker.history(&channel.name, query).await.map_err(|_| SubscribeError::Unavailable)?;
            let oldest = history.publications.last().and_then(|oldest| oldest.position.clone());
            oldest.filter(|oldest| oldest.epoch == head.epoch).map_or(head.offset, |oldest| oldest.offset - 1)
        };
        let recovered = since.map(|_| false);
        Ok(Self { missed: head.offset - offset, position: Some(head.at(offset)), recovered })
    }
}

/// Whether the publication after this position is kept.
async fn has_next(
    channel: &Channel,
    broker: &dyn Broker,
    position: &Position,
    head: &Position,
) -> Result<bool, SubscribeError> {
    if position.offset + 1 >= channel.lock().recent.first() {
        return Ok(true);
    }
    match read(channel, broker, position, head.offset).await {
        Ok(_) => Ok(true),
        Err(ReplayError::Lost) => Ok(false),
        Err(ReplayError::Unavailable) => Err(SubscribeError::Unavailable),
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let channel = &self.seat.0;
        let outlet = self.live.map(|key| channel.lock().members.remove(key));
        drop(outlet);
        if let Some(client) = self.member.take() {
            channel.depart(&client, self.grace);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.leave_seat();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("channel", &self.seat.0.name)
            .field("start", &self.start)
            .field("is_live", &self.is_live())
            .finish_non_exhaustive()
    }
}
