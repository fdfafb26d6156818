//! Sending: from any task, as many senders as wanted.

use crate::error::{SendError, TrySendError};
use crate::link::{Link, Room};
use crate::{CloseFrame, Compress, Error, Message, Prepared, PreparedBatch};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// When what was queued is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// By the caller, before it goes on.
    Now,
    /// At the end of the wake-up at the latest.
    Soon,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Full,
    Closing,
}

/// The message that was not taken.
fn refused(message: &mut Option<Message>) -> Message {
    message.take().expect("what is refused was not taken")
}

/// Sends on a connection. Clones send on the same connection; none of them keeps it open: when the receiving side
/// is dropped, or the connection closes, they get [`SendError`].
///
/// What is queued is written at the end of the current wake-up at the latest, together with whatever else was
/// queued in its course.
#[derive(Clone)]
pub struct Sender {
    link: Arc<Link>,
}

impl Sender {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Sends a message: waits until the outbox has room for it, and queues it. Senders that wait take their turns in the
    /// order in which they came; a future that waits and is not polled holds up those behind it.
    ///
    /// # Errors
    /// [`SendError`] with the message, when the connection is closing or closed.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the message is not sent and not in part; once it is ready, the message is
    /// queued as a whole.
    pub fn send(&self, message: impl Into<Message>) -> Sending<'_> {
        self.send_with(message.into(), Compress::Auto, When::Soon)
    }

    /// As [`send`](Self::send), with a choice about compression.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn send_compressed(&self, message: impl Into<Message>, compress: Compress) -> Sending<'_> {
        self.send_with(message.into(), compress, When::Soon)
    }

    #[inline]
    pub(crate) fn send_with(&self, message: Message, compress: Compress, when: When) -> Sending<'_> {
        Sending { sender: self, message: Some(message), waiting: None, compress, when }
    }

    /// Waits for its turn and then for room. Who waits is not overtaken by senders that come later, or short messages
    /// could keep the outbox too full for a long one for ever; those that do not wait may take the room first.
    async fn send_when_room(
        &self,
        message: Message,
        compress: Compress,
        when: When,
    ) -> Result<(), SendError> {
        let _turn = self.link.turn().acquire().await;
        let len = message.len();
        let mut message = Some(message);
        loop {
            poll_fn(|cx| {
                let mut writer = self.link.lock();
                if !writer.is_open() || matches!(writer.room(len), Room::Yes) {
                    return Poll::Ready(());
                }
                writer.wait(cx);
                Poll::Pending
            })
            .await;
            match self.queue(&mut message, compress, when) {
                Ok(()) => return Ok(()),
                Err(Refused::Closing) => return Err(SendError(refused(&mut message))),
                Err(Refused::Full) => {}
            }
        }
    }

    /// Queues a message if the outbox has room.
    ///
    /// # Errors
    /// [`TrySendError`] with the message: the outbox is full, or the connection closing.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.try_send_compressed(message, Compress::Auto)
    }

    /// As [`try_send`](Self::try_send), with a choice about compression.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_compressed(
        &self,
        message: impl Into<Message>,
        compress: Compress,
    ) -> Result<(), TrySendError> {
        let mut message = Some(message.into());
        self.queue(&mut message, compress, When::Soon).map_err(|why| match why {
            Refused::Full => TrySendError::Full(refused(&mut message)),
            Refused::Closing => TrySendError::Closing(refused(&mut message)),
        })
    }

    /// Takes the message and queues it, unless it is refused. It is handed in by reference: what is refused at times
    /// would else be moved back and forth each time.
    #[inline]
    fn queue(&self, message: &mut Option<Message>, compress: Compress, when: When) -> Result<(), Refused> {
        let mut writer = self.link.lock();
        if !writer.is_open() {
            return Err(Refused::Closing);
        }
        if let Room::No = writer.room(message.as_ref().map_or(0, Message::len)) {
            return Err(Refused::Full);
        }
        let queued = message.take().map(|message| writer.encoder.message(message, compress));
        debug_assert_eq!(queued, Some(Ok(())), "the encoder was asked before, with a message at hand");
        match when {
            When::Now => self.link.flush_locked(&mut writer),
            When::Soon => self.link.schedule_locked(&mut writer),
        }
        Ok(())
    }

    /// Queues a message for which [`poll_room`](Self::poll_room) found room.
    pub(crate) fn force_send(&self, message: Message) -> Result<(), Error> {
        let mut writer = self.link.lock();
        if !writer.is_open() {
            return Err(writer.error().unwrap_or(Error::Closing));
        }
        writer.encoder.message(message, Compress::Auto).map_err(|_| Error::Closing)?;
        self.link.schedule_locked(&mut writer);
        Ok(())
    }

    /// Queues a message that was framed once for many, if the outbox has room. It is not taken where it does not
    /// fit: `false`, also on a connection that is closing.
    pub fn try_send_prepared(&self, prepared: &Prepared) -> bool {
        let mut writer = self.link.lock();
        if !writer.is_open() || matches!(writer.room(prepared.frame().len()), Room::No) {
            return false;
        }
        let queued = writer.encoder.prepared(prepared, Compress::Auto).is_ok();
        self.link.schedule_locked(&mut writer);
        queued
    }

    /// Queues messages that were framed and joined once for many, if the outbox has room for all of them, and writes
    /// them at once as far as the transport takes them. None is taken where they do not fit: `false`, also on a
    /// connection that is closing.
    pub fn try_send_batch(&self, batch: &PreparedBatch) -> bool {
        self.queue_batch(batch, Compress::Auto, When::Now)
    }

    /// As [`try_send_batch`](Self::try_send_batch), with a choice about compression, and written at the end of the wake-up:
    /// for whoever sends to many in turn, and may have more for them before it is over.
    pub fn try_send_batch_soon(&self, batch: &PreparedBatch, compress: Compress) -> bool {
        self.queue_batch(batch, compress, When::Soon)
    }

    fn queue_batch(&self, batch: &PreparedBatch, compress: Compress, when: When) -> bool {
        let mut writer = self.link.lock();
        if !writer.is_open() || matches!(writer.room(batch.frames().len()), Room::No) {
            return false;
        }
        let queued = writer.encoder.prepared_batch(batch, compress).is_ok();
        match when {
            When::Now => self.link.flush_locked(&mut writer),
            When::Soon => self.link.schedule_locked(&mut writer),
        }
        queued
    }

    /// Sends a ping with this payload, of which the first 125 bytes count. Waits until the outbox has room.
    ///
    /// # Errors
    /// [`Error::Closing`] on a connection that is closing.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the ping is not sent.
    pub async fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        let mut writer = self.link.lock();
        writer.encoder.ping(payload).map_err(|_| Error::Closing)?;
        self.link.flush_locked(&mut writer);
        Ok(())
    }

    /// Begins the closing handshake; the receiving side goes on until the peer has answered. `None` is the empty
    /// Close frame. Does nothing on a connection that is closing already.
    pub fn close(&self, frame: Option<&CloseFrame>) {
        let mut writer = self.link.lock();
        if writer.is_open() {
            writer.encoder.close(frame);
            writer.wake_receiver();
            writer.wake_waiting();
        }
        self.link.flush_locked(&mut writer);
    }

    /// Waits until all that was queued is handed to the transport.
    ///
    /// # Errors
    /// The transport's failure, or the timeout of a peer that takes nothing.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped: what is queued is written all the same.
    pub async fn flush(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut writer = self.link.lock();
        self.link.flush_locked(&mut writer);
        if writer.is_closed() {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = writer.error() {
            return Poll::Ready(Err(error));
        }
        if writer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        writer.wait(cx);
        Poll::Pending
    }

    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut writer = self.link.lock();
        if !writer.is_open() {
            return Poll::Ready(Err(writer.error().unwrap_or(Error::Closing)));
        }
        if let Room::Yes = writer.room(1) {
            return Poll::Ready(Ok(()));
        }
        self.link.flush_locked(&mut writer);
        if let Room::Yes = writer.room(1) {
            return Poll::Ready(Ok(()));
        }
        writer.wait(cx);
        Poll::Pending
    }

    #[cfg(feature = "server")]
    pub(crate) fn set_permit(&self, permit: crate::server::Permit) {
        self.link.set_permit(permit);
    }

    /// Bytes that wait to be written.
    pub fn buffered_amount(&self) -> usize {
        self.link.lock().buffered()
    }

    /// Whether messages are taken.
    pub fn is_open(&self) -> bool {
        self.link.lock().is_open()
    }

    /// Drops the connection at once, without a Close frame: the peer sees 1006.
    pub fn abort(&self) {
        self.link.abort();
    }
}

/// The future of a message that is being sent: see [`Sender::send`] and [`WebSocket::send`](crate::WebSocket::send).
///
/// A type of its own and not an `async fn`: most futures that hold a connection hold one of these too, and it is a
/// fifth of the size.
#[must_use = "a message is sent when this is awaited"]
pub struct Sending<'a> {
    sender: &'a Sender,
    /// Not queued yet, and not waiting for room either.
    message: Option<Message>,
    /// Waiting for room. On the heap, so that a task that merely may have to wait keeps no place for it.
    waiting: Option<Waiting<'a>>,
    compress: Compress,
    when: When,
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(waiting) = &mut self.waiting {
            return waiting.as_mut().poll(cx);
        }
        // A loop that only sends must let other tasks have their turn.
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        turn.made_progress();
        let Sending { sender, message, compress, when, .. } = &mut *self;
        assert!(message.is_some(), "a future is not polled again once it was ready");
        let queued = if sender.link.is_awaited() {
            Err(Refused::Full)
        } else {
            sender.queue(message, *compress, *when)
        };
        match queued {
            Ok(()) => Poll::Ready(Ok(())),
            Err(why) => self.poll_refused(why, cx),
        }
    }
}

impl Sending<'_> {
    /// Begins to wait for room, or hands the message back where there will be none.
    #[cold]
    fn poll_refused(&mut self, why: Refused, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let message = refused(&mut self.message);
        match why {
            Refused::Closing => Poll::Ready(Err(SendError(message))),
            Refused::Full => {
                let waits = self.sender.send_when_room(message, self.compress, self.when);
                self.waiting.insert(Box::pin(waits)).as_mut().poll(cx)
            }
        }
    }
}

impl std::fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending").field("waits", &self.waiting.is_some()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("buffered_amount", &self.buffered_amount()).finish_non_exhaustive()
    }
}
