//! The way of a channel to a member over Socket.IO.

use vaiven_hub::{Batch, ChannelName, Delivery, Ending, Outlet};
use vaiven_socketio::DisconnectReason;
use vaiven_socketio::engine::SendError;

/// The way to a member, whatever its transport is at the moment.
#[derive(Debug)]
pub(super) struct EventOutlet(pub(super) vaiven_socketio::Outlet);

impl EventOutlet {
    /// Gives the member a piece of a replay as soon as there is room for all of it; false where it is gone.
    pub(super) async fn say_batch(&self, batch: &Batch) -> bool {
        loop {
            match self.try_deliver(batch) {
                Delivery::Taken => return true,
                Delivery::Full => self.0.flush().await,
                Delivery::Gone => return false,
            }
        }
    }
}

impl Outlet for EventOutlet {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        if batch.frames().messages().is_empty() {
            return Delivery::Taken;
        }
        match self.0.try_send_packets(batch.frames()) {
            Ok(()) => Delivery::Taken,
            Err(SendError::Full) => Delivery::Full,
            Err(SendError::Closed) => Delivery::Gone,
        }
    }

    fn is_idle(&self) -> bool {
        self.0.is_writable()
    }

    fn end(&self, _: &ChannelName, ending: Ending) {
        // The client comes back by itself, and says where it stands.
        self.0.end(match ending {
            Ending::SlowConsumer => DisconnectReason::OutboxFull,
            _ => DisconnectReason::ForcedServerClose,
        });
    }
}
