//! Sending to a session, whatever its transport is at the moment.

use super::packet;
use super::session::Session;
use super::{EndReason, Handshake, Transport};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use vaiven::{Compress, Message, Prepared, PreparedBatch, Sender, TrySendError};

/// Sends to a session, from any task. Clones send to the same session; none of them keeps it open.
#[derive(Clone)]
pub struct EngineSender {
    session: Arc<Session>,
}

/// Why messages were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendError {
    /// `outbox_bytes` wait for the client already.
    Full,
    /// The session is over.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full: the client takes messages more slowly than they are sent",
            Self::Closed => "the session is over and takes no more messages",
        })
    }
}

impl std::error::Error for SendError {}

/// Messages to many sessions that leave together: made, framed and joined once for all.
#[derive(Clone, Debug)]
pub struct PreparedMessages(PreparedBatch);

impl PreparedMessages {
    /// Frames the messages, in their order.
    pub fn new(messages: &[Message]) -> Self {
        Self(batch(messages.iter().map(packet::encode)))
    }

    fn packets(&self) -> impl Iterator<Item = Message> + Clone {
        self.0.messages().iter().map(|prepared| prepared.message().clone())
    }
}

fn batch(packets: impl Iterator<Item = Message>) -> PreparedBatch {
    PreparedBatch::new(packets.map(Prepared::new).collect())
}

impl EngineSender {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// The request that the session began with.
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.session.handshake
    }

    /// Queues messages, all or none, behind everything that was queued before. Over a WebSocket they are written at the
    /// end of the wake-up.
    ///
    /// # Errors
    /// [`SendError`]: nothing was taken.
    pub fn try_send(&self, messages: &[Message]) -> Result<(), SendError> {
        self.try_send_compressed(messages, Compress::Auto)
    }

    /// As [`try_send`](Self::try_send), with a choice about permessage-deflate, where it was agreed on.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_compressed(&self, messages: &[Message], compress: Compress) -> Result<(), SendError> {
        if let Some(socket) = self.session.socket() {
            return self.send_over(socket, messages, compress);
        }
        // Encoded before the lock is taken.
        let packets: Vec<Message> = messages.iter().map(packet::encode).collect();
        let queued = self.session.queue(packets.into_iter());
        queued.unwrap_or_else(|| self.upgraded(|socket| self.send_over(socket, messages, compress)))
    }

    /// Queues messages that were framed once for many, all or none. Over a WebSocket they are written at the end of the
    /// wake-up, so that several such calls in its course are one write for each client.
    ///
    /// # Errors
    /// [`SendError`]: nothing was taken.
    pub fn try_send_prepared(&self, prepared: &PreparedMessages) -> Result<(), SendError> {
        self.try_send_prepared_compressed(prepared, Compress::Auto)
    }

    /// As [`try_send_prepared`](Self::try_send_prepared), with a choice about permessage-deflate, where it was agreed on.
    ///
    /// # Errors
    /// As [`try_send_prepared`](Self::try_send_prepared).
    pub fn try_send_prepared_compressed(
        &self,
        prepared: &PreparedMessages,
        compress: Compress,
    ) -> Result<(), SendError> {
        if let Some(socket) = self.session.socket() {
            return self.send_prepared_over(socket, prepared, compress);
        }
        let queued = self.session.queue(prepared.packets());
        queued.unwrap_or_else(|| self.upgraded(|socket| self.send_prepared_over(socket, prepared, compress)))
    }

    /// Goes on over the WebSocket that the session was given in the meantime.
    fn upgraded(&self, send: impl FnOnce(&Sender) -> Result<(), SendError>) -> Result<(), SendError> {
        self.session.socket().map_or(Err(SendError::Closed), send)
    }

    fn send_over(&self, socket: &Sender, messages: &[Message], compress: Compress) -> Result<(), SendError> {
        match messages {
            [] => Ok(()),
            [message] => {
                let sent = socket.try_send_compressed(self.session.encode(message), compress);
                sent.map_err(|error| match error {
                    TrySendError::Full(_) => SendError::Full,
                    TrySendError::Closing(_) => SendError::Closed,
                })
            }
            // Several leave together or not at all.
            _ => {
                let packets = messages.iter().map(|message| self.session.encode(message));
                send_batch(socket, &batch(packets), compress)
            }
        }
    }

    fn send_prepared_over(
        &self,
        socket: &Sender,
        prepared: &PreparedMessages,
        compress: Compress,
    ) -> Result<(), SendError> {
        if self.session.takes_only_text() {
            return send_batch(socket, &batch(prepared.packets().map(packet::as_text)), compress);
        }
        send_batch(socket, &prepared.0, compress)
    }

    /// Waits until the transport has taken everything that was queued, or the session is over.
    pub async fn flush(&self) {
        poll_fn(|cx| self.session.poll_taken(cx)).await;
        if let Some(socket) = self.session.socket() {
            // What could not be sent is told by the end of the session.
            let _ = socket.flush().await;
        }
    }

    /// Whether the client takes what is sent now: nothing waits that the transport has not taken. For messages that are
    /// better lost than late.
    pub fn is_writable(&self) -> bool {
        let Some(socket) = self.session.socket() else { return self.session.has_idle_poll() };
        if !socket.is_open() {
            return false;
        }
        let mut cx = Context::from_waker(Waker::noop());
        socket.buffered_amount() == 0 || matches!(pin!(socket.flush()).poll(&mut cx), Poll::Ready(Ok(())))
    }

    /// Whether the session is open.
    pub fn is_open(&self) -> bool {
        !self.session.has_ended()
    }

    /// The transport at the moment.
    pub fn transport(&self) -> Transport {
        self.session.transport()
    }

    /// Closes the session: what was queued is still sent, what arrives is dropped.
    pub fn close(&self) {
        self.session.end(EndReason::ForcedClose);
    }
}

fn send_batch(socket: &Sender, batch: &PreparedBatch, compress: Compress) -> Result<(), SendError> {
    if socket.try_send_batch_soon(batch, compress) {
        Ok(())
    } else if socket.is_open() {
        Err(SendError::Full)
    } else {
        Err(SendError::Closed)
    }
}

impl fmt::Debug for EngineSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSender")
            .field("sid", self.handshake().sid())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}
