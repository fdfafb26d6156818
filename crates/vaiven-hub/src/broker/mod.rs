//! Who keeps publications, in which order, and carries them to the nodes that have subscribers.

mod disk;
mod memory;

pub use disk::{DiskBroker, DiskConfig, Fsync, OpenError, StoreError, StoreFigures};
pub use memory::MemoryBroker;

use crate::{ChannelName, History, HistoryQuery, Maker, NewPublication, Position, Publication, Publishing};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A future behind a pointer, for a trait that is used behind one.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps publications, gives them their order, and delivers them to [`Node`]s.
///
/// For each channel there is one order: that of the offsets. A node gets what follows the position that `subscribe`
/// gave, in this order and without a gap.
pub trait Broker: Send + Sync + fmt::Debug {
    /// Says whom to deliver to. A broker inside of the process serves one node.
    fn attach(&self, node: Weak<dyn Node>);

    /// Publishes. The order is that of the calls; the outcome comes when the publication is kept, and a node may get it
    /// just before. What is not kept is delivered once and acknowledged at once, but never before what the same
    /// channel was given earlier.
    fn publish(&self, publish: Publish) -> Publishing;

    /// Begins to deliver what is published to the channel, and gives the position after which that is.
    fn subscribe<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Position, BrokerError>>;

    /// Ends what `subscribe` began.
    fn unsubscribe(&self, channel: &ChannelName);

    /// Reads a part of a channel's history.
    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<History, BrokerError>>;
}

/// What a broker delivers to: the hub. Called in the channel's order; it never waits.
pub trait Node: Send + Sync {
    /// Somebody published, once or several times. What is given together reaches each subscriber with one write.
    fn deliver(&self, channel: &ChannelName, publications: &[Arc<Publication>]);

    /// The channel goes on after this position, with which those who have listened so far have nothing to do.
    fn interrupt(&self, channel: &ChannelName, position: &Position);

    /// Counts a channel that is about to be made, as nothing was published to it before, and keeps what is for so long.
    /// `false` where this maker may make no more for now.
    fn may_make(&self, channel: &ChannelName, maker: Maker, age: Duration) -> bool;
}

/// A publication for a broker.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where to.
    pub channel: ChannelName,
    /// What.
    pub publication: NewPublication,
    /// How long it is kept; `None` when it is only for those who listen now.
    pub retention: Option<Retention>,
}

/// How much of a channel is kept. The first bound that is reached counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Publications.
    pub size: usize,
    /// Bytes.
    pub bytes: usize,
    /// Age.
    pub age: Duration,
    /// How long an idempotency key is known.
    pub idempotency_window: Duration,
}

/// The store or the broker did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerError;

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store or the broker does not answer")
    }
}

impl std::error::Error for BrokerError {}
