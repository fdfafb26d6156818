//! Receiving: bytes to messages, answers to the peer's control frames, and all that happens with time.
//!
//! Everything is state in the struct; a poll takes it one step further. So a future of [`Receiver::recv`] can be
//! dropped at any poll, and the next one goes on where it stopped.

use crate::error::{Error, TimeoutKind};
use crate::link::Link;
use crate::transport::ReadHalf;
use crate::{CloseCode, CloseFrame, Config, Message, Role, Violation, slab};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, Sleep, sleep_until};
use vaiven_proto::{Decoder, Incoming, Input, Keepalive, KeepaliveAction};

/// A read of at most this part of a slab is copied out of it, so that the slab serves the next connection.
const COPY_MAX: usize = slab::SLAB_BYTES / vaiven_proto::MAX_SHARE;
/// How long a peer that broke a rule may take to read that it did.
const FAIL_TIMEOUT: Duration = Duration::from_millis(900);

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

/// Where the connection stands on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Open, or closing from this side while the peer goes on.
    Open,
    /// Both Close frames are on their way; the transport ends.
    Ending,
    /// The peer broke a rule and is told so.
    Failing(Violation),
    /// Over.
    Closed,
}

/// The receiving half of a connection.
///
/// Keepalive, timeouts and the answers to pings and to the Close frame happen while [`recv`](Self::recv) is awaited.
pub struct Receiver {
    io: Option<ReadHalf>,
    decoder: Decoder,
    input: Input,
    link: Arc<Link>,
    role: Role,
    keepalive: Option<Keepalive>,
    close_timeout: Duration,
    phase: Phase,
    /// When the closing handshake must be over.
    close_deadline: Option<Instant>,
    close_frame: Option<CloseFrame>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The last large message did not fit into a slab: the next read takes little, so that the rest can go straight
    /// into the message's own buffer.
    expects_large: bool,
}

impl Receiver {
    pub(crate) fn new(
        io: ReadHalf,
        decoder: Decoder,
        input: Input,
        link: Arc<Link>,
        role: Role,
        config: &Config,
    ) -> Self {
        let now = Instant::now().into_std();
        let keepalive = config.keepalive.map(|keepalive| Keepalive::new(keepalive, rand::random(), now));
        Self {
            io: Some(io),
            decoder,
            input,
            link,
            role,
            keepalive,
            close_timeout: config.close_timeout,
            phase: Phase::Open,
            close_deadline: None,
            close_frame: None,
            timer: None,
            expects_large: false,
        }
    }

    /// Receives the next message; `None` after a normal close.
    ///
    /// # Errors
    /// [`Error`]: the peer broke a rule, went away without a Close frame, or did not answer in time. After an error
    /// the connection is over, and further calls give `None`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
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
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            match ready!(self.poll_event(cx))? {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Polls for the next event; see [`recv_event`](Self::recv_event).
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        loop {
            match self.phase {
                Phase::Open => {
                    if let Some(event) = self.decode()? {
                        return Poll::Ready(Ok(Some(event)));
                    }
                    if self.phase == Phase::Open {
                        ready!(self.poll_arrival(cx))?;
                    }
                }
                Phase::Ending => {
                    ready!(self.poll_ending(cx));
                    self.end();
                }
                Phase::Failing(violation) => {
                    ready!(self.poll_ending(cx));
                    self.end();
                    return Poll::Ready(Err(violation.into()));
                }
                Phase::Closed => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Decodes the next event from what has arrived.
    #[inline]
    fn decode(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let incoming = match self.decoder.decode(&mut self.input) {
                Ok(Some(Incoming::Message(message))) => return Ok(Some(Event::Message(message))),
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ok(None),
                Err(violation) => {
                    self.fail(violation);
                    return Ok(None);
                }
            };
            let mut writer = self.link.lock();
            writer.encoder.respond(&incoming);
            if self.input.is_empty() {
                self.link.flush_locked(&mut writer);
            } else {
                self.link.schedule_locked(&mut writer);
            }
            drop(writer);
            match incoming {
                Incoming::Ping(payload) => return Ok(Some(Event::Ping(payload))),
                Incoming::Pong(payload) => {
                    let now = Instant::now().into_std();
                    let round_trip = self.keepalive.as_mut().and_then(|k| k.pong(&payload, now));
                    return Ok(Some(Event::Pong(payload, round_trip)));
                }
                Incoming::Close(frame) => {
                    let unstated = || CloseFrame::new(CloseCode::NO_STATUS, "");
                    self.close_frame = Some(frame.unwrap_or_else(unstated));
                    self.begin_ending(Phase::Ending, self.close_timeout);
                    return Ok(None);
                }
                Incoming::Message(_) => {}
            }
        }
    }

    /// Tells the peer which rule it broke, and ends.
    fn fail(&mut self, violation: Violation) {
        self.link.lock().encoder.fail(violation);
        self.begin_ending(Phase::Failing(violation), FAIL_TIMEOUT);
    }

    fn begin_ending(&mut self, phase: Phase, timeout: Duration) {
        self.phase = phase;
        let deadline = Instant::now() + timeout;
        self.close_deadline = Some(self.close_deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self.give_back_input();
        if self.role == Role::Server || matches!(phase, Phase::Failing(_)) {
            self.link.finish();
        } else {
            self.link.flush();
        }
    }

    /// Waits for bytes, for a time that has come, or for the end of the transport.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.give_back_input();
        {
            let mut writer = self.link.lock();
            if let Some(error) = writer.error() {
                drop(writer);
                self.end();
                return Poll::Ready(Err(error));
            }
            self.link.flush_locked(&mut writer);
            if writer.encoder.is_closing() && self.close_deadline.is_none() {
                self.close_deadline = Some(Instant::now() + self.close_timeout);
            }
            writer.watch(cx);
        }
        match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => {
                self.end();
                Poll::Ready(Err(Error::Disconnected))
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => {
                self.end();
                Poll::Ready(Err(match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Error::Disconnected,
                    _ => Error::Io(error),
                }))
            }
            Poll::Pending => self.poll_timeouts(cx),
        }
    }

    /// Reads what has arrived: into the open message where much of it is missing, else into the thread's slab.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(0)) };
        let missing = self.decoder.missing_bytes();
        let read = if let Some(mut buffer) = self.decoder.payload_buffer() {
            self.expects_large |= missing > slab::SLAB_BYTES / 2;
            ready!(pin!(io.read_buf(&mut buffer)).poll(cx))?
        } else {
            let mut slab = slab::take();
            let allocation = slab.capacity();
            let max = if self.expects_large { COPY_MAX } else { allocation };
            let polled = {
                let mut room = bytes::BufMut::limit(&mut slab, max);
                pin!(io.read_buf(&mut room)).poll(cx)
            };
            match polled {
                Poll::Ready(Ok(read)) if read > COPY_MAX => {
                    self.expects_large = false;
                    self.input = Input::new(slab, slab::SLAB_BYTES);
                    read
                }
                Poll::Ready(Ok(read)) => {
                    self.expects_large = false;
                    self.input = Input::from(&slab[..]);
                    slab.clear();
                    slab::give(slab);
                    read
                }
                polled => {
                    slab::give(slab);
                    return polled;
                }
            }
        };
        let now = Instant::now().into_std();
        self.decoder.set_now(now);
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(now);
        }
        Poll::Ready(Ok(read))
    }

    /// Hands the room behind decoded input back to the thread.
    #[inline]
    fn give_back_input(&mut self) {
        slab::give(std::mem::take(&mut self.input).into_spare());
    }

    /// Lets time act. Ready only with an error, or when something changed that is to be looked at.
    fn poll_timeouts(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(deadline) = self.next_deadline() else { return Poll::Pending };
        ready!(self.poll_timer(cx, deadline));
        let now = Instant::now();
        if self.close_deadline.is_some_and(|deadline| now >= deadline) {
            self.end();
            return Poll::Ready(Err(Error::Timeout(TimeoutKind::Close)));
        }
        if let Err(violation) = self.decoder.handle_timeout(now.into_std()) {
            self.fail(violation);
            return Poll::Ready(Ok(()));
        }
        match self.keepalive.as_mut().map(|keepalive| keepalive.handle_timeout(now.into_std())) {
            Some(KeepaliveAction::Ping(payload)) => {
                let mut writer = self.link.lock();
                // An idle connection keeps nothing for speed alone.
                writer.encoder.release_idle();
                if writer.buffered() == 0 {
                    let _ = writer.encoder.ping(&payload);
                    self.link.flush_locked(&mut writer);
                }
            }
            Some(KeepaliveAction::Dead) => {
                self.end();
                return Poll::Ready(Err(Error::Timeout(TimeoutKind::Keepalive)));
            }
            Some(KeepaliveAction::Wait) | None => {}
        }
        Poll::Ready(Ok(()))
    }

    fn next_deadline(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().map(Keepalive::poll_timeout);
        let decoder = self.decoder.poll_timeout();
        let times = keepalive.into_iter().chain(decoder).map(Instant::from_std);
        times.chain(self.close_deadline).min()
    }

    /// Polls the one timer. It is set earlier when it must be; a deadline that moved on is looked at when the timer
    /// fires, so that traffic does not set it again and again.
    fn poll_timer(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// Writes what is left, then waits until the peer has ended its direction too; what it sends is discarded.
    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let done = {
                let mut writer = self.link.lock();
                writer.watch(cx);
                if !writer.is_shut_down() && !writer.is_empty() {
                    writer.wait(cx);
                }
                // A server that heard the peer's Close need not wait for more.
                writer.error().is_some() || (self.phase == Phase::Ending && writer.is_shut_down())
            };
            if done {
                return Poll::Ready(());
            }
            let Some(io) = &mut self.io else { return Poll::Ready(()) };
            let mut slab = slab::take();
            let read = pin!(io.read_buf(&mut slab)).poll(cx);
            slab.clear();
            slab::give(slab);
            match read {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    let Some(deadline) = self.close_deadline else { return Poll::Pending };
                    return self.poll_timer(cx, deadline);
                }
            }
        }
    }

    /// Ends the connection and gives back everything.
    fn end(&mut self) {
        self.phase = Phase::Closed;
        self.give_back_input();
        self.io = None;
        self.timer = None;
        self.link.abort();
    }

    /// The peer's Close frame: its code is 1005 where it stated none. `None` where no Close frame came, which
    /// JavaScript shows as 1006.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// The latest round-trip time of the keepalive.
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.as_ref().and_then(Keepalive::round_trip)
    }

    /// Whether more has arrived than was decoded.
    #[inline]
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }
}

impl Drop for Receiver {
    /// Takes the connection down: what is queued is still written, then the transport ends without a Close frame.
    /// Where a panic is the reason the peer is told so, with 1011.
    fn drop(&mut self) {
        if self.phase != Phase::Closed {
            self.give_back_input();
            self.link.abandon();
        }
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("close_frame", &self.close_frame)
            .finish_non_exhaustive()
    }
}
