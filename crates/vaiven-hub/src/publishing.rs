//! The future of a publication: its order is fixed already, its outcome is awaited.

use crate::figures::Counters;
use crate::{PublishError, Published};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

type Outcome = Result<Published, PublishError>;

/// A publication under way. Its place in the order was fixed by the call that gave it; awaiting it says what became of
/// it. Dropped, the publication goes its way all the same.
///
/// It waits for the store, in a `reliable` channel; and in every channel for its subscribers' turn, when more is being
/// published than is delivered.
#[derive(Debug)]
#[must_use = "whether it was published is known when this is awaited"]
pub struct Publishing {
    outcome: State,
    /// Ready when the channel has delivered what was too much.
    room: Option<oneshot::Receiver<()>>,
    /// Where the outcome is counted.
    counters: Option<Arc<Counters>>,
}

#[derive(Debug)]
enum State {
    Known(Outcome),
    Awaited(oneshot::Receiver<Outcome>),
}

/// Tells the one who awaits a [`Publishing`] what became of it. Dropped without an outcome it says
/// [`PublishError::Unavailable`].
#[derive(Debug)]
pub struct Acknowledgement(oneshot::Sender<Outcome>);

impl Publishing {
    /// One whose outcome is known.
    pub fn ready(outcome: Result<Published, PublishError>) -> Self {
        Self { outcome: State::Known(outcome), room: None, counters: None }
    }

    /// One whose outcome will be told.
    pub fn pending() -> (Acknowledgement, Self) {
        let (sender, receiver) = oneshot::channel();
        (Acknowledgement(sender), Self { outcome: State::Awaited(receiver), room: None, counters: None })
    }

    pub(crate) fn counted(mut self, counters: &Arc<Counters>) -> Self {
        self.counters = Some(Arc::clone(counters));
        self
    }

    pub(crate) fn when_room(mut self, room: Option<oneshot::Receiver<()>>) -> Self {
        self.room = room;
        self
    }
}

impl Acknowledgement {
    /// Says what became of it.
    pub fn tell(self, outcome: Result<Published, PublishError>) {
        // Whoever published may have lost interest.
        drop(self.0.send(outcome));
    }
}

impl Future for Publishing {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(room) = &mut self.room {
            // A sender that is dropped means that the turn was ended by a fault: there is room too.
            let _ = ready!(Pin::new(room).poll(cx));
            self.room = None;
        }
        let outcome = match &mut self.outcome {
            State::Known(outcome) => outcome.clone(),
            State::Awaited(receiver) => {
                ready!(Pin::new(receiver).poll(cx)).unwrap_or(Err(PublishError::Unavailable))
            }
        };
        self.outcome = State::Known(outcome.clone());
        if let Some(counters) = self.counters.take() {
            counters.count_outcome(&outcome);
        }
        Poll::Ready(outcome)
    }
}
