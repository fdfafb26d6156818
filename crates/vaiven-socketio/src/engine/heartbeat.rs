//! Pings, and the end of sessions that do not answer.
//!
//! The server asks and the client answers (version 4 of the protocol). All sessions of an engine wait equally long, so two
//! queues in order of time are all the timers that there are, and one task serves them: a session that waits has none.

use super::packet::PING;
use super::session::Session;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use vaiven::{Prepared, PreparedBatch};

/// Room for sessions that is not given back when they are gone.
const SPARE: usize = 1024;

pub(super) struct Heartbeat {
    ping_interval: Duration,
    ping_timeout: Duration,
    ping: PreparedBatch,
    queues: Mutex<Queues>,
    /// Something is to be done earlier than the task knows.
    hurry: Notify,
}

#[derive(Default)]
struct Queues {
    /// Who is to be asked, and when.
    pings: VecDeque<(Instant, Weak<Session>)>,
    /// Who must have answered, or must be gone.
    ends: VecDeque<(Instant, Weak<Session>)>,
    is_served: bool,
}

impl Queues {
    fn next(&self) -> Option<Instant> {
        let (ping, end) = (self.pings.front(), self.ends.front());
        ping.into_iter().chain(end).map(|(at, _)| *at).min()
    }
}

fn take_due(
    queue: &mut VecDeque<(Instant, Weak<Session>)>,
    now: Instant,
) -> Option<(Instant, Weak<Session>)> {
    if queue.front().is_none_or(|(at, _)| *at > now) {
        return None;
    }
    let due = queue.pop_front();
    if queue.capacity() > SPARE && queue.len() < queue.capacity() / 8 {
        let len = queue.len();
        queue.shrink_to((2 * len).max(SPARE));
    }
    due
}

impl Heartbeat {
    pub(super) fn new(ping_interval: Duration, ping_timeout: Duration) -> Arc<Self> {
        let ping = PreparedBatch::new(vec![Prepared::new(PING)]);
        Arc::new(Self { ping_interval, ping_timeout, ping, queues: Mutex::default(), hurry: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a session pinged once after the interval.
    pub(super) fn begin(self: &Arc<Self>, session: &Arc<Session>) {
        let mut queues = self.lock();
        // Read under the lock, so that the queue is in order.
        let at = Instant::now() + self.ping_interval;
        queues.pings.push_back((at, Arc::downgrade(session)));
        self.serve(queues, at);
    }

    /// Has a session that is over forgotten, unless it is gone before.
    pub(super) fn linger(self: &Arc<Self>, session: &Arc<Session>) {
        let mut queues = self.lock();
        let at = Instant::now() + self.ping_timeout;
        queues.ends.push_back((at, Arc::downgrade(session)));
        self.serve(queues, at);
    }

    fn serve(self: &Arc<Self>, mut queues: MutexGuard<'_, Queues>, at: Instant) {
        if !std::mem::replace(&mut queues.is_served, true) {
            tokio::spawn(Arc::clone(self).run());
        } else if queues.next() == Some(at) {
            self.hurry.notify_one();
        }
    }

    /// Runs until nothing is left to do.
    async fn run(self: Arc<Self>) {
        let serving = Serving(&self);
        loop {
            let next = {
                let mut queues = self.lock();
                let Some(next) = queues.next() else {
                    queues.is_served = false;
                    // From here on it may be another task's turn.
                    return std::mem::forget(serving);
                };
                next
            };
            tokio::select! {
                () = sleep_until(next) => self.tick(Instant::now()),
                () = self.hurry.notified() => {}
            }
        }
    }

    fn tick(self: &Arc<Self>, now: Instant) {
        loop {
            let due = take_due(&mut self.lock().pings, now);
            let Some((at, session)) = due else { break };
            let deadline = at + self.ping_timeout;
            let is_open = session.upgrade().is_some_and(|session| session.ping(&self.ping, deadline));
            if is_open {
                self.lock().ends.push_back((deadline, session));
            }
        }
        loop {
            let due = take_due(&mut self.lock().ends, now);
            let Some((_, session)) = due else { break };
            let later = session.upgrade().and_then(|session| session.pong_is_due(now));
            if let Some(later) = later {
                self.lock().ends.push_back((later, session));
            }
        }
    }
}

/// The task that serves the queues. Should its runtime end before them, the next session begins another one.
struct Serving<'a>(&'a Heartbeat);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.lock().is_served = false;
    }
}
