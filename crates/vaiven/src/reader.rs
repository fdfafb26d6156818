//! Bytes to messages, answers to the peer's control frames, and all that happens with time.
//!
//! Everything is state in the struct; a poll takes it one step further. So a future that polls it can be dropped at
//! any time, and the next one goes on where it stopped.

use crate::error::{Error, TimeoutKind};
use crate::link::Link;
use crate::receiver::Event;
use crate::timer::Timer;
use crate::transport::ReadHalf;
use crate::{CloseCode, CloseFrame, Config, Message, Role, Violation, deadline, slab};
use bytes::BytesMut;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use vaiven_proto::{Decoder, Incoming, Input, Keepalive, KeepaliveAction};

/// A read of at most this many bytes is copied out of the slab, unless it begins a large payload, so that the slab
/// serves the next connection from its start.
const COPY_MAX: usize = 32 << 10;
/// How long a peer that broke a rule may take to read that it did.
const FAIL_TIMEOUT: Duration = Duration::from_millis(900);
/// Messages for one unit of a task's cooperative budget, of which it has 128 for each turn.
const MESSAGES_PER_UNIT: u8 = 32;
/// Reads in a row, from a peer that never stops sending, before what was queued is written, and, where what is read
/// is discarded, before other tasks get a turn.
const READS_PER_POLL: u8 = 16;
/// Reads that are still looked at when the close timeout is over: what arrived in time may be behind others.
const LATE_READS: u8 = 64;

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

/// What a read brought.
enum Arrival {
    /// The end of the stream.
    End,
    /// Something for the decoder.
    Bytes,
    /// A message, and nothing else.
    Message(Message),
}

/// The state behind a `Receiver`.
pub(crate) struct Reader {
    io: Option<ReadHalf>,
    decoder: Decoder,
    input: Input,
    link: Arc<Link>,
    keepalive: Option<Keepalive>,
    phase: Phase,
    /// When the closing handshake must be over.
    close_deadline: Option<Instant>,
    /// Reads since what was queued was last written.
    unsettled_reads: u8,
    /// Reads behind the deadline, from a peer that never stops sending.
    late_reads: u8,
    close_frame: Option<Box<CloseFrame>>,
    timer: Timer,
    /// Counts what is received, for the task's budget.
    received: u8,
    /// The decoder is to be asked even where no input is left: payload arrived in the open message's own buffer, or it
    /// has yet to say whether the last pong was one too many.
    has_more: bool,
    /// The last look at the socket found nothing.
    has_waited: bool,
    /// The last large message did not fit into a slab: the next read takes little, so that the rest can go straight
    /// into the message's own buffer.
    expects_large: bool,
}

impl Reader {
    pub(crate) fn new(
        io: ReadHalf,
        decoder: Decoder,
        input: Input,
        link: Arc<Link>,
        config: &Config,
    ) -> Self {
        let now = Instant::now().into_std();
        let keepalive = config.keepalive.map(|keepalive| Keepalive::new(keepalive, rand::random(), now));
        Self {
            io: Some(io),
            decoder,
            input,
            link,
            keepalive,
            phase: Phase::Open,
            close_deadline: None,
            unsettled_reads: 0,
            late_reads: 0,
            close_frame: None,
            timer: Timer::default(),
            received: 0,
            has_more: false,
            has_waited: false,
            expects_large: false,
        }
    }

    /// Polls for the next message.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a message that is there reaches its caller without a detour")]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        // A peer that sends many short messages must not keep the thread: some of them use the task's budget.
        self.received = self.received.wrapping_add(1);
        if self.received.is_multiple_of(MESSAGES_PER_UNIT) {
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
        }
        if let Some(message) = self.decoder.decode_common(&mut self.input) {
            return Poll::Ready(Ok(Some(message)));
        }
        self.poll_recv_any(cx)
    }

    fn poll_recv_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            match ready!(self.poll_event(cx))? {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Polls for the next event.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        loop {
            match self.phase {
                Phase::Open => {
                    if (self.has_more || self.has_input())
                        && let Some(event) = self.decode()
                    {
                        return Poll::Ready(Ok(Some(event)));
                    }
                    if self.phase == Phase::Open
                        && let Some(message) = ready!(self.poll_arrival(cx))?
                    {
                        return Poll::Ready(Ok(Some(Event::Message(message))));
                    }
                }
                Phase::Ending => {
                    ready!(self.poll_ending(cx));
                    self.end_with(true);
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
    fn decode(&mut self) -> Option<Event> {
        self.has_more = false;
        loop {
            let incoming = match self.decoder.decode(&mut self.input) {
                Ok(Some(Incoming::Message(message))) => return Some(Event::Message(message)),
                Ok(Some(incoming)) => incoming,
                Ok(None) => return None,
                Err(violation) => {
                    self.fail(violation);
                    return None;
                }
            };
            let mut writer = self.link.lock();
            writer.encoder.respond(&incoming);
            let was_due = matches!(incoming, Incoming::Pong(_)) && writer.encoder.take_pong_due();
            // A ping is answered before the next is looked at: where the socket takes it, each gets its pong; where
            // it does not, only the latest waits.
            if self.input.is_empty() || matches!(incoming, Incoming::Ping(_)) {
                self.link.flush_locked(&mut writer);
            } else {
                self.link.schedule_locked(&mut writer);
            }
            drop(writer);
            match incoming {
                Incoming::Ping(payload) => return Some(Event::Ping(payload)),
                Incoming::Pong(payload) => {
                    if was_due {
                        self.decoder.forgive_idle_frame();
                    }
                    self.has_more = true;
                    let now = Instant::now().into_std();
                    let round_trip = self.keepalive.as_mut().and_then(|k| k.pong(&payload, now));
                    return Some(Event::Pong(payload, round_trip));
                }
                Incoming::Close(frame) => {
                    let unstated = || CloseFrame::new(CloseCode::NO_STATUS, "");
                    self.close_frame = Some(Box::new(frame.unwrap_or_else(unstated)));
                    self.begin_ending(Phase::Ending, self.link.close_timeout());
                    return None;
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
        let deadline = deadline::after(timeout);
        self.close_deadline = Some(self.close_deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self.give_back_input();
        match (phase, self.decoder.role()) {
            (Phase::Failing(_), _) => self.link.half_close(),
            // The server ends the transport first (RFC 6455 section 7.1.1).
            (_, Role::Server) => self.link.close(),
            (_, Role::Client) => self.link.flush(),
        }
    }

    /// Waits for bytes, for a time that has come, or for the end of the transport. Before it waits, what was queued
    /// is written. A message that arrives alone is given out; everything else is to be decoded.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.give_back_input();
        if self.unsettled_reads >= READS_PER_POLL
            && let Some(error) = self.settle(cx)
        {
            self.end();
            return Poll::Ready(Err(error));
        }
        match self.poll_read(cx) {
            Poll::Ready(Ok(Arrival::End)) => {
                self.end();
                Poll::Ready(Err(Error::Disconnected))
            }
            Poll::Ready(Ok(arrival)) => {
                self.unsettled_reads += 1;
                if self.is_overdue() {
                    self.late_reads += 1;
                    if self.late_reads == LATE_READS {
                        self.end();
                        return Poll::Ready(Err(Error::Timeout(TimeoutKind::Close)));
                    }
                }
                Poll::Ready(Ok(match arrival {
                    Arrival::Message(message) => Some(message),
                    Arrival::Bytes | Arrival::End => None,
                }))
            }
            Poll::Ready(Err(error)) => {
                self.end();
                Poll::Ready(Err(match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Error::Disconnected,
                    _ => Error::Io(error),
                }))
            }
            Poll::Pending => {
                if let Some(error) = self.settle(cx) {
                    self.end();
                    return Poll::Ready(Err(error));
                }
                self.poll_timeouts(cx).map_ok(|()| None)
            }
        }
    }

    /// Writes what was queued and looks at how the sending side fares.
    #[inline]
    fn settle(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        self.unsettled_reads = 0;
        let mut writer = self.link.lock();
        self.link.flush_locked(&mut writer);
        if writer.encoder.is_closing() && self.close_deadline.is_none() {
            self.close_deadline = Some(deadline::after(self.link.close_timeout()));
        }
        writer.watch(cx);
        writer.error()
    }

    /// Reads what has arrived: into the open message where much of it is missing, else into the thread's slab.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(Arrival::End)) };
        // Who waited was woken, most likely by the socket; who just read asks first, which spares the slab.
        if !std::mem::take(&mut self.has_waited) && io.poll_ready(cx)?.is_pending() {
            self.has_waited = true;
            return Poll::Pending;
        }
        self.link.prefetch();
        let missing = self.decoder.missing_bytes();
        let arrival = if let Some(mut buffer) = self.decoder.payload_buffer() {
            self.expects_large |= missing > slab::SLAB_BYTES / 2;
            let read = ready!(pin!(io.read_buf(&mut buffer)).poll(cx))?;
            self.has_more = true;
            if read == 0 { Arrival::End } else { Arrival::Bytes }
        } else {
            let mut slab = slab::take();
            let max = if self.expects_large { COPY_MAX } else { slab.capacity() };
            let polled = {
                let mut room = bytes::BufMut::limit(&mut slab, max);
                pin!(io.read_buf(&mut room)).poll(cx)
            };
            match polled {
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => {
                    slab::give(slab);
                    return polled.map_ok(|_| Arrival::End);
                }
                Poll::Ready(Ok(_)) => self.accept(slab),
            }
        };
        let now = Instant::now().into_std();
        self.decoder.set_now(now);
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(now);
        }
        Poll::Ready(Ok(arrival))
    }

    /// Takes what was read out of the thread's slab, or keeps the slab where that is much.
    #[inline]
    fn accept(&mut self, mut slab: BytesMut) -> Arrival {
        self.expects_large = false;
        let message = self.decoder.decode_alone(&mut slab);
        if message.is_none() {
            if slab.len() > COPY_MAX || self.decoder.begins_large(&slab) {
                self.input = Input::new(slab, slab::SLAB_BYTES);
                return Arrival::Bytes;
            }
            self.input = Input::from(&slab[..]);
        }
        slab.clear();
        slab::give(slab);
        message.map_or(Arrival::Bytes, Arrival::Message)
    }

    /// Hands the room behind decoded input back to the thread.
    #[inline]
    fn give_back_input(&mut self) {
        if self.input.allocation() >= slab::SLAB_BYTES {
            slab::give(std::mem::take(&mut self.input).into_spare());
        } else if self.input.allocation() > 0 {
            self.input = Input::default();
        }
    }

    /// Lets time act. Ready only with an error, or when something changed that is to be looked at.
    fn poll_timeouts(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // While nothing is unfinished the deadline only moves away, so a timer that is set is early enough.
        let is_calm = self.close_deadline.is_none() && !self.decoder.is_mid_message();
        if is_calm && self.timer.wakes(cx) {
            return Poll::Pending;
        }
        let Some(deadline) = self.next_deadline() else { return Poll::Pending };
        ready!(self.timer.poll_until(cx, deadline));
        if self.is_overdue() {
            self.end();
            return Poll::Ready(Err(Error::Timeout(TimeoutKind::Close)));
        }
        let now = Instant::now();
        if let Err(violation) = self.decoder.handle_timeout(now.into_std()) {
            self.fail(violation);
            return Poll::Ready(Ok(()));
        }
        let Some(keepalive) = &mut self.keepalive else { return Poll::Ready(Ok(())) };
        let mut writer = self.link.lock();
        if writer.buffered() > 0 || writer.encoder.is_closing() {
            // A ping would come behind what waits, or is not sent any more; the write timeout or the close timeout
            // watches over the peer.
            keepalive.heard(now.into_std());
        }
        match keepalive.handle_timeout(now.into_std()) {
            KeepaliveAction::Ping(payload) => {
                // An idle connection keeps nothing for speed alone.
                writer.encoder.release_idle();
                slab::release_idle();
                // A connection that is closing sends no ping: the close timeout watches over it.
                let _ = writer.encoder.ping(&payload);
                self.link.flush_locked(&mut writer);
            }
            KeepaliveAction::Dead => {
                drop(writer);
                self.end();
                return Poll::Ready(Err(Error::Timeout(TimeoutKind::Keepalive)));
            }
            KeepaliveAction::Wait => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the closing handshake should be over.
    #[inline]
    fn is_overdue(&self) -> bool {
        self.close_deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().and_then(Keepalive::poll_timeout);
        let protocol = earlier(keepalive, self.decoder.poll_timeout());
        earlier(protocol, self.close_deadline.map(Instant::into_std)).map(Instant::from_std)
    }

    /// Writes what is left, then waits until the peer has ended its direction too; what it sends is discarded.
    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_overdue() {
            return Poll::Ready(());
        }
        for _ in 0..READS_PER_POLL {
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
                    return self.timer.poll_until(cx, deadline);
                }
            }
        }
        // A peer that sends faster than this reads must not keep the thread.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the connection without a closing handshake.
    fn end(&mut self) {
        self.end_with(false);
    }

    /// Ends the connection and gives back everything.
    fn end_with(&mut self, clean: bool) {
        self.phase = Phase::Closed;
        self.give_back_input();
        self.io = None;
        self.timer = Timer::default();
        self.link.ended(clean);
    }

    pub(crate) fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_deref()
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.keepalive.as_ref().and_then(Keepalive::round_trip)
    }

    /// Whether more has arrived than was decoded.
    #[inline]
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }
}

/// The earlier of two times, of which either may be missing.
#[inline]
fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Drop for Reader {
    /// Takes the connection down: what is queued is still written, then the transport ends without a Close frame.
    /// Where a panic is the reason the peer is told so, with 1011.
    fn drop(&mut self) {
        if self.phase != Phase::Closed {
            self.give_back_input();
            self.link.abandon();
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("role", &self.decoder.role())
            .field("phase", &self.phase)
            .field("close_frame", &self.close_frame)
            .finish_non_exhaustive()
    }
}
