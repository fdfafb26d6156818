//! An event to many sockets.

use super::ack::{Acks, Waiter};
use super::adapter::{Adapter, Delivery, Target};
use super::{EmitError, Socket};
use crate::packet::Arguments;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use vaiven::Compress;

/// Sockets of a namespace: all of them, or those in some rooms and not in others. The id of a socket is a room with that
/// socket in it.
///
/// What is sent to them is encoded and framed once, and written from here, without a wake-up of their tasks.
///
/// ```
/// # fn example(io: &vaiven_socketio::Io) -> Result<(), vaiven_socketio::EmitError> {
/// io.to("lobby").except("muted").emit("said", "hola")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `emit` is called"]
pub struct Broadcast {
    adapter: Arc<Adapter>,
    target: Target,
    delivery: Delivery,
    timeout: Option<Duration>,
}

impl Broadcast {
    pub(super) fn new(adapter: Arc<Adapter>) -> Self {
        Self { adapter, target: Target::default(), delivery: Delivery::default(), timeout: None }
    }

    /// Those in this room, and in the rooms that were named before. Each socket is meant once.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        self.target.rooms.push(room.as_ref().into());
        self
    }

    /// Not those in this room.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.target.except.push(room.as_ref().into());
        self
    }

    /// Only those that take it at once: for events that are better lost than late.
    pub fn volatile(mut self) -> Self {
        self.delivery.is_volatile = true;
        self
    }

    /// Compressed, or not, whatever the settings say. Without permessage-deflate it changes nothing.
    pub fn compress(mut self, compress: Compress) -> Self {
        self.delivery.compress = compress;
        self
    }

    /// How long acknowledgements are awaited, if not for [`ack_timeout`](super::IoConfig::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event. All sockets of a namespace get such events in the same order. Those whose outbox is full are ended.
    ///
    /// # Errors
    /// [`EmitError::Encode`] and [`EmitError::ReservedEvent`]: nothing was sent.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn emit(self, event: &str, arguments: impl Arguments) -> Result<(), EmitError> {
        self.adapter.emit(self.target, self.delivery, event, &arguments)
    }

    /// Sends an event that each client is to acknowledge.
    ///
    /// # Errors
    /// As [`emit`](Self::emit). Sockets with too many acknowledgements under way are left out.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn emit_with_ack(self, event: &str, arguments: impl Arguments) -> Result<Acks, EmitError> {
        let (waiter, answers) = mpsc::unbounded_channel();
        let max = self.adapter.config().max_pending_acks;
        let mut sockets = Vec::new();
        let id =
            self.adapter.emit_with_ack(&self.target, self.delivery, event, &arguments, |id, socket| {
                let expected = socket.pending().add(id, Waiter::Many(waiter.clone()), max);
                if expected {
                    sockets.push(socket.clone());
                }
                expected
            })?;
        let timeout = self.timeout.unwrap_or(self.adapter.config().ack_timeout);
        Ok(Acks::new(id, sockets, answers, timeout))
    }

    /// The sockets that are meant.
    pub fn sockets(&self) -> Vec<Socket> {
        self.adapter.select(&self.target)
    }

    /// Lets them join a room.
    pub fn join(&self, room: impl AsRef<str>) {
        self.sockets().iter().for_each(|socket| socket.join(room.as_ref()));
    }

    /// Lets them leave a room.
    pub fn leave(&self, room: impl AsRef<str>) {
        self.sockets().iter().for_each(|socket| socket.leave(room.as_ref()));
    }

    /// Sends them away from the namespace.
    pub fn disconnect(&self) {
        self.sockets().iter().for_each(Socket::disconnect);
    }
}
