//! One session: what its transports, its handler and the heartbeat share.
//!
//! A session on a WebSocket keeps next to nothing here: messages go straight to the WebSocket's own outbox, and come
//! straight from its receiver. A session that polls has an outbox, from which polls take, and an inbox; what they do is in
//! `polling.rs`, and how a WebSocket takes over in `upgrade.rs`.

mod polling;
mod upgrade;

use super::handshake::{Handshake, Headers};
use super::packet::{self, CLOSE, NOOP};
use super::sessions::Sessions;
use super::{EndReason, Transport};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;
use vaiven::{Message, PreparedBatch, Receiver, Sender};

/// The future of a handler.
pub(super) type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Session {
    pub(super) handshake: Arc<Handshake>,
    pub(super) sessions: Arc<Sessions>,
    /// The client takes no binary messages.
    takes_only_text: bool,
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
        Self::new(handshake, sessions, OnceLock::new(), state)
    }

    pub(super) fn on_websocket(handshake: Arc<Handshake>, sessions: Arc<Sessions>, socket: Sender) -> Self {
        Self::new(handshake, sessions, OnceLock::from(socket), State::default())
    }

    fn new(
        handshake: Arc<Handshake>,
        sessions: Arc<Sessions>,
        socket: OnceLock<Sender>,
        state: State,
    ) -> Self {
        let takes_only_text = handshake.takes_only_text();
        let (has_ended, state) = (AtomicBool::new(false), Mutex::new(state));
        Self { handshake, sessions, takes_only_text, socket, has_ended, state }
    }

    /// A message as the packet that goes over the session's WebSocket.
    pub(super) fn encode(&self, message: &Message) -> Message {
        let packet = packet::encode(message);
        if self.takes_only_text { packet::as_text(packet) } else { packet }
    }

    pub(super) fn takes_only_text(&self) -> bool {
        self.takes_only_text
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
}
