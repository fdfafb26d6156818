//! Where a subscriber's messages go, without waiting.

use crate::{ChannelName, PresenceChange, Publication};
use std::fmt;
use std::sync::Arc;
use vaiven::{CloseCode, CloseFrame, PreparedBatch, Sender};

/// Something that happened in a channel.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody published.
    Publication(Arc<Publication>),
    /// Somebody came or left.
    Presence(Arc<PresenceChange>),
}

/// What a subscriber is given at once: the same for all who share a [`Wire`](crate::Wire).
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) channel: ChannelName,
    pub(crate) events: Vec<Event>,
    pub(crate) frames: PreparedBatch,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken as a whole.
    Taken,
    /// There is no room; nothing was taken.
    Full,
    /// Nobody is there any more.
    Gone,
}

/// Why a subscriber gets nothing more. In each case it may come back with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It reads more slowly than the channel talks.
    SlowConsumer,
    /// The channel goes on in another epoch, or with a gap.
    Lost,
    /// A fault of the server kept something from it.
    Fault,
}

/// Where a subscriber's messages go. Called from the channel's turn: it must neither wait nor take long.
pub trait Outlet: Send + Sync + fmt::Debug {
    /// Takes all or nothing.
    fn try_deliver(&self, batch: &Batch) -> Delivery;

    /// Whether nothing waits to be sent: a `latest` channel then gives what is newest.
    fn is_idle(&self) -> bool;

    /// The channel gives nothing more to this subscriber, which is to be invited back.
    fn end(&self, channel: &ChannelName, ending: Ending);
}

/// Messages straight to a WebSocket. Ended, it begins the closing handshake with 1013.
#[derive(Debug)]
pub struct SenderOutlet(Sender);

impl Batch {
    /// The channel that it is of.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// What happened, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The same, as the subscriber's wire writes it.
    pub fn frames(&self) -> &PreparedBatch {
        &self.frames
    }
}

impl SenderOutlet {
    /// An outlet for this connection.
    pub fn new(sender: Sender) -> Arc<Self> {
        Arc::new(Self(sender))
    }
}

impl Outlet for SenderOutlet {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        if batch.frames.messages().is_empty() || self.0.try_send_batch(&batch.frames) {
            Delivery::Taken
        } else if self.0.is_open() {
            Delivery::Full
        } else {
            Delivery::Gone
        }
    }

    fn is_idle(&self) -> bool {
        self.0.buffered_amount() == 0
    }

    fn end(&self, _channel: &ChannelName, ending: Ending) {
        self.0.close(Some(&CloseFrame::new(CloseCode::TRY_AGAIN, ending.reason())));
    }
}

impl Ending {
    /// A sentence for the one who is ended.
    pub fn reason(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow consumer: the outbox is full; reconnect to go on",
            Self::Lost => "the channel's history was interrupted; reconnect to go on",
            Self::Fault => "a fault of the server; reconnect to go on",
        }
    }
}
