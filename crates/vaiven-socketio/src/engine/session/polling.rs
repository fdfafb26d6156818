//! A session that polls: what waits for its polls, and what its posts bring.

use super::{Headers, Polling, Session, Upgrade, keep, wake};
use crate::engine::packet::NOOP;
use crate::engine::sender::SendError;
use crate::engine::{EndReason, Rejection, payload};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use vaiven::Message;

/// What senders do.
impl Session {
    // What senders do.

    /// Queues packets for polls, all or none. `None` on a WebSocket, which is to be asked itself.
    pub(in crate::engine) fn queue(
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
    pub(in crate::engine) fn has_idle_poll(&self) -> bool {
        let state = self.lock();
        let is_idle = |polling: &Polling| {
            polling.has_poll && polling.outbox.is_empty() && polling.upgrade != Upgrade::Probed
        };
        state.end.is_none() && state.polling.as_deref().is_some_and(is_idle)
    }

    /// Waits until polls have taken everything, the session is over, or on a WebSocket.
    pub(in crate::engine) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
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
}

/// What polls and posts do.
impl Session {
    // What polls do.

    /// Begins a GET. A second one at the same time ends the session.
    pub(in crate::engine) fn begin_poll(self: &Arc<Self>) -> Result<(), Rejection> {
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
    pub(in crate::engine) fn poll_outgoing(&self, came_late: bool, cx: &mut Context<'_>) -> Poll<()> {
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
    pub(in crate::engine) fn is_probed(&self) -> bool {
        self.lock().polling.as_ref().is_some_and(|polling| polling.upgrade == Upgrade::Probed)
    }

    /// Takes what a poll is answered with: everything that waits, or nothing where that is held back. `None` where a
    /// WebSocket has taken over.
    pub(in crate::engine) fn end_poll(&self) -> Option<String> {
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
    pub(in crate::engine) fn cancel_poll(self: &Arc<Self>) {
        let is_polling = self.lock().polling.as_ref().is_some_and(|polling| polling.has_poll);
        if is_polling {
            self.end(EndReason::TransportClose);
        }
    }

    /// Begins a POST. A second one at the same time ends the session.
    pub(in crate::engine) fn begin_post(self: &Arc<Self>, headers: Headers) -> Result<(), Rejection> {
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
    pub(in crate::engine) fn poll_deliver(
        &self,
        messages: &mut VecDeque<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
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

    pub(in crate::engine) fn end_post(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.has_post = false;
        }
    }
}
