//! The sending side of a connection, shared by its halves and senders.
//!
//! Whoever queues something leaves it to be written by one of three: at once, by the caller; at the end of the
//! wake-up, by the thread's flusher, so that what was queued together leaves together; or, when the socket takes no
//! more, by a task that lives until everything is written or the peer has taken nothing for `write_timeout`.

use crate::error::TimeoutKind;
#[cfg(feature = "server")]
use crate::server::Permit;
use crate::transport::{Attempt, WriteHalf};
use crate::{CloseCode, CloseFrame, Config, Error};
use crate::{deadline, flusher};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use vaiven_proto::Encoder;

/// What the halves of a connection share.
pub(crate) struct Link {
    writer: Mutex<Writer>,
    /// One sender waits for room; the others wait for their turn, in the order in which they came. Made for the first
    /// one that waits: on most connections nobody ever does.
    turn: OnceLock<Box<Semaphore>>,
    runtime: Handle,
    close_timeout: Duration,
}

/// The sending side under its lock.
pub(crate) struct Writer {
    pub(crate) encoder: Encoder,
    io: WriteHalf,
    outbox_bytes: usize,
    write_timeout: Duration,
    /// Listed with a flusher, which will write.
    scheduled: bool,
    /// A task writes; nobody else may.
    draining: bool,
    /// What happens behind the last byte.
    ending: Ending,
    /// Bytes written so far: progress, for the write timeout.
    written: u64,
    failure: Option<Failure>,
    /// Those who wait for room in the outbox, or for its end.
    waiting: Vec<Waker>,
    /// The task that writes, to be told of a failure or of a deadline.
    drainer: Option<Waker>,
    /// When the rest must be written, on a connection that was closed.
    close_deadline: Option<Instant>,
    /// The receiving side, to be told of a failure.
    receiver: Option<Waker>,
    /// Counts the connection with its server while the transport is held.
    #[cfg(feature = "server")]
    permit: Option<Permit>,
}

/// Tasks that wait for room before all are woken to look again.
const MAX_WAITING: usize = 1024;

/// A task that writes. Dropped before it has finished, by a panic or the end of its runtime, it ends the connection,
/// which nobody would write to any more.
struct Unfinished<'a>(&'a Link);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let mut writer = self.0.lock();
        if std::mem::replace(&mut writer.draining, false) {
            writer.fail(Failure::Aborted);
        }
    }
}

/// What happens when everything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nothing: the connection goes on.
    None,
    /// The outgoing direction ends; the incoming one is still read.
    HalfClose,
    /// The stream is let go.
    Close,
    /// It happened.
    Done,
}

/// Why the sending side gave up.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Io(io::ErrorKind),
    Timeout(TimeoutKind),
    Aborted,
    /// The closing handshake was completed.
    Closed,
}

/// Whether there is room for a message.
pub(crate) enum Room {
    Yes,
    No,
}

impl Link {
    pub(crate) fn new(encoder: Encoder, io: WriteHalf, config: &Config) -> Arc<Self> {
        let writer = Writer {
            encoder,
            io,
            outbox_bytes: config.outbox_bytes,
            write_timeout: config.write_timeout,
            scheduled: false,
            draining: false,
            ending: Ending::None,
            written: 0,
            failure: None,
            waiting: Vec::new(),
            drainer: None,
            close_deadline: None,
            receiver: None,
            #[cfg(feature = "server")]
            permit: None,
        };
        Arc::new(Self {
            writer: Mutex::new(writer),
            turn: OnceLock::new(),
            runtime: Handle::current(),
            close_timeout: config.close_timeout,
        })
    }

    /// The sending side. A panic under this lock leaves no half-made frame, so poison is no reason to stop.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is to wait for room.
    pub(crate) fn turn(&self) -> &Semaphore {
        self.turn.get_or_init(|| Box::new(Semaphore::new(1)))
    }

    /// Whether a sender waits for room, so that others must not overtake it.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        self.turn.get().is_some_and(|turn| turn.available_permits() == 0)
    }

    /// How long the closing handshake may take.
    pub(crate) fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// Begins to bring the sending side into the processor's cache: called before a read, whose system call takes
    /// longer, it spares the answer the wait.
    #[inline]
    pub(crate) fn prefetch(self: &Arc<Self>) {
        std::hint::black_box(Arc::strong_count(self));
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Writes what waits, as far as the socket takes it now; a task goes on with the rest.
    #[inline]
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut writer = self.lock();
        self.flush_locked(&mut writer);
    }

    /// As [`flush`](Self::flush), under the lock.
    #[inline]
    pub(crate) fn flush_locked(self: &Arc<Self>, writer: &mut Writer) {
        if writer.draining || writer.is_settled() {
            return;
        }
        if writer.poll_settle(&mut Attempt::Once).is_pending() {
            writer.draining = true;
            self.runtime.spawn(Arc::clone(self).drain());
        }
    }

    /// Lets what waits be written at the end of this wake-up.
    #[inline]
    pub(crate) fn schedule_locked(self: &Arc<Self>, writer: &mut Writer) {
        if !writer.scheduled && !writer.draining {
            writer.scheduled = flusher::schedule(self);
            if !writer.scheduled {
                self.flush_locked(writer);
            }
        }
    }

    /// The flusher's turn.
    pub(crate) fn flush_scheduled(self: &Arc<Self>) {
        let mut writer = self.lock();
        writer.scheduled = false;
        self.flush_locked(&mut writer);
    }

    /// Writes until nothing waits, or until the peer takes nothing for the write timeout.
    async fn drain(self: Arc<Self>) {
        let _unfinished = Unfinished(&self);
        let (mut written, timeout) = {
            let writer = self.lock();
            (writer.progress(), writer.write_timeout)
        };
        let mut stalled_at = deadline::after(timeout);
        let mut timer = pin!(sleep_until(stalled_at));
        poll_fn(|cx| {
            loop {
                let mut writer = self.lock();
                if writer.poll_settle(&mut Attempt::Until(cx)).is_ready() {
                    writer.draining = false;
                    writer.drainer = None;
                    return Poll::Ready(());
                }
                let progress = writer.progress();
                if std::mem::replace(&mut written, progress) != progress {
                    stalled_at = deadline::after(timeout);
                }
                let deadline = writer.close_deadline.map_or(stalled_at, |closed| closed.min(stalled_at));
                if !writer.drainer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    writer.drainer = Some(cx.waker().clone());
                }
                drop(writer);
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(cx));
                self.lock().fail(Failure::Timeout(TimeoutKind::Write));
            }
        })
        .await;
    }

    /// Ends the outgoing direction behind what is queued, while the peer is still read.
    pub(crate) fn half_close(self: &Arc<Self>) {
        self.end_with(Ending::HalfClose);
    }

    /// Lets the stream go behind what is queued.
    pub(crate) fn close(self: &Arc<Self>) {
        self.end_with(Ending::Close);
    }

    fn end_with(self: &Arc<Self>, ending: Ending) {
        let mut writer = self.lock();
        match (writer.ending, ending) {
            (Ending::None, _) | (Ending::HalfClose, Ending::Close) => writer.ending = ending,
            (Ending::Done, Ending::Close) => writer.release(),
            _ => {}
        }
        if ending == Ending::Close && writer.close_deadline.is_none() {
            writer.close_deadline = Some(deadline::after(self.close_timeout));
            if let Some(drainer) = &writer.drainer {
                drainer.wake_by_ref();
            }
        }
        self.flush_locked(&mut writer);
        writer.wake_waiting();
    }

    /// The receiving side is gone: ends the sending side behind what is queued, and gives the transport up.
    pub(crate) fn abandon(self: &Arc<Self>) {
        if std::thread::panicking() {
            let mut writer = self.lock();
            if writer.is_open() {
                writer.encoder.close(Some(&CloseFrame::new(CloseCode::INTERNAL, "")));
            }
            #[cfg(feature = "server")]
            if let Some(permit) = &writer.permit {
                permit.note_panic();
            }
        }
        self.close();
    }

    /// Counts the connection with its server until the transport is given up.
    #[cfg(feature = "server")]
    pub(crate) fn set_permit(self: &Arc<Self>, mut permit: Permit) {
        permit.begin_websocket(self);
        let before = self.lock().permit.replace(permit);
        assert!(before.is_none(), "a connection is counted once");
    }

    /// Drops the transport and what waits for it.
    pub(crate) fn abort(&self) {
        self.lock().fail(Failure::Aborted);
    }

    /// The receiving side has ended and lets its half of the transport go: after the closing handshake, or not.
    pub(crate) fn ended(&self, clean: bool) {
        let mut writer = self.lock();
        writer.fail(if clean { Failure::Closed } else { Failure::Aborted });
        writer.release();
    }
}

impl Writer {
    /// Whether there is nothing to do.
    fn is_settled(&self) -> bool {
        self.failure.is_some()
            || (self.encoder.outbox().is_empty() && matches!(self.ending, Ending::None | Ending::Done))
    }

    /// Whether the sending side takes messages.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.failure.is_none() && self.ending == Ending::None && !self.encoder.is_closing()
    }

    /// Whether the closing handshake was completed.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.failure, Some(Failure::Closed))
    }

    /// Whether all that was queued is written, or never will be.
    pub(crate) fn is_empty(&self) -> bool {
        self.failure.is_some() || (self.encoder.outbox().is_empty() && !self.draining)
    }

    /// Bytes that wait to be written.
    pub(crate) fn buffered(&self) -> usize {
        self.encoder.outbox().len()
    }

    /// Grows while the peer takes anything.
    fn progress(&self) -> u64 {
        self.written.wrapping_add(self.io.progress())
    }

    /// Why nothing is sent any more, if the transport failed.
    pub(crate) fn error(&self) -> Option<Error> {
        self.failure.map(|failure| match failure {
            Failure::Io(kind) => Error::Io(kind.into()),
            Failure::Timeout(kind) => Error::Timeout(kind),
            Failure::Aborted => Error::Disconnected,
            Failure::Closed => Error::Closing,
        })
    }

    /// Room for a message of `len` bytes: within the bound, or in an empty outbox.
    #[inline]
    pub(crate) fn room(&self, len: usize) -> Room {
        let waiting = self.buffered();
        if waiting == 0 || waiting.saturating_add(len) <= self.outbox_bytes { Room::Yes } else { Room::No }
    }

    /// Wakes this task when there is more room, or none will ever be.
    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        if self.waiting.len() >= MAX_WAITING {
            // Most of them belong to futures that were dropped; the others come back.
            self.wake_waiting();
        }
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    /// The receiving side waits for the peer and wants to hear of failures here.
    #[inline]
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        if !self.receiver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.receiver = Some(cx.waker().clone());
        }
    }

    /// Writes and flushes until nothing waits, then shuts down if that is wanted.
    fn poll_settle(&mut self, attempt: &mut Attempt<'_, '_>) -> Poll<()> {
        match self.poll_write(attempt) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => self.fail(Failure::Io(error.kind())),
            Poll::Pending => return Poll::Pending,
        }
        self.wake_waiting();
        Poll::Ready(())
    }

    #[inline]
    fn poll_write(&mut self, attempt: &mut Attempt<'_, '_>) -> Poll<io::Result<()>> {
        if self.failure.is_some() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let outbox = self.encoder.outbox_mut();
            let before = outbox.len();
            if before == 0 {
                if self.encoder.written() {
                    continue;
                }
                break;
            }
            ready!(self.io.poll_write_outbox(attempt, outbox))?;
            self.written += (before - outbox.len()) as u64;
            if !self.waiting.is_empty() && outbox.len() < self.outbox_bytes / 2 {
                self.wake_waiting();
            }
        }
        ready!(self.io.poll_flush(attempt))?;
        // A peer that is gone already makes the farewell fail, which changes nothing.
        match self.ending {
            Ending::None | Ending::Done => return Poll::Ready(Ok(())),
            Ending::HalfClose => drop(ready!(self.io.poll_shutdown(attempt))),
            Ending::Close => {
                drop(ready!(self.io.poll_farewell(attempt)));
                self.release();
            }
        }
        self.ending = Ending::Done;
        Poll::Ready(Ok(()))
    }

    #[inline]
    pub(crate) fn wake_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    /// Wakes the receiving side, which waits for the peer.
    pub(crate) fn wake_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.encoder.outbox_mut().clear();
        self.encoder.release_idle();
        // The count of the server's connections goes down when the other half is gone too.
        self.io.cut();
        if let Some(drainer) = self.drainer.take() {
            drainer.wake();
        }
        self.wake_waiting();
        self.wake_receiver();
    }

    /// Gives the transport up.
    fn release(&mut self) {
        self.io.give_up();
        #[cfg(feature = "server")]
        {
            self.permit = None;
        }
    }

    /// Whether the outgoing direction has ended.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.ending == Ending::Done || self.failure.is_some()
    }
}
