//! A connection: both halves in one hand.

use crate::link::Link;
use crate::reader::Reader;
use crate::receiver::{Event, Receiver, Receiving};
use crate::sender::{Sender, Sending, When};
use crate::transport::Transport;
use crate::{CloseCode, CloseFrame, Compress, Config, Error, Message, Role, TrySendError};
use bytes::BytesMut;
use futures_core::Stream;
use futures_sink::Sink;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, Inflater};
use vaiven_proto::{Decoder, Encoder, Input};

/// A WebSocket connection, client or server, over any transport.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), vaiven::Error> {
/// let (mut ana, mut luis) = vaiven::pair();
/// ana.send("hola").await?;
/// assert_eq!(luis.recv().await?, Some("hola".into()));
///
/// luis.send(vec![1, 2, 3]).await?;
/// assert_eq!(ana.recv().await?, Some(vec![1, 2, 3].into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocket {
    receiver: Receiver,
    sender: Sender,
}

/// permessage-deflate as it was agreed, and how this side uses it.
#[derive(Clone, Copy, Debug)]
pub struct Deflate {
    /// What the opening handshake agreed.
    pub params: DeflateParams,
    /// Level and minimum length of this side.
    pub config: DeflateConfig,
}

impl WebSocket {
    /// A connection over a transport on which the opening handshake is done. `read_ahead` are bytes that came
    /// behind it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(clippy::needless_pass_by_value, reason = "the caller's buffer is let go with what was in it")]
    pub fn from_transport(
        transport: impl Into<Transport>,
        role: Role,
        read_ahead: BytesMut,
        deflate: Option<Deflate>,
        config: &Config,
    ) -> Self {
        let (read, write) = transport.into().into_split();
        let mut encoder = Encoder::new(role, |key| rand::Rng::fill_bytes(&mut rand::rng(), key));
        if let Some(deflate) = &deflate {
            encoder = encoder.with_deflate(deflate.params, &deflate.config);
        }
        if let Some(max) = config.max_frame_bytes {
            encoder = encoder.with_max_frame_bytes(max);
        }
        if !config.explain_violations {
            encoder = encoder.without_explanations();
        }
        let inflater = deflate.map(|deflate| Inflater::new(role, &deflate.params));
        let decoder = Decoder::new(role, config.limits.clone(), inflater, Instant::now().into_std());
        let link = Link::new(encoder, write, config);
        let sender = Sender::new(link.clone());
        // A copy: what else the caller's buffer holds is not to be kept alive.
        let input = Input::from(&read_ahead[..]);
        let receiver = Receiver::new(Reader::new(read, decoder, input, link, config));
        Self { receiver, sender }
    }

    /// Receives the next message; `None` after a normal close, whose code [`close_frame`](Self::close_frame) has.
    ///
    /// Keepalive, timeouts and the answers to pings and to the Close frame happen while this is awaited.
    ///
    /// # Errors
    /// [`Error`]: the peer broke a rule, went away without a Close frame, or did not answer in time. After an error
    /// the connection is over, and further calls give `None`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Limits
    /// A message is at most `limits.max_message_bytes` long. It may share the memory that it arrived in with its
    /// neighbours, and keeps at most sixty-four times its own size alive.
    #[inline]
    pub fn recv(&mut self) -> Receiving<'_> {
        self.receiver.recv()
    }

    /// Receives the next event, pings and pongs included; `None` after a normal close.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.receiver.recv_event().await
    }

    /// Sends a message: waits until the outbox has room for it, queues it, and writes it as far as the transport
    /// takes it. While more input waits to be received, the write is left to the end of the wake-up, so that what
    /// arrived together is answered together.
    ///
    /// # Errors
    /// [`SendError`](crate::SendError) with the message, when the connection is closing or closed.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message is not sent and not in part; once it is ready, the message is
    /// queued as a whole.
    #[inline]
    pub fn send(&mut self, message: impl Into<Message>) -> Sending<'_> {
        self.sender.send_with(message.into(), Compress::Auto, self.when())
    }

    /// As [`send`](Self::send), with a choice about compression.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn send_compressed(&mut self, message: impl Into<Message>, compress: Compress) -> Sending<'_> {
        self.sender.send_with(message.into(), compress, self.when())
    }

    /// Queues a message without writing it yet: it leaves with the next flush, and at the end of the wake-up at the
    /// latest. Waits until the outbox has room.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: impl Into<Message>) -> Sending<'_> {
        self.sender.send_with(message.into(), Compress::Auto, When::Soon)
    }

    /// Waits until all that was queued is handed to the transport.
    ///
    /// # Errors
    /// The transport's failure, or the timeout of a peer that takes nothing.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped: what is queued is written all the same.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.sender.flush().await
    }

    /// Queues a message if the outbox has room; it is written at the end of the wake-up.
    ///
    /// # Errors
    /// [`TrySendError`] with the message: the outbox is full, or the connection closing.
    pub fn try_send(&mut self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.sender.try_send(message)
    }

    /// Sends a ping with this payload, of which the first 125 bytes count. Its pong is an
    /// [`Event::Pong`] of [`recv_event`](Self::recv_event).
    ///
    /// # Errors
    /// [`Error::Closing`] on a connection that is closing.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the ping is not sent.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sender.ping(payload).await
    }

    /// Closes the connection: sends the Close frame behind all that is queued and waits for the peer's, for
    /// `close_timeout` at most. Messages that arrive meanwhile are dropped; to have them, begin with
    /// [`Sender::close`] and go on with [`recv`](Self::recv). A reason beyond 123 bytes is cut.
    ///
    /// # Errors
    /// As [`recv`](Self::recv). The connection is over in any case.
    ///
    /// # Cancel safety
    /// The Close frame is queued with the first poll; a further call goes on waiting.
    pub async fn close(&mut self, code: impl Into<CloseCode>, reason: &str) -> Result<(), Error> {
        self.sender.close(Some(&CloseFrame::new(code, reason)));
        while self.receiver.recv().await?.is_some() {}
        Ok(())
    }

    /// Drops the connection at once, without a Close frame: the peer sees 1006.
    pub fn abort(self) {
        self.sender.abort();
    }

    /// The peer's Close frame: its code is 1005 where it stated none. `None` where no Close frame came, which
    /// JavaScript shows as 1006.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.receiver.close_frame()
    }

    /// The latest round-trip time of the keepalive.
    pub fn round_trip(&self) -> Option<Duration> {
        self.receiver.round_trip()
    }

    /// Bytes that wait to be written.
    pub fn buffered_amount(&self) -> usize {
        self.sender.buffered_amount()
    }

    /// A sender for other tasks.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The two halves, each for a task of its own. When the receiver is dropped the connection ends.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Counts the connection with its server until the transport is given up.
    #[cfg(feature = "server")]
    pub(crate) fn set_permit(&self, permit: crate::server::Permit) {
        self.sender.set_permit(permit);
    }

    #[inline]
    fn when(&self) -> When {
        if self.receiver.has_input() { When::Soon } else { When::Now }
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx).map(Result::transpose)
    }
}

impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_room(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.sender.force_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.close(Some(&CloseFrame::new(CloseCode::NORMAL, "")));
        while ready!(self.receiver.poll_recv(cx))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}
