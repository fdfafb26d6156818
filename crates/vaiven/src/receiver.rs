//! Receiving, on its own: the half that owns the connection.

use crate::reader::Reader;
use crate::{CloseFrame, Error, Message};
use bytes::Bytes;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a peer sent, control frames included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A ping; its pong is sent already.
    Ping(Bytes),
    /// A pong, and the round-trip time where it answers the latest ping of the keepalive.
    Pong(Bytes, Option<Duration>),
}

/// The receiving half of a connection. When it is dropped the connection ends: what is queued is still written.
///
/// Keepalive, timeouts and the answers to pings and to the Close frame happen while [`recv`](Self::recv) is awaited.
#[derive(Debug)]
pub struct Receiver {
    /// Boxed, so that moving a connection and the futures that hold one stay small.
    reader: Box<Reader>,
}

/// The future of the next message: see [`Receiver::recv`] and [`WebSocket::recv`](crate::WebSocket::recv).
///
/// A type of its own and not an `async fn`: its poll becomes a part of the caller's, and a message that is there
/// already is handed over without a detour through memory.
#[derive(Debug)]
#[must_use = "a message is received when this is awaited"]
pub struct Receiving<'a> {
    receiver: &'a mut Receiver,
}

impl Future for Receiving<'_> {
    type Output = Result<Option<Message>, Error>;

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "at high rates the detour is a good part of what a message costs"
    )]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_recv(cx)
    }
}

impl Receiver {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader: Box::new(reader) }
    }

    /// Receives the next message; `None` after a normal close.
    ///
    /// # Errors
    /// [`Error`]: the peer broke a rule, went away without a Close frame, or did not answer in time. After an error
    /// the connection is over, and further calls give `None`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[inline]
    pub fn recv(&mut self) -> Receiving<'_> {
        Receiving { receiver: self }
    }

    /// Receives the next event, pings and pongs included; `None` after a normal close.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Polls for the next message; see [`recv`](Self::recv).
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "at high rates the detour is a good part of what a message costs"
    )]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.reader.poll_recv(cx)
    }

    /// Polls for the next event; see [`recv_event`](Self::recv_event).
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        self.reader.poll_event(cx)
    }

    /// The peer's Close frame: its code is 1005 where it stated none. `None` where no Close frame came, which
    /// JavaScript shows as 1006.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.reader.close_frame()
    }

    /// The latest round-trip time of the keepalive.
    pub fn round_trip(&self) -> Option<Duration> {
        self.reader.round_trip()
    }

    /// Whether more has arrived than was decoded.
    #[inline]
    pub(crate) fn has_input(&self) -> bool {
        self.reader.has_input()
    }
}
