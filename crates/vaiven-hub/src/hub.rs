//! All channels of a process.

use crate::channel::{Channel, Common};
use crate::clock::Clock;
use crate::config::{Contract, HubConfig, Namespace};
use crate::figures::{Counters, Figures};
use crate::idempotency::Idempotency;
use crate::keeper;
use crate::left::Left;
use crate::makers::Makers;
use crate::outlet::Outlet;
use crate::pattern;
use crate::presence::Presence;
use crate::recent::WireId;
use crate::subscription::{Seat, SubscribeOptions, Subscription};
use crate::{
    Broker, ChannelName, History, HistoryError, HistoryQuery, Maker, NewPublication, Node, Position,
    Publication, Publish, PublishError, Published, Publishing, Retention, SubscribeError, Wire,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Maps that the channels are spread over, so that subscriptions to different ones seldom meet.
pub(crate) const SHARDS: usize = 64;
/// Publications that one request reads.
const MAX_HISTORY: usize = 300;
/// The longest key of a publication, in bytes.
const MAX_KEY_BYTES: usize = 255;
/// Channels that are looked at to make room for one more.
const MAX_TRIES: usize = 16;
/// Different wires of one hub.
const MAX_WIRES: usize = 32;

type Shard = HashMap<ChannelName, Arc<Channel>>;

/// All channels of a process. A clone is the same hub.
#[derive(Clone)]
pub struct Hub {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: HubConfig,
    namespaces: HashMap<String, Arc<Namespace>>,
    pub(crate) broker: Arc<dyn Broker>,
    shards: Box<[Mutex<Shard>]>,
    seed: u64,
    wires: Mutex<Vec<&'static dyn Wire>>,
    idempotency: Mutex<Idempotency>,
    makers: Mutex<Makers>,
    pub(crate) common: Arc<Common>,
    pub(crate) clock: Clock,
}

/// A channel that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name.
    pub name: ChannelName,
    /// Its subscriptions.
    pub subscribers: usize,
    /// Its members, where it has presence.
    pub members: usize,
}

impl Hub {
    /// A hub over a broker, which serves no other hub of this process.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(config: HubConfig, broker: Arc<dyn Broker>) -> Self {
        let counters = Arc::new(Counters::default());
        let recent_bytes = config.recent_bytes as u64;
        let common = Common {
            counters,
            runtime: Handle::current(),
            recent_bytes,
            rosters: Mutex::default(),
            left: Left::default(),
        };
        let namespaces =
            config.namespaces.iter().map(|(name, space)| (name.clone(), Arc::new(space.clone())));
        let shared = Arc::new(Shared {
            namespaces: namespaces.collect(),
            broker,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            seed: config.seed.unwrap_or_else(rand::random),
            wires: Mutex::default(),
            idempotency: Mutex::default(),
            makers: Mutex::new(Makers::new(config.max_channels_per_maker)),
            common: Arc::new(common),
            clock: Clock::starting(0),
            config,
        });
        let node: Arc<dyn Node> = Arc::clone(&shared) as _;
        shared.broker.attach(Arc::downgrade(&node));
        keeper::start(&shared);
        Self { shared }
    }

    /// What channels of this name promise.
    pub fn namespace(&self, channel: &ChannelName) -> Option<&Namespace> {
        self.shared.namespaces.get(channel.namespace()).map(|namespace| &**namespace)
    }

    /// Publishes. Publications that one caller begins one after the other keep this order, also when it does not wait for
    /// the first before it begins the second: the order is fixed by this call, not when its result is awaited.
    ///
    /// In a `reliable` channel nobody gets the publication, and it is not acknowledged, before the broker has kept it.
    ///
    /// # Errors
    /// The future gives a [`PublishError`]; then nobody was given the publication.
    pub fn publish(&self, channel: &ChannelName, publication: NewPublication) -> Publishing {
        let shared = &self.shared;
        match shared.prepare(channel, publication) {
            Ok(publish) => shared.hand_over(publish),
            Err(answer) => Publishing::ready(answer),
        }
    }

    /// Publishes several, in this order, to one channel or to many. Each has its own outcome.
    pub fn publish_many(
        &self,
        publications: Vec<(ChannelName, NewPublication)>,
    ) -> impl Future<Output = Vec<Result<Published, PublishError>>> + Send + use<> {
        let begun: Vec<_> = publications
            .into_iter()
            .map(|(channel, publication)| self.publish(&channel, publication))
            .collect();
        async move {
            let mut outcomes = Vec::with_capacity(begun.len());
            for publishing in begun {
                outcomes.push(publishing.await);
            }
            outcomes
        }
    }

    /// Subscribes to a channel. The subscription becomes live when what is to be replayed has been:
    /// see [`Subscription::replay`].
    ///
    /// # Errors
    /// [`SubscribeError`] says why there is none.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, there is no subscription.
    pub async fn subscribe(
        &self,
        channel: &ChannelName,
        options: SubscribeOptions,
        outlet: Arc<dyn Outlet>,
        wire: &'static dyn Wire,
    ) -> Result<Subscription, SubscribeError> {
        let shared = &self.shared;
        let seat = shared.reserve(channel)?;
        if seat.0.contract() == Contract::Reliable {
            let activate = async || {
                let position = shared.broker.subscribe(channel).await?;
                seat.0.begin(position);
                Ok(())
            };
            let active: Result<_, crate::BrokerError> = seat.0.active.get_or_try_init(activate).await;
            active.map_err(|_| SubscribeError::Unavailable)?;
        }
        let wire = shared.wire(wire);
        let grace = shared.config.presence_grace;
        Subscription::begin(seat, Arc::clone(&shared.broker), options, outlet, wire, grace).await
    }

    /// Reads a part of a `reliable` channel's history, at most 300 publications.
    ///
    /// # Errors
    /// [`HistoryError`] says why there is none.
    pub async fn history(
        &self,
        channel: &ChannelName,
        mut query: HistoryQuery,
    ) -> Result<History, HistoryError> {
        let namespace = self.namespace(channel).ok_or(HistoryError::UnknownNamespace)?;
        if namespace.contract != Contract::Reliable {
            return Err(HistoryError::NotKept);
        }
        query.limit = query.limit.min(MAX_HISTORY);
        self.shared.common.counters.history_reads.add(1);
        self.shared.broker.history(channel, query).await.map_err(|_| HistoryError::Unavailable)
    }

    /// Who is in a channel.
    ///
    /// # Errors
    /// [`HistoryError::NotKept`] where its namespace has no presence.
    pub fn presence(&self, channel: &ChannelName) -> Result<Presence, HistoryError> {
        let namespace = self.namespace(channel).ok_or(HistoryError::UnknownNamespace)?;
        if !namespace.presence {
            return Err(HistoryError::NotKept);
        }
        Ok(self.shared.find(channel).map(|channel| channel.lock().roster.presence()).unwrap_or_default())
    }

    /// Channels with subscribers whose names fit a pattern, in which `*` stands for any characters; at most so many, in
    /// no order.
    pub fn channels(&self, pattern: &str, limit: usize) -> Vec<ChannelInfo> {
        let mut found = Vec::new();
        for shard in &self.shared.shards {
            for (name, channel) in lock(shard).iter() {
                if found.len() >= limit {
                    return found;
                }
                let state = channel.lock();
                if state.seats > 0 && pattern::matches(pattern, name.as_str()) {
                    let members = state.roster.len();
                    found.push(ChannelInfo { name: name.clone(), subscribers: state.seats, members });
                }
            }
        }
        found
    }

    /// What was counted so far.
    pub fn figures(&self) -> Figures {
        self.shared.common.counters.figures()
    }
}

impl Shared {
    /// Checks a publication; or answers it at once.
    fn prepare(
        &self,
        channel: &ChannelName,
        publication: NewPublication,
    ) -> Result<Publish, Result<Published, PublishError>> {
        let namespace =
            self.namespaces.get(channel.namespace()).ok_or(Err(PublishError::UnknownNamespace))?;
        if publication.data.len() > namespace.max_data_bytes {
            return Err(Err(PublishError::TooLarge(namespace.max_data_bytes)));
        }
        if publication.key.as_ref().is_some_and(|key| key.len() > MAX_KEY_BYTES) {
            return Err(Err(PublishError::TooLarge(MAX_KEY_BYTES)));
        }
        if self.find(channel).is_some_and(|channel| channel.is_overfull()) {
            self.common.counters.busy.add(1);
            return Err(Err(PublishError::Busy));
        }
        let is_kept = namespace.contract == Contract::Reliable && !publication.ephemeral;
        if namespace.contract == Contract::Latest && !publication.ephemeral {
            let key = publication.key.as_deref().unwrap_or_default();
            if let Some(maker) = publication.maker
                && self.find(channel).is_none_or(|channel| channel.has_no_value())
                && !self.may_make(channel, maker, namespace.history_age)
            {
                return Err(Err(PublishError::TooManyNewChannels));
            }
            match self.with_channel(channel, |channel| channel.expect_value(key)) {
                Ok(true) => {}
                Ok(false) => return Err(Err(PublishError::TooManyKeys)),
                Err(_) => return Err(Err(PublishError::TooManyChannels)),
            }
        }
        let retention = is_kept.then(|| Retention {
            size: namespace.history_size,
            bytes: namespace.history_bytes,
            age: namespace.history_age,
            idempotency_window: self.config.idempotency_window,
        });
        Ok(Publish { channel: channel.clone(), publication, retention })
    }

    fn hand_over(&self, mut publish: Publish) -> Publishing {
        let channel = publish.channel.clone();
        let publishing = if publish.retention.is_some() {
            self.broker.publish(publish)
        } else if let Some(key) = publish.publication.idempotency.take() {
            let fingerprint = publish.publication.fingerprint();
            let config = &self.config;
            let mut known = lock(&self.idempotency);
            if let Some(answer) = known.find(&channel, &key, fingerprint, config.idempotency_window) {
                return Publishing::ready(answer);
            }
            known.insert(&channel, key, fingerprint, None, config.max_idempotency_keys);
            drop(known);
            self.broker.publish(publish)
        } else {
            self.broker.publish(publish)
        };
        let room = self.find(&channel).and_then(|channel| channel.room());
        publishing.counted(&self.common.counters).when_room(room)
    }

    pub(crate) fn shard(&self, channel: &ChannelName) -> MutexGuard<'_, Shard> {
        let hash = xxh3_64_with_seed(channel.as_str().as_bytes(), self.seed);
        let index = usize::try_from(hash % SHARDS as u64).expect("it is below SHARDS");
        lock(&self.shards[index])
    }

    pub(crate) fn shard_number(&self, number: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[number % SHARDS])
    }

    pub(crate) fn find(&self, channel: &ChannelName) -> Option<Arc<Channel>> {
        self.shard(channel).get(channel).cloned()
    }

    /// Keeps a place in a channel.
    fn reserve(&self, name: &ChannelName) -> Result<Seat, SubscribeError> {
        let max = self.config.max_subscribers;
        let take = |channel: &Arc<Channel>| channel.take_seat(max).then(|| Seat(Arc::clone(channel)));
        self.with_channel(name, take)?.ok_or(SubscribeError::TooManySubscribers)
    }

    /// Does something with a channel, which is made when it is not known, before it can be forgotten.
    fn with_channel<T>(
        &self,
        name: &ChannelName,
        act: impl FnOnce(&Arc<Channel>) -> T,
    ) -> Result<T, SubscribeError> {
        let namespace = self.namespaces.get(name.namespace()).ok_or(SubscribeError::UnknownNamespace)?;
        let channels = &self.common.counters.channels;
        let mut shard = self.shard(name);
        if let Some(channel) = shard.get(name) {
            return Ok(act(channel));
        }
        if !channels.add_below(self.config.max_channels as u64) {
            // No two shards are locked at a time, so the channel may be there afterwards.
            drop(shard);
            if !self.take_place_of_an_empty_one() {
                return Err(SubscribeError::TooManyChannels);
            }
            shard = self.shard(name);
            if let Some(channel) = shard.get(name) {
                channels.sub(1);
                return Ok(act(channel));
            }
        }
        let channel = Channel::new(name.clone(), Arc::clone(namespace), Arc::clone(&self.common));
        shard.insert(name.clone(), Arc::clone(&channel));
        Ok(act(&channel))
    }

    /// Forgets a channel that nobody is subscribed to. It still counts, for the one that comes in its place.
    fn take_place_of_an_empty_one(&self) -> bool {
        self.common.left.first(MAX_TRIES).iter().any(|name| {
            let mut shard = self.shard(name);
            let is_free = shard.get(name).is_some_and(|channel| channel.give_up());
            if is_free
                && let Some(channel) = shard.remove(name)
                && channel.contract() == Contract::Reliable
            {
                self.broker.unsubscribe(name);
            }
            is_free
        })
    }

    /// The number of a wire, which it is given when it is seen first.
    fn wire(&self, wire: &'static dyn Wire) -> WireId {
        let mut wires = lock(&self.wires);
        let at = wires.iter().position(|known| known.name() == wire.name()).unwrap_or_else(|| {
            assert!(wires.len() < MAX_WIRES, "a hub has at most {MAX_WIRES} wires");
            wires.push(wire);
            wires.len() - 1
        });
        WireId { number: u8::try_from(at).expect("it is below MAX_WIRES"), wire }
    }
}

impl Node for Shared {
    fn deliver(&self, channel: &ChannelName, publications: &[Arc<Publication>]) {
        if let Some(channel) = self.find(channel) {
            channel.deliver(publications);
        }
    }

    fn interrupt(&self, channel: &ChannelName, position: &Position) {
        if let Some(channel) = self.find(channel) {
            channel.interrupt(position);
        }
    }

    fn may_make(&self, channel: &ChannelName, maker: Maker, age: Duration) -> bool {
        lock(&self.makers).take(maker, channel, age, self.clock.now_ms())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("figures", &self.figures()).finish_non_exhaustive()
    }
}
