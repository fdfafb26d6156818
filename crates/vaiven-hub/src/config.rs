//! What a hub promises and how much it may hold.

use std::collections::HashMap;
use std::time::Duration;

/// What a channel promises to those who subscribe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contract {
    /// Every publication, in order, kept before it is acknowledged, and replayed to who comes back.
    #[default]
    Reliable,
    /// The newest publication of each key, and never a backlog.
    Latest,
    /// What is published, to those who listen at that moment.
    Volatile,
}

/// What all channels have in common whose names begin with the same word and a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// What its channels promise. Default: [`Contract::Reliable`], which surprises nobody.
    pub contract: Contract,
    /// Publications that a `reliable` channel keeps. Default: 1,000, three times what one request may read.
    pub history_size: usize,
    /// How long they are kept, and how long a `latest` channel knows a value. Default: 24 hours, for a client that
    /// comes back the next morning.
    pub history_age: Duration,
    /// Bytes of data, keys and names of publishers that a `reliable` channel keeps. Default: 4 MiB.
    pub history_bytes: usize,
    /// Whether its channels know who is there. Default: yes.
    pub presence: bool,
    /// The longest data of one publication, in bytes. Default: 64 KiB, as the longest message of the server.
    pub max_data_bytes: usize,
    /// Keys of a `latest` channel, removed ones included. Default: 10,000.
    pub max_keys: usize,
}

impl Namespace {
    /// The defaults with another contract.
    pub fn new(contract: Contract) -> Self {
        Self {
            contract,
            history_size: 1_000,
            history_age: Duration::from_hours(24),
            history_bytes: 4 << 20,
            presence: true,
            max_data_bytes: 64 << 10,
            max_keys: 10_000,
        }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new(Contract::default())
    }
}

/// Settings of a [`Hub`](crate::Hub).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// Namespaces by name; the one without a name is for channels without a colon. Default: that one alone, with the
    /// defaults of [`Namespace`].
    pub namespaces: HashMap<String, Namespace>,
    /// Channels that are known at a time: those with subscribers, those that had some a minute ago, and `latest` ones
    /// with values. Where there are as many, those without subscribers and values are forgotten at once, the one that was
    /// left first in front. Default: 100,000.
    pub max_channels: usize,
    /// Channels that one [`Maker`](crate::Maker) may make, in each namespace, in the time for which its channels keep what
    /// is published: those that nothing was published to before. Default: 1,000, the hundredth part of all.
    pub max_channels_per_maker: usize,
    /// Subscribers of one channel. Default: 100,000.
    pub max_subscribers: usize,
    /// Bytes of publications and of their encoded forms that are kept in memory for those who come back, in all.
    /// Default: 64 MiB.
    pub recent_bytes: usize,
    /// How long an idempotency key is known. Default: 5 minutes, several tries of a client that reconnects.
    pub idempotency_window: Duration,
    /// Idempotency keys of publications that are not kept, which are known in memory. Default: 100,000.
    pub max_idempotency_keys: usize,
    /// How long a member whose connection was lost stays. Default: 10 s.
    pub presence_grace: Duration,
    /// Which part of the channels one is kept with. Default: drawn at random, so that nobody can choose names that
    /// come together; a simulation gives it, to be the same each time it runs.
    pub seed: Option<u64>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            namespaces: HashMap::from([(String::new(), Namespace::default())]),
            max_channels: 100_000,
            max_channels_per_maker: 1_000,
            max_subscribers: 100_000,
            recent_bytes: 64 << 20,
            idempotency_window: Duration::from_mins(5),
            max_idempotency_keys: 100_000,
            presence_grace: Duration::from_secs(10),
            seed: None,
        }
    }
}

impl HubConfig {
    /// Adds a namespace, or replaces the one of this name.
    #[must_use]
    pub fn with_namespace(mut self, name: impl Into<String>, namespace: Namespace) -> Self {
        self.namespaces.insert(name.into(), namespace);
        self
    }
}
