//! How a protocol writes what a channel says.

use crate::{ChannelName, PresenceChange, Publication};
use std::fmt;
use vaiven::Message;

/// How a protocol writes what a channel says. Each event is written once for all subscribers of the same wire.
pub trait Wire: Send + Sync + fmt::Debug {
    /// What tells it from the other wires of a hub.
    fn name(&self) -> &'static str;

    /// The messages that a publication is, in order; none where the protocol has no word for it.
    fn publication(&self, channel: &ChannelName, publication: &Publication) -> Vec<Message>;

    /// Those that a change of who is there is, for those who asked.
    fn presence(&self, channel: &ChannelName, change: &PresenceChange) -> Vec<Message>;
}
