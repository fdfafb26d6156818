//! All connections that are open, so that they can be shown, and ended from outside.

use super::outlet::Farewell;
use futures_util::task::AtomicWaker;
use slab::Slab;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Instant;
use tokio::sync::Notify;
use vaiven::{CloseFrame, Sender};
use vaiven_hub::Publisher;

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<Slab<Arc<Entry>>>,
    /// Told when the last one has gone.
    emptied: Notify,
}

/// A connection that is known. Dropped, it is not any more.
#[derive(Debug)]
pub(crate) struct Registered {
    sessions: Arc<Sessions>,
    entry: Arc<Entry>,
    key: usize,
}

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    route: &'static str,
    since: Instant,
    who: Mutex<Who>,
    channels: AtomicU64,
    end: EndFrom,
}

/// Who a connection is.
#[derive(Debug, Default)]
struct Who {
    client: Option<Arc<str>>,
    user: Option<Arc<str>>,
    token_id: Option<Arc<str>>,
}

/// How a connection is ended from outside.
#[derive(Debug)]
enum EndFrom {
    /// By a Close frame at once.
    Sender(Sender),
    /// By its session, which answers what is under way first.
    Session { farewell: Mutex<Option<Farewell>>, waker: AtomicWaker },
}

/// A connection, as the API shows it.
#[derive(Clone, Debug)]
pub(crate) struct SessionInfo {
    pub(crate) route: &'static str,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) channels: u64,
    pub(crate) since: Instant,
}

/// Which connections are meant.
#[derive(Clone, Debug)]
pub(crate) enum Which<'a> {
    Client(&'a str),
    User(&'a str),
    Token(&'a str),
}

impl Sessions {
    /// Knows a plain member of a room.
    pub(super) fn enter_plain(
        self: &Arc<Self>,
        sender: Sender,
        publisher: &Publisher,
        route: &'static str,
    ) -> Registered {
        let who =
            Who { client: Some(Arc::clone(&publisher.client)), user: publisher.user.clone(), token_id: None };
        self.enter(EndFrom::Sender(sender), who, route)
    }

    /// Knows an echo.
    pub(super) fn enter_echo(self: &Arc<Self>, sender: Sender, route: &'static str) -> Registered {
        self.enter(EndFrom::Sender(sender), Who::default(), route)
    }

    /// Knows a session, which says later who it is.
    pub(super) fn enter_session(self: &Arc<Self>, route: &'static str) -> Registered {
        let end = EndFrom::Session { farewell: Mutex::default(), waker: AtomicWaker::new() };
        self.enter(end, Who::default(), route)
    }

    fn enter(self: &Arc<Self>, end: EndFrom, who: Who, route: &'static str) -> Registered {
        let (who, since, channels) = (Mutex::new(who), Instant::now(), AtomicU64::new(0));
        let entry = Arc::new(Entry { route, since, who, channels, end });
        let key = self.lock().insert(Arc::clone(&entry));
        Registered { sessions: Arc::clone(self), entry, key }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// At most so many of them.
    pub(crate) fn list(&self, limit: usize) -> Vec<SessionInfo> {
        let entries: Vec<_> = self.lock().iter().take(limit).map(|(_, entry)| Arc::clone(entry)).collect();
        entries.iter().map(|entry| entry.info()).collect()
    }

    /// Sends connections away; says how many.
    pub(crate) fn send_away(&self, which: &Which<'_>, farewell: &Farewell) -> usize {
        let entries = self.all();
        let meant: Vec<_> = entries.iter().filter(|entry| entry.is(which)).collect();
        for entry in &meant {
            entry.end(farewell.clone());
        }
        meant.len()
    }

    /// All that are open now, each of which can be sent away.
    pub(crate) fn leavers(&self) -> impl ExactSizeIterator<Item = impl FnOnce(Farewell) + use<>> + use<> {
        self.all().into_iter().map(|entry| move |farewell| entry.end(farewell))
    }

    /// Waits until none is open.
    pub(crate) async fn all_gone(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().iter().map(|(_, entry)| Arc::clone(entry)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Entry>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, which: &Which<'_>) -> bool {
        let who = self.who();
        match which {
            Which::Client(client) => who.client.as_deref() == Some(client),
            Which::User(user) => who.user.as_deref() == Some(user),
            Which::Token(id) => who.token_id.as_deref() == Some(id),
        }
    }

    fn info(&self) -> SessionInfo {
        let who = self.who();
        SessionInfo {
            route: self.route,
            client: who.client.clone(),
            user: who.user.clone(),
            channels: self.channels.load(Ordering::Relaxed),
            since: self.since,
        }
    }

    fn end(&self, told: Farewell) {
        match &self.end {
            EndFrom::Sender(sender) => sender.close(Some(&CloseFrame::new(told.code, told.reason))),
            EndFrom::Session { farewell, waker } => {
                farewell.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told);
                waker.wake();
            }
        }
    }
}

impl Registered {
    /// Says who it is.
    pub(super) fn introduce(&self, client: &Arc<str>, user: Option<&Arc<str>>, token_id: Option<&Arc<str>>) {
        let who = Who { client: Some(Arc::clone(client)), user: user.cloned(), token_id: token_id.cloned() };
        *self.entry.who() = who;
    }

    /// Says to how many channels it is subscribed.
    pub(super) fn in_channels(&self, channels: usize) {
        self.entry.channels.store(channels as u64, Ordering::Relaxed);
    }

    /// What a session is told from outside; until then this task is woken for it.
    pub(super) fn poll_farewell(&self, cx: &Context<'_>) -> Option<Farewell> {
        let EndFrom::Session { farewell, waker } = &self.entry.end else { return None };
        waker.register(cx.waker());
        farewell.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.sessions.lock();
        let entry = open.try_remove(self.key);
        let is_last = open.is_empty();
        drop(open);
        if is_last {
            self.sessions.emptied.notify_waiters();
        }
        drop(entry);
    }
}
