//! The way to one socket for whoever frames packets himself.

use super::{DisconnectReason, Socket};
use crate::engine::{PreparedMessages, SendError};
use crate::packet::Parser;

/// The way to one socket for whoever has packets that were encoded and framed before, for many sockets: neither rooms
/// nor recovery see what goes this way. Clones lead to the same socket; none of them keeps it.
///
/// ```
/// use vaiven_socketio::engine::PreparedMessages;
/// use vaiven_socketio::packet::{Encoded, Parser};
/// use vaiven_socketio::{Namespace, Socket};
///
/// let namespace = Namespace::new().on_connect(async |socket: Socket| {
///     let outlet = socket.outlet();
///     let event = Encoded::event(outlet.parser(), "/", None, "price", &42, None)?;
///     let framed = PreparedMessages::new(event.messages());
///     // The same `framed` goes to as many outlets as there are.
///     outlet.try_send(&framed).map_err(|error| error.to_string())?;
///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// });
/// # let _ = namespace;
/// ```
#[derive(Clone, Debug)]
pub struct Outlet(Socket);

impl Outlet {
    pub(super) fn new(socket: Socket) -> Self {
        Self(socket)
    }

    /// The socket that it leads to.
    pub fn socket(&self) -> &Socket {
        &self.0
    }

    /// How packets for this socket must be written.
    pub fn parser(&self) -> Parser {
        self.0.parser()
    }

    /// Queues packets, all or none, behind everything else that was sent to this socket. A full outbox is the caller's to
    /// judge: the connection goes on.
    ///
    /// # Errors
    /// [`SendError`]: nothing was taken.
    pub fn try_send(&self, packets: &PreparedMessages) -> Result<(), SendError> {
        if !self.0.is_connected() {
            return Err(SendError::Closed);
        }
        self.0.client().sender().try_send_prepared(packets)
    }

    /// Whether what is sent now is taken by the transport at once.
    pub fn is_writable(&self) -> bool {
        self.0.is_connected() && self.0.client().sender().is_writable()
    }

    /// Ends the connection, with a reason after which the client may come back and recover what it missed.
    pub fn end(&self, reason: DisconnectReason) {
        self.0.client().end(reason);
    }
}
