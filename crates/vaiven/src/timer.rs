//! The one timer of a connection: deadlines that move to a wake-up, without being set again each time they do.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a task at a deadline. It owns no memory before it is polled for the first time.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes: polled again by the same task, it need not be registered again.
    waker: Option<Waker>,
}

impl Timer {
    /// Whether it will wake this task, at the deadline of the last poll or before.
    #[inline]
    pub(crate) fn wakes(&self, cx: &Context<'_>) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
            && self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
    }

    /// Waits for the deadline. It is set earlier when it must be; a deadline that moved on is looked at when the timer
    /// fires, so that traffic does not set it again and again.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
            self.waker = None;
        }
        let is_registered = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_registered && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
