//! One session: what its transports, its handler and the heartbeat share.
//!
//! A session on a WebSocket keeps next to nothing here: messages go straight to the WebSocket's own outbox, and come
//! straight from its receiver. A session that polls has an outbox, from which polls take, and an inbox.

use super::handshake::{Handshake, Headers};
use super::packet::{self, CLOSE, NOOP};
use super::sender::SendError;
use super::sessions::Sessions;
use super::{Rejection, payload};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;
use vaiven::{Message, Prepared, PreparedBatch, Receiver, Sender};

/// The future of a handler.
pub(super) type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a session's messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    /// The name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The client went away, or said that it is done.
    TransportClose,
    /// The transport failed, or was used wrongly.
    TransportError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent something that is no packet.
    ParseError,
    /// This side closed it.
    ForcedClose,
}

impl EndReason {
    /// The reason as the protocol's clients and servers name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) struct Session {
    pub(super) handshake: Arc<Handshake>,
    pub(super) sessions: Arc<Sessions>,
    /// Set once everything that is sent goes over a WebSocket: read without the lock.
    socket: OnceLock<Sender>,
    /// Set with the reason in the state, and read without the lock.
    has_ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    end: Option<EndReason>,
    /// When the ping that is under way must be answered.
    pong_deadline: Option<Instant>,
    /// The handler's task, which waits for a message.
    receiver: Option<Waker>,
    /// Messages that came by requests.
    inbox: VecDeque<Message>,
    /// None on a WebSocket.
    polling: Option<Box<Polling>>,
    /// The WebSocket that is to be read from now on.
    upgraded: Option<Receiver>,
    /// Tasks that wait until nothing waits to be sent.
    flushing: Vec<Waker>,
}

/// The transport of a session that polls.
#[derive(Default)]
struct Polling {
    outbox: VecDeque<Message>,
    outbox_bytes: usize,
    /// A GET waits, or is being answered.
    has_poll: bool,
    poll: Option<Waker>,
    /// A POST is being read.
    has_post: bool,
    post: Option<Waker>,
    upgrade: Upgrade,
    /// The fields of the latest POST.
    headers: Option<Arc<Headers>>,
}

/// Where a session stands on its way to a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Upgrade {
    #[default]
    None,
    /// A WebSocket is there.
    Begun,
    /// It works: nothing is given to polls any more, so that whatever is sent now comes behind what they were given.
    Probed,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Keeps the task of `cx` to be woken.
fn keep(waker: &mut Option<Waker>, cx: &Context<'_>) {
    if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}

impl State {
    fn wake_flushing(&mut self) {
        for waker in std::mem::take(&mut self.flushing) {
            waker.wake();
        }
    }
}

/// What a handler's task finds when it looks for a message.
pub(super) enum Arrival {
    Message(Message),
    /// From here on messages come from here.
    Upgraded(Receiver),
    Ended,
}

impl Session {
    pub(super) fn polling(handshake: Arc<Handshake>, sessions: Arc<Sessions>) -> Self {
        let state = State { polling: Some(Box::default()), ..State::default() };
        let (socket, has_ended) = (OnceLock::new(), AtomicBool::new(false));
        Self { handshake, sessions, socket, has_ended, state: Mutex::new(state) }
    }

    pub(super) fn on_websocket(handshake: Arc<Handshake>, sessions: Arc<Sessions>, socket: Sender) -> Self {
        let (socket, has_ended) = (OnceLock::from(socket), AtomicBool::new(false));
        Self { handshake, sessions, socket, has_ended, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sending side of the WebSocket, once there is nothing but it.
    pub(super) fn socket(&self) -> Option<&Sender> {
        self.socket.get()
    }

    pub(super) fn transport(&self) -> Transport {
        if self.socket.get().is_some() { Transport::WebSocket } else { Transport::Polling }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    pub(super) fn end_reason(&self) -> Option<EndReason> {
        if self.has_ended() { self.lock().end } else { None }
    }

    /// The fields of the latest POST.
    pub(super) fn request_headers(&self) -> Option<Arc<Headers>> {
        self.lock().polling.as_ref().and_then(|polling| polling.headers.clone())
    }

    // How it ends.

    /// Ends the session for a reason of its own. The first reason counts.
    pub(super) fn end(self: &Arc<Self>, reason: EndReason) {
        self.end_with(reason, CLOSE);
    }

    /// Ends the session since the client said so: its poll, which it has often under way, is answered with nothing.
    pub(super) fn end_by_client(self: &Arc<Self>) {
        self.end_with(EndReason::TransportClose, NOOP);
    }

    /// Ends the session since its client went away.
    pub(super) fn end_by_absence(self: &Arc<Self>) {
        self.end(EndReason::TransportClose);
    }

    fn end_with(self: &Arc<Self>, reason: EndReason, farewell: Message) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.end = Some(reason);
        self.has_ended.store(true, Ordering::Release);
        let is_orderly = reason == EndReason::ForcedClose || farewell == NOOP;
        if reason == EndReason::ForcedClose {
            state.inbox.clear();
        }
        let mut lingers = false;
        if let Some(polling) = &mut state.polling {
            if reason != EndReason::ForcedClose {
                polling.outbox.clear();
            }
            polling.outbox.push_back(farewell);
            wake(&mut polling.poll);
            wake(&mut polling.post);
            lingers = is_orderly && !polling.has_poll;
        }
        wake(&mut state.receiver);
        state.wake_flushing();
        drop(state);
        if let Some(socket) = self.socket.get() {
            socket.close(None);
        }
        if lingers {
            self.sessions.heartbeat().linger(self);
        } else {
            self.sessions.remove(&self.handshake.sid);
        }
    }

    // The heartbeat.

    /// Sends a ping that is to be answered by `deadline`; `false` on a session that is over.
    pub(super) fn ping(&self, batch: &PreparedBatch, deadline: Instant) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        state.pong_deadline = Some(deadline);
        if let Some(socket) = self.socket.get() {
            // Where the outbox is full, the client reads too slowly: the write timeout ends it, or the missing pong.
            socket.try_send_batch(batch);
        } else if let Some(polling) = &mut state.polling {
            polling.outbox.push_back(packet::PING);
            wake(&mut polling.poll);
        }
        true
    }

    /// The answer to a ping.
    pub(super) fn pong(self: &Arc<Self>) {
        // A pong that nobody asked for is no reason for another ping.
        if self.lock().pong_deadline.take().is_some() {
            self.sessions.heartbeat().begin(self);
        }
    }

    /// The time for a pong is over. The handler's task looks at what has arrived before it believes so. Gives the next
    /// deadline where the client cannot be blamed.
    pub(super) fn pong_is_due(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let late = state.pong_deadline.is_some_and(|deadline| deadline <= now);
        if state.end.is_some() {
            // It lingered for a last poll, which did not come.
            drop(state);
            self.sessions.remove(&self.handshake.sid);
            return None;
        }
        if !late {
            return None;
        }
        if let Some(polling) = &state.polling {
            // A pong cannot overtake a request that waits for the handler.
            if polling.has_post || !state.inbox.is_empty() {
                let later = now + self.sessions.config().ping_timeout;
                state.pong_deadline = Some(later);
                return Some(later);
            }
            drop(state);
            self.end(EndReason::PingTimeout);
        } else {
            wake(&mut state.receiver);
        }
        None
    }

    /// Whether the client answered too late, at a moment at which everything was read that has arrived.
    fn is_late(state: &State) -> bool {
        state.pong_deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    // What the handler's task does.

    /// Nothing has arrived at the WebSocket: whether the session is over, or else to be woken.
    pub(super) fn poll_end(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        if Self::is_late(&state) {
            drop(state);
            self.end(EndReason::PingTimeout);
            return Poll::Ready(());
        }
        keep(&mut state.receiver, cx);
        Poll::Pending
    }

    /// Waits for what a session that polls is to be told.
    pub(super) fn poll_arrival(&self, cx: &mut Context<'_>) -> Poll<Arrival> {
        let mut state = self.lock();
        if let Some(message) = state.inbox.pop_front() {
            if state.inbox.is_empty()
                && let Some(polling) = &mut state.polling
            {
                wake(&mut polling.post);
            }
            return Poll::Ready(Arrival::Message(message));
        }
        state.inbox = VecDeque::new();
        if let Some(receiver) = state.upgraded.take() {
            return Poll::Ready(Arrival::Upgraded(receiver));
        }
        if state.end.is_some() {
            return Poll::Ready(Arrival::Ended);
        }
        keep(&mut state.receiver, cx);
        Poll::Pending
    }

    // What senders do.

    /// Queues packets for polls, all or none. `None` on a WebSocket, which is to be asked itself.
    pub(super) fn queue(
        &self,
        packets: impl Iterator<Item = Message> + Clone,
    ) -> Option<Result<(), SendError>> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Some(Err(SendError::Closed));
        }
        let polling = state.polling.as_mut()?;
        let len: usize = packets.clone().map(|packet| packet.len()).sum();
        let max = self.sessions.config().outbox_bytes;
        if polling.outbox_bytes > 0 && polling.outbox_bytes.saturating_add(len) > max {
            return Some(Err(SendError::Full));
        }
        polling.outbox_bytes += len;
        polling.outbox.extend(packets);
        if polling.upgrade != Upgrade::Probed {
            wake(&mut polling.poll);
        }
        Some(Ok(()))
    }

    /// Whether a poll waits for something to take.
    pub(super) fn has_idle_poll(&self) -> bool {
        let state = self.lock();
        let is_idle = |polling: &Polling| {
            polling.has_poll && polling.outbox.is_empty() && polling.upgrade != Upgrade::Probed
        };
        state.end.is_none() && state.polling.as_deref().is_some_and(is_idle)
    }

    /// Waits until polls have taken everything, the session is over, or on a WebSocket.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let is_empty = state.polling.as_ref().is_none_or(|polling| polling.outbox.is_empty());
        if state.end.is_some() || is_empty {
            return Poll::Ready(());
        }
        if !state.flushing.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.flushing.push(cx.waker().clone());
        }
        Poll::Pending
    }

    // What polls do.

    /// Begins a GET. A second one at the same time ends the session.
    pub(super) fn begin_poll(self: &Arc<Self>) -> Result<(), Rejection> {
        let mut state = self.lock();
        let late = Self::is_late(&state) && state.inbox.is_empty();
        let Some(polling) = &mut state.polling else { return Err(Rejection::BAD_REQUEST) };
        let second = polling.has_poll;
        polling.has_poll = !late;
        if state.end.is_some() {
            return if second { Err(Rejection::UNKNOWN_SID) } else { Ok(()) };
        }
        drop(state);
        if second {
            self.end(EndReason::TransportError);
            return Err(Rejection::BAD_REQUEST);
        }
        if late {
            self.end(EndReason::PingTimeout);
            return Err(Rejection::UNKNOWN_SID);
        }
        Ok(())
    }

    /// Waits until there is something to answer a poll with. One that waits already when a WebSocket turns out to work is
    /// answered at once; one that `came_late` waits for the outcome.
    pub(super) fn poll_outgoing(&self, came_late: bool, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let is_over = state.end.is_some();
        let Some(polling) = &mut state.polling else { return Poll::Ready(()) };
        let is_ready = match polling.upgrade {
            Upgrade::Probed => !came_late,
            Upgrade::None | Upgrade::Begun => !polling.outbox.is_empty(),
        };
        if is_over || is_ready {
            return Poll::Ready(());
        }
        keep(&mut polling.poll, cx);
        Poll::Pending
    }

    /// Whether a WebSocket is about to take over, so that a poll is not to be kept.
    pub(super) fn is_probed(&self) -> bool {
        self.lock().polling.as_ref().is_some_and(|polling| polling.upgrade == Upgrade::Probed)
    }

    /// Takes what a poll is answered with: everything that waits, or nothing where that is held back. `None` where a
    /// WebSocket has taken over.
    pub(super) fn end_poll(&self) -> Option<String> {
        let mut state = self.lock();
        let is_over = state.end.is_some();
        let polling = state.polling.as_mut()?;
        polling.has_poll = false;
        polling.poll = None;
        if (polling.upgrade == Upgrade::Probed && !is_over) || polling.outbox.is_empty() {
            return Some(payload::encode([&NOOP]));
        }
        polling.outbox_bytes = 0;
        let payload = payload::encode(&polling.outbox);
        polling.outbox = VecDeque::new();
        state.wake_flushing();
        drop(state);
        if is_over {
            self.sessions.remove(&self.handshake.sid);
        }
        Some(payload)
    }

    /// The client went away from its poll, and with it from the session.
    pub(super) fn cancel_poll(self: &Arc<Self>) {
        let is_polling = self.lock().polling.as_ref().is_some_and(|polling| polling.has_poll);
        if is_polling {
            self.end(EndReason::TransportClose);
        }
    }

    /// Begins a POST. A second one at the same time ends the session.
    pub(super) fn begin_post(self: &Arc<Self>, headers: Headers) -> Result<(), Rejection> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Err(Rejection::UNKNOWN_SID);
        }
        let Some(polling) = &mut state.polling else { return Err(Rejection::BAD_REQUEST) };
        if polling.has_post {
            drop(state);
            self.end(EndReason::TransportError);
            return Err(Rejection::BAD_REQUEST);
        }
        polling.has_post = true;
        polling.headers = Some(Arc::new(headers));
        Ok(())
    }

    /// Gives the messages of a POST to the handler, once it has had those before: so what waits for it is one payload.
    /// Ready with `false` where a WebSocket has taken over, behind whose messages they would be.
    pub(super) fn poll_deliver(&self, messages: &mut VecDeque<Message>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        let is_over = state.end.is_some();
        let has_unread = !state.inbox.is_empty();
        let Some(polling) = &mut state.polling else { return Poll::Ready(false) };
        if has_unread && !is_over {
            keep(&mut polling.post, cx);
            return Poll::Pending;
        }
        if !is_over {
            state.inbox.append(messages);
            wake(&mut state.receiver);
        }
        Poll::Ready(true)
    }

    pub(super) fn end_post(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.has_post = false;
        }
    }

    // The way to a WebSocket.

    /// A WebSocket is there; `false` where there is one already, or the session is over.
    pub(super) fn begin_upgrade(&self) -> bool {
        let mut state = self.lock();
        let is_over = state.end.is_some();
        match &mut state.polling {
            Some(polling) if polling.upgrade == Upgrade::None && !is_over => {
                polling.upgrade = Upgrade::Begun;
                true
            }
            _ => false,
        }
    }

    /// The WebSocket works: the poll that waits is answered, and later ones are given nothing.
    pub(super) fn probed(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.upgrade = Upgrade::Probed;
            wake(&mut polling.poll);
        }
    }

    /// The WebSocket went away: polls go on.
    pub(super) fn abandon_upgrade(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.upgrade = Upgrade::None;
            wake(&mut polling.poll);
        }
    }

    /// Goes on over the WebSocket: what waits is sent first, and whatever is sent from now on comes behind it.
    pub(super) fn upgrade(&self, socket: Sender, receiver: Receiver) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        let Some(mut polling) = state.polling.take() else { return };
        if !polling.outbox.is_empty() {
            // Together, since what is queued at once always fits where nothing waits.
            let frames = polling.outbox.drain(..).map(Prepared::new).collect();
            socket.try_send_batch(&PreparedBatch::new(frames));
        }
        let is_first = self.socket.set(socket).is_ok();
        debug_assert!(is_first, "a session is upgraded once");
        state.upgraded = Some(receiver);
        wake(&mut polling.poll);
        wake(&mut polling.post);
        wake(&mut state.receiver);
        state.wake_flushing();
    }
}
