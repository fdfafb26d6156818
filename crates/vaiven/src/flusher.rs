//! Writes at the end of a wake-up what was queued in its course.
//!
//! Each thread has one flusher per runtime: a task that is woken by the first connection that is listed with it and
//! runs when the task that queued has yielded. So ten messages to one peer leave in one write, and one message to
//! a thousand peers costs no task wake-up for each of them.

use crate::link::Link;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

#[derive(Default)]
struct Flusher {
    links: Mutex<Vec<Arc<Link>>>,
    listed: Notify,
}

thread_local! {
    static FLUSHER: RefCell<Option<(Id, Arc<Flusher>)>> = const { RefCell::new(None) };
}

/// Connections that are written to before other tasks get a turn.
const BATCH: usize = 128;

/// Lists a connection to be flushed. `false` on a thread that is none of the connection's runtime, and at the end
/// of a thread: then the caller writes at once.
pub(crate) fn schedule(link: &Arc<Link>) -> bool {
    let here = Handle::try_current().is_ok_and(|handle| handle.id() == link.runtime().id());
    here && FLUSHER
        .try_with(|flusher| {
            let mut flusher = flusher.borrow_mut();
            match &*flusher {
                Some((id, flusher)) if *id == link.runtime().id() => flusher.list(link),
                _ => {
                    let new = Arc::<Flusher>::default();
                    new.list(link);
                    link.runtime().spawn(Arc::clone(&new).run());
                    *flusher = Some((link.runtime().id(), new));
                }
            }
        })
        .is_ok()
}

impl Flusher {
    fn list(&self, link: &Arc<Link>) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(Arc::clone(link));
        if links.len() == 1 {
            self.listed.notify_one();
        }
    }

    async fn run(self: Arc<Self>) {
        let mut batch = Vec::new();
        loop {
            self.listed.notified().await;
            std::mem::swap(&mut batch, &mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(BATCH));
                for link in batch.drain(..) {
                    link.flush_scheduled();
                }
                batch = rest;
                if !batch.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            if batch.capacity() > BATCH {
                batch = Vec::new();
            }
        }
    }
}
