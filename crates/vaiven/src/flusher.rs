//! Writes at the end of a wake-up what was queued in its course.
//!
//! Each thread has a flusher for the runtime that it works for: a task that is woken by the first connection that is
//! listed with it and runs when the task that queued has yielded. So ten messages to one peer leave in one write, and
//! one message to a thousand peers costs no task wake-up for each of them.

use crate::link::Link;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

#[derive(Default)]
struct Flusher {
    listed: Mutex<Listed>,
    wake: Notify,
}

#[derive(Default)]
struct Listed {
    links: Vec<Arc<Link>>,
    /// The task has ended, with its runtime; or it is to end, as its thread has.
    over: bool,
}

/// A thread's hold on its flusher: when the thread ends, or works for another runtime, the task ends too.
struct Held {
    runtime: Id,
    flusher: Arc<Flusher>,
}

/// The task's hold: when the task is dropped with its runtime, what is listed with it is let go.
struct Running(Arc<Flusher>);

thread_local! {
    static FLUSHER: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Connections that are written to before other tasks get a turn.
const BATCH: usize = 128;

/// Lists a connection to be flushed. `false` on a thread that is none of the connection's runtime, and at the end
/// of a thread: then the caller writes at once.
pub(crate) fn schedule(link: &Arc<Link>) -> bool {
    let runtime = link.runtime().id();
    let here = Handle::try_current().is_ok_and(|handle| handle.id() == runtime);
    here && FLUSHER
        .try_with(|held| {
            let mut held = held.borrow_mut();
            if held.as_ref().is_some_and(|held| held.runtime == runtime && held.flusher.list(link)) {
                return true;
            }
            let flusher = Arc::<Flusher>::default();
            let listed = flusher.list(link);
            link.runtime().spawn(run(Running(Arc::clone(&flusher))));
            *held = Some(Held { runtime, flusher });
            listed
        })
        .unwrap_or(false)
}

impl Flusher {
    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a connection, unless nobody will write to it.
    fn list(&self, link: &Arc<Link>) -> bool {
        let mut listed = self.lock();
        if listed.over {
            return false;
        }
        listed.links.push(Arc::clone(link));
        if listed.links.len() == 1 {
            self.wake.notify_one();
        }
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flusher.lock().over = true;
        self.flusher.wake.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut listed = self.0.lock();
        listed.over = true;
        let links = std::mem::take(&mut listed.links);
        drop(listed);
        drop(links);
    }
}

async fn run(running: Running) {
    let flusher = &running.0;
    let mut batch = Vec::new();
    loop {
        flusher.wake.notified().await;
        let over = {
            let mut listed = flusher.lock();
            std::mem::swap(&mut batch, &mut listed.links);
            listed.over
        };
        for (index, link) in batch.drain(..).enumerate() {
            // A stream or a waker of the application's own that panics ends its connection and no other.
            if catch_unwind(AssertUnwindSafe(|| link.flush_scheduled())).is_err() {
                link.abort();
            }
            if index % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        if over {
            return;
        }
        if batch.capacity() > BATCH {
            batch = Vec::new();
        }
    }
}
