//! What is published, and where it stands in its channel.

use crate::Maker;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// The content of a publication.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// One JSON value, which the caller has validated.
    Json(Bytes),
    /// Bytes of any kind.
    Binary(Bytes),
}

/// Within an epoch the offsets of a channel have no gap. It changes when nobody can vouch for the continuation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Epoch(Arc<str>);

/// A place in a `reliable` channel: after the publication with this offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// In which count.
    pub epoch: Epoch,
    /// 1 for the first publication; 0 is the place before it.
    pub offset: u64,
}

/// Who published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The name under which others know the client.
    pub client: Arc<str>,
    /// The user, if the client has shown to be one.
    pub user: Option<Arc<str>>,
}

/// One message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its place, in a `reliable` channel, unless it was ephemeral.
    pub position: Option<Position>,
    /// Its content.
    pub data: Data,
    /// What it updates, in a `latest` channel.
    pub key: Option<Arc<str>>,
    /// Whether it takes the key away.
    pub removed: bool,
    /// Whether it was for those who listen at that moment alone.
    pub ephemeral: bool,
    /// Who published it, unless a program of the operator's did.
    pub publisher: Option<Publisher>,
    /// When it was published, by the server's clock, in milliseconds since 1970.
    pub time: u64,
}

/// A name under which a publication is kept once, however often it is sent within the window. It counts within its
/// channel. At most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

/// A publication on its way.
#[derive(Clone, Debug)]
pub struct NewPublication {
    /// Its content.
    pub data: Data,
    /// What it updates, in a `latest` channel: at most 255 bytes. Without one it updates the key `""`.
    pub key: Option<Arc<str>>,
    /// Whether it takes the key away.
    pub remove: bool,
    /// Whether it is for those who listen now and is not kept.
    pub ephemeral: bool,
    /// Who publishes.
    pub publisher: Option<Publisher>,
    /// With whose channels the channel counts if it has to be made; `None` where that is not bounded.
    pub maker: Option<Maker>,
    /// Under which name it is kept once.
    pub idempotency: Option<IdempotencyKey>,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place, where it was kept in a history.
    pub position: Option<Position>,
    /// Whether it had been published before under the same idempotency key; nothing was published now.
    pub duplicate: bool,
}

/// Which part of a history is wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// After this position, or before it where `reverse` is set. Without one, or with one of another epoch, from the
    /// beginning, or from the end.
    pub since: Option<Position>,
    /// At most this many publications.
    pub limit: usize,
    /// Newest first.
    pub reverse: bool,
}

/// A part of a history.
#[derive(Clone, Debug)]
pub struct History {
    /// The place behind the newest publication of the channel.
    pub position: Position,
    /// In the order that was asked for.
    pub publications: Vec<Arc<Publication>>,
    /// Whether there are more in this direction.
    pub more: bool,
}

impl Data {
    /// The bytes of either kind.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
}

impl Epoch {
    /// An epoch of this name, as a store or a client knows it.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// An epoch that never was.
    pub fn random() -> Self {
        Self(format!("{:012x}", rand::random::<u64>() >> 16).into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Position {
    /// The same count, at another offset.
    #[must_use]
    pub fn at(&self, offset: u64) -> Self {
        Self { epoch: self.epoch.clone(), offset }
    }
}

impl Publication {
    /// Bytes that it takes, about, in a history or in memory.
    pub fn cost(&self) -> usize {
        let publisher = self.publisher.as_ref();
        let names = publisher.map_or(0, |by| by.client.len() + by.user.as_ref().map_or(0, |user| user.len()));
        128 + self.data.len() + self.key.as_ref().map_or(0, |key| key.len()) + names
    }
}

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// A key; `None` when it is empty or too long.
    pub fn new(key: &str) -> Option<Self> {
        (!key.is_empty() && key.len() <= Self::MAX_BYTES).then(|| Self(key.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NewPublication {
    /// A publication of this content and nothing else.
    pub fn new(data: Data) -> Self {
        Self {
            data,
            key: None,
            remove: false,
            ephemeral: false,
            publisher: None,
            maker: None,
            idempotency: None,
        }
    }

    /// One of JSON, which must be one valid value.
    pub fn json(value: impl Into<Bytes>) -> Self {
        Self::new(Data::Json(value.into()))
    }

    /// One of bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::new(Data::Binary(bytes.into()))
    }

    /// What tells two publications under the same idempotency key apart. The same in every run.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        let kind = u8::from(matches!(self.data, Data::Json(_)))
            | u8::from(self.remove) << 1
            | u8::from(self.ephemeral) << 2;
        hash.update(&[kind, u8::from(self.key.is_some())]);
        let key = self.key.as_deref().unwrap_or_default();
        hash.update(&(key.len() as u64).to_le_bytes());
        hash.update(key.as_bytes());
        hash.update(self.data.bytes());
        hash.digest()
    }

    /// The publication, once its place and time are known.
    pub fn publish(self, position: Option<Position>, time: u64) -> Publication {
        let Self { data, key, remove, ephemeral, publisher, maker: _, idempotency: _ } = self;
        Publication { position, data, key, removed: remove, ephemeral, publisher, time }
    }
}

impl fmt::Debug for Data {
    /// Kind and length only: payloads stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Json(_)) { "Json" } else { "Binary" };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
