//! Channels with history, recovery and presence: publications -> the same bytes for all who subscribe.
//!
//! A [`Hub`] knows no wire protocol. How a publication is written is a [`Wire`]'s business, where it goes to an
//! [`Outlet`]'s, and who keeps it, and in which order, a [`Broker`]'s. Each channel belongs to a [`Namespace`], which
//! states its [`Contract`].
//!
//! ```
//! use std::sync::Arc;
//! use vaiven_hub::{ChannelName, Hub, HubConfig, LocalSubscriber, MemoryBroker, NewPublication, SubscribeOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::new(HubConfig::default(), Arc::new(MemoryBroker::new()));
//! let sala = ChannelName::parse("sala")?;
//!
//! let mut subscriber = LocalSubscriber::join(&hub, &sala, SubscribeOptions::default()).await?;
//! let published = hub.publish(&sala, NewPublication::json("\"hola\"")).await?;
//! assert_eq!(published.position.map(|position| position.offset), Some(1));
//!
//! let publication = subscriber.recv().await.expect("it is subscribed");
//! assert_eq!(publication.data.bytes(), "\"hola\"");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod broker;
mod channel;
mod channel_name;
mod clock;
mod config;
mod error;
mod figures;
mod hub;
mod idempotency;
mod keeper;
mod latest;
mod left;
mod local;
mod makers;
mod older;
mod outlet;
mod pattern;
mod presence;
mod publication;
mod publishing;
mod recent;
mod subscription;
mod turn;
mod wire;

/// The target of spans that are for traces, and not for logs.
pub const TRACE_TARGET: &str = "vaiven_trace";

pub use broker::{
    BoxFuture, Broker, BrokerError, DiskBroker, DiskConfig, Fsync, MemoryBroker, Node, OpenError, Publish,
    Retention, StoreError, StoreFigures,
};
pub use channel_name::{ChannelName, ChannelNameError};
pub use config::{Contract, HubConfig, Namespace};
pub use error::{HistoryError, PublishError, ReplayError, SubscribeError};
pub use figures::Figures;
pub use hub::{ChannelInfo, Hub};
pub use local::LocalSubscriber;
pub use makers::Maker;
pub use outlet::{Batch, Delivery, Ending, Event, Outlet, SenderOutlet};
pub use pattern::matches as matches_pattern;
pub use presence::{Member, Presence, PresenceChange};
pub use publication::{
    Data, Epoch, History, HistoryQuery, IdempotencyKey, NewPublication, Position, Publication, Published,
    Publisher,
};
pub use publishing::{Acknowledgement, Publishing};
pub use subscription::{SubscribeOptions, Subscription};
pub use wire::Wire;
