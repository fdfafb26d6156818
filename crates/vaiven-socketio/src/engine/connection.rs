//! One session in the hands of its handler: messages as they come, whatever transport brings them.

use super::handshake::{Handshake, Headers};
use super::packet::Packet;
use super::session::{Arrival, Session};
use super::{EndReason, EngineSender, Transport};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use vaiven::{Error, Message, Receiver};

/// A session. When it is dropped, the session is closed.
///
/// The heartbeat goes on while nobody receives; whether the client has answered is judged only when everything that has
/// arrived was received, so a slow handler does not cost it its session.
pub struct Connection {
    session: Arc<Session>,
    /// The WebSocket; none while the session polls, and when it is over.
    receiver: Option<Receiver>,
}

impl Connection {
    pub(super) fn new(session: Arc<Session>, receiver: Option<Receiver>) -> Self {
        Self { session, receiver }
    }

    /// The request that the session began with.
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.session.handshake
    }

    /// The header fields of the request that brought the latest message, on a session that polls.
    pub fn request_headers(&self) -> Option<Arc<Headers>> {
        self.session.request_headers()
    }

    /// A sender, for this task and others.
    pub fn sender(&self) -> EngineSender {
        EngineSender::new(Arc::clone(&self.session))
    }

    /// The transport at the moment.
    pub fn transport(&self) -> Transport {
        self.session.transport()
    }

    /// Why the session is over; `None` while it is not.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.session.end_reason()
    }

    /// Receives the next message; `None` when the session is over.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next message; see [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            let Some(receiver) = &mut self.receiver else {
                match ready!(self.session.poll_arrival(cx)) {
                    Arrival::Message(message) => return Poll::Ready(Some(message)),
                    Arrival::Upgraded(receiver) => self.receiver = Some(receiver),
                    Arrival::Ended => return Poll::Ready(None),
                }
                continue;
            };
            if !self.session.has_ended() {
                match receiver.poll_recv(cx) {
                    Poll::Ready(Ok(Some(message))) => match Packet::decode(message) {
                        Ok(Packet::Message(message)) => return Poll::Ready(Some(message)),
                        Ok(Packet::Pong) => self.session.pong(),
                        Ok(Packet::Noop) => {}
                        Ok(Packet::Close) => self.session.end_by_client(),
                        _ => self.session.end(EndReason::ParseError),
                    },
                    Poll::Ready(Ok(None)) => self.session.end(EndReason::TransportClose),
                    Poll::Ready(Err(error)) => self.session.end(reason(&error)),
                    Poll::Pending => ready!(self.session.poll_end(cx)),
                }
            }
            if self.session.has_ended() {
                // Whatever it holds is given back now, however long the handler goes on.
                self.receiver = None;
            }
        }
    }
}

/// What the end of a WebSocket is to the session.
fn reason(error: &Error) -> EndReason {
    match error {
        Error::Disconnected => EndReason::TransportClose,
        _ => EndReason::TransportError,
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.end(EndReason::ForcedClose);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("sid", self.handshake().sid())
            .field("transport", &self.transport())
            .field("end_reason", &self.end_reason())
            .finish_non_exhaustive()
    }
}
