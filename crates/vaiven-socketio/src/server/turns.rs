//! A socket's handlers, in the order of what happened.

use super::extract::EventContext;
use super::handler::Handling;
use super::namespace::Namespace;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Context;

/// What a socket's handlers still have to do, and those that are at it. Nothing is allocated where nothing happens.
#[derive(Default)]
pub(super) struct Turns {
    waiting: VecDeque<EventContext>,
    waiting_bytes: usize,
    running: Vec<Handling<()>>,
}

/// What became of the handlers in a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing ended.
    None,
    /// At least one ended.
    Some,
    /// One panicked.
    Panicked,
}

impl Turns {
    /// Adds what happened, behind everything else.
    pub(super) fn push(&mut self, context: EventContext) {
        self.waiting_bytes += context.bytes();
        self.waiting.push_back(context);
    }

    fn pop(&mut self) -> Option<EventContext> {
        let context = self.waiting.pop_front()?;
        self.waiting_bytes -= context.bytes();
        Some(context)
    }

    /// Drops what runs and what waits but the last, which is begun already where nothing waits.
    pub(super) fn keep_last(&mut self) {
        let last = self.waiting.pop_back();
        *self = Self::default();
        if let Some(last) = last {
            self.push(last);
        }
    }

    /// What waits for its turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of that.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Lets the handlers go on, and begins as many of those that wait as `namespace` allows.
    pub(super) fn poll(&mut self, namespace: &Namespace, cx: &mut Context<'_>) -> Progress {
        match catch_unwind(AssertUnwindSafe(|| self.poll_unguarded(namespace, cx))) {
            Ok(progress) => progress,
            Err(_panic) => {
                // What panicked is not polled again; what waited behind it is not begun.
                *self = Self::default();
                Progress::Panicked
            }
        }
    }

    fn poll_unguarded(&mut self, namespace: &Namespace, cx: &mut Context<'_>) -> Progress {
        let before = self.running.len();
        self.running.retain_mut(|handling| handling.as_mut().poll(cx).is_pending());
        let mut progress = if self.running.len() < before { Progress::Some } else { Progress::None };
        while self.running.len() < namespace.handlers_at_a_time() {
            let Some(context) = self.pop() else { break };
            progress = Progress::Some;
            let Some(mut handling) = namespace.begin(context) else { continue };
            // It runs up to its first await before the next one is begun.
            if handling.as_mut().poll(cx).is_pending() {
                self.running.push(handling);
            }
        }
        if self.is_idle() && self.waiting.capacity() > 0 {
            *self = Self::default();
        }
        progress
    }
}
