//! Acknowledgements that are still to come.

use super::{AckError, Socket, SocketId, lock};
use crate::packet::Args;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep};

/// Who waits for an acknowledgement.
pub(super) enum Waiter {
    /// One event to one socket.
    One(oneshot::Sender<Args>),
    /// The same event to many.
    Many(mpsc::UnboundedSender<(SocketId, Args)>),
}

/// The acknowledgements that a socket owes, by number. Empty it owns no memory.
#[derive(Default)]
pub(super) struct Pending(Mutex<BTreeMap<u64, Waiter>>);

impl Pending {
    /// Waits for one more; `false` where `max` wait already.
    pub(super) fn add(&self, id: u64, waiter: Waiter, max: usize) -> bool {
        let mut pending = lock(&self.0);
        if pending.len() >= max {
            return false;
        }
        pending.insert(id, waiter);
        true
    }

    /// Takes the one who waits for this number.
    pub(super) fn take(&self, id: u64) -> Option<Waiter> {
        lock(&self.0).remove(&id)
    }

    /// No acknowledgement will come any more.
    pub(super) fn clear(&self) {
        let gone = std::mem::take(&mut *lock(&self.0));
        drop(gone);
    }
}

impl Waiter {
    /// The client has answered. Who does not want to know any more has dropped the other end.
    pub(super) fn answer(self, id: &SocketId, args: Args) {
        match self {
            Self::One(waiter) => drop(waiter.send(args)),
            Self::Many(waiter) => drop(waiter.send((id.clone(), args))),
        }
    }
}

/// Forgets who waited when nobody wants the answer any more.
struct Forget {
    id: u64,
    sockets: Vec<Socket>,
}

impl Drop for Forget {
    fn drop(&mut self) {
        for socket in &self.sockets {
            drop(socket.pending().take(self.id));
        }
    }
}

/// The acknowledgement of an event, which is sent already: it need not be awaited.
#[must_use = "the event is sent, but only awaiting this tells what the client answers"]
pub struct AwaitAck {
    state: Result<Waiting, Option<AckError>>,
}

struct Waiting {
    answer: oneshot::Receiver<Args>,
    timeout: Pin<Box<Sleep>>,
    _forget: Forget,
}

impl AwaitAck {
    pub(super) fn new(id: u64, socket: Socket, answer: oneshot::Receiver<Args>, timeout: Duration) -> Self {
        let forget = Forget { id, sockets: vec![socket] };
        Self { state: Ok(Waiting { answer, timeout: Box::pin(sleep(timeout)), _forget: forget }) }
    }

    pub(super) fn failed(error: AckError) -> Self {
        Self { state: Err(Some(error)) }
    }
}

impl Future for AwaitAck {
    type Output = Result<Args, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            Ok(waiting) => {
                if let Poll::Ready(answer) = Pin::new(&mut waiting.answer).poll(cx) {
                    return Poll::Ready(answer.map_err(|_| AckError::Disconnected));
                }
                ready!(waiting.timeout.as_mut().poll(cx));
                Poll::Ready(Err(AckError::Timeout))
            }
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(AckError::Disconnected))),
        }
    }
}

impl fmt::Debug for AwaitAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitAck").field("sent", &self.state.is_ok()).finish_non_exhaustive()
    }
}

/// The acknowledgements of an event that was sent to many sockets, one after the other as they come.
#[must_use = "the event is sent, but only this tells what the clients answer"]
pub struct Acks {
    answers: mpsc::UnboundedReceiver<(SocketId, Args)>,
    timeout: Pin<Box<Sleep>>,
    expected: usize,
    _forget: Forget,
}

impl Acks {
    pub(super) fn new(
        id: u64,
        sockets: Vec<Socket>,
        answers: mpsc::UnboundedReceiver<(SocketId, Args)>,
        timeout: Duration,
    ) -> Self {
        let expected = sockets.len();
        Self { answers, timeout: Box::pin(sleep(timeout)), expected, _forget: Forget { id, sockets } }
    }

    /// How many sockets the event was sent to.
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// The next answer; `None` when all have answered or left, or the time is over.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Option<(SocketId, Args)> {
        tokio::select! {
            biased;
            answer = self.answers.recv() => answer,
            () = &mut self.timeout => None,
        }
    }

    /// All answers that come in time.
    pub async fn all(mut self) -> Vec<(SocketId, Args)> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }
}

impl fmt::Debug for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acks").field("expected", &self.expected).finish_non_exhaustive()
    }
}
