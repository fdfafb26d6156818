//! Every open connection, so that none is forgotten when the server stops.

use slab::Slab;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use vaiven::{CloseFrame, Sender};

/// Connections that are closed between two pauses.
const BATCH: usize = 500;
/// The pause: 10,000 connections are told within a second.
const PAUSE: Duration = Duration::from_millis(50);

/// The open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<Slab<Sender>>,
    gone: Notify,
}

/// An open connection. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Open {
    connections: Arc<Connections>,
    key: usize,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Slab<Sender>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection until the returned value is dropped.
    pub(crate) fn open(self: &Arc<Self>, sender: Sender) -> Open {
        let key = self.lock().insert(sender);
        Open { connections: Arc::clone(self), key }
    }

    /// Closes all, in batches.
    pub(crate) async fn close_all(&self, frame: &CloseFrame) {
        let senders: Vec<Sender> = self.lock().iter().map(|(_, sender)| sender.clone()).collect();
        for (index, sender) in senders.iter().enumerate() {
            sender.close(Some(frame));
            if index % BATCH == BATCH - 1 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Waits until all are over; those that are not by the deadline are dropped. Says how many were.
    pub(crate) async fn all_gone(&self, deadline: Instant) -> usize {
        loop {
            let gone = self.gone.notified();
            if self.lock().is_empty() {
                return 0;
            }
            if tokio::time::timeout_at(deadline, gone).await.is_err() {
                let open = self.lock();
                open.iter().for_each(|(_, sender)| sender.abort());
                return open.len();
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        let sender = open.remove(self.key);
        let last = open.is_empty();
        drop(open);
        drop(sender);
        if last {
            self.connections.gone.notify_waiters();
        }
    }
}
