//! What runs a server from outside: counts, and the way to its end in which no connection is forgotten.

use super::registry::Shared;
use crate::deadline;
use crate::sender::Sender;
use crate::{CloseCode, CloseFrame, WebSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How often a drain closes a batch of connections.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How long handlers may tidy up behind a connection that was aborted, before they are ended too.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// Looks after a [`Server`](super::Server) that runs elsewhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    pub(super) shared: Arc<Shared>,
}

/// How a drain goes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainOptions {
    /// The code of the Close frames. 1012, Service Restart, which asks clients to come back; 1001 is for a server
    /// that goes away for good.
    pub code: CloseCode,
    /// The reason in the Close frames. None.
    pub reason: String,
    /// The time over which the Close frames are spread, in batches, so that the clients do not come back together.
    /// 20 s.
    pub over: Duration,
    /// When the drain is over in any case: connections that are still open are aborted. 30 s.
    pub timeout: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            code: CloseCode::RESTART,
            reason: String::new(),
            over: Duration::from_secs(20),
            timeout: Duration::from_secs(30),
        }
    }
}

impl DrainOptions {
    /// The same with all Close frames at once.
    pub fn at_once(self) -> Self {
        Self { over: Duration::ZERO, ..self }
    }
}

/// What came of a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open at its beginning, handshakes under way and plain HTTP included.
    pub connections: usize,
    /// WebSockets among them that were sent a Close frame.
    pub closed: usize,
    /// Connections, or tasks that take care of one, that were still there at the timeout and were aborted.
    pub aborted: usize,
    /// Those of them that did not end even so: a handler that blocks its thread, or a transport that was taken out
    /// with [`Handshake::into_parts`](super::Handshake::into_parts) and is still held.
    pub left: usize,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounts {
    /// Connections now, handshakes under way and plain HTTP included.
    pub connections: usize,
    /// WebSockets now.
    pub websockets: usize,
    /// Connections let in so far.
    pub accepted: u64,
    /// Connections refused so far with an answer, before a handler saw them.
    pub refused: u64,
    /// Connections closed so far without a word, since too many were being refused or, under TLS, begun.
    pub dropped: u64,
    /// TLS handshakes that failed or took too long.
    pub tls_failures: u64,
    /// Times at which the system could not accept a connection, for want of files or memory.
    pub accept_errors: u64,
    /// Handlers that panicked.
    pub panics: u64,
}

impl ServerHandle {
    /// A handle without a listener, for connections that another server accepts: give it each with
    /// [`track`](Self::track), and drain them when that server stops.
    pub fn detached() -> Self {
        Self { shared: Shared::new(Arc::default(), None) }
    }

    /// Counts a connection that another server accepted, wherever it is moved. Limits are that server's. Once a
    /// drain has begun the connection is closed at once.
    ///
    /// # Panics
    /// If the connection is counted already, as those of a [`Server`](super::Server) are.
    pub fn track(&self, socket: &WebSocket) {
        socket.set_permit(self.shared.admit_foreign());
    }

    /// Where the server stands.
    pub fn counts(&self) -> ServerCounts {
        self.shared.counts()
    }

    /// The connections that the server takes: `max_connections`, lowered to what the process may open.
    pub fn max_connections(&self) -> usize {
        self.shared.max_connections()
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Waits until a drain begins: for plain HTTP connections, which end themselves.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn draining(&self) {
        self.shared.draining().await;
    }

    /// Lets nobody in from here on: the listener closes at once, handshakes under way are refused with 503, and a
    /// WebSocket that comes of one all the same is closed with this code. Those that are open stay, so that a program can
    /// say goodbye in its own words before it [drains](Self::drain).
    pub fn close_listener(&self, code: impl Into<CloseCode>, reason: &str) {
        self.shared.begin_drain(CloseFrame::new(code, reason));
    }

    /// Ends the server without forgetting a connection. The listener closes at once; handshakes under way are
    /// refused with 503 and a random `Retry-After`; each WebSocket gets a Close frame, in batches; then all are
    /// waited for, wherever they were moved; what is left at the timeout is aborted.
    ///
    /// A second drain beside a first one has its own pace and timeout: `over` and `timeout` of zero end everything
    /// now.
    ///
    /// # Cancel safety
    /// Dropped, it stops closing connections; the server lets nobody in all the same. Another call goes on.
    pub async fn drain(&self, options: DrainOptions) -> DrainReport {
        let deadline = deadline::after(options.timeout);
        let frame = CloseFrame::new(options.code, &options.reason);
        self.shared.begin_drain(frame.clone());
        let mut report = DrainReport { connections: self.shared.places(), ..DrainReport::default() };
        let closing = self.close_in_batches(&frame, options.over, &mut report.closed);
        let _ = timeout_at(deadline, closing).await;
        if timeout_at(deadline, self.shared.all_gone()).await.is_err() {
            report.aborted = self.shared.places();
            self.abort().await;
            report.left = self.shared.places();
        }
        self.shared.end_drain();
        report
    }

    async fn close_in_batches(&self, frame: &CloseFrame, over: Duration, closed: &mut usize) {
        let links = self.shared.links();
        let batches = (over.as_millis() / BATCH_INTERVAL.as_millis()).max(1);
        let batch = links.len().div_ceil(usize::try_from(batches).unwrap_or(usize::MAX)).max(1);
        for (number, links) in links.chunks(batch).enumerate() {
            if number > 0 {
                sleep(BATCH_INTERVAL.min(over)).await;
            }
            for link in links.iter().filter_map(std::sync::Weak::upgrade) {
                Sender::new(link).close(Some(frame));
                *closed += 1;
            }
        }
    }

    /// Drops every connection, and then the tasks that do not end with theirs.
    async fn abort(&self) {
        for link in self.shared.links().iter().filter_map(std::sync::Weak::upgrade) {
            link.abort();
        }
        let grace = Instant::now() + ABORT_GRACE;
        if timeout_at(grace, self.shared.all_gone()).await.is_ok() {
            return;
        }
        for task in self.shared.tasks() {
            task.abort();
        }
        let _ = timeout_at(Instant::now() + ABORT_GRACE, self.shared.all_gone()).await;
    }
}
