//! All connections that are open, so that they can be shown, and ended from outside.

use super::SENT_AWAY;
use super::outlet::{ClientOutlet, Farewell};
use futures_util::task::AtomicWaker;
use slab::Slab;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Instant;
use tokio::sync::Notify;
use vaiven::{CloseFrame, Sender, Text};
use vaiven_hub::ChannelName;
use vaiven_socketio::{DisconnectReason, Io, Socket, SocketId};

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<Slab<Arc<Entry>>>,
    /// The number of the next one.
    next: AtomicU64,
    /// Told when the last one has gone.
    emptied: Notify,
}

/// A connection that is known. Dropped, it is not any more.
#[derive(Debug)]
pub(crate) struct Registered {
    entry: Arc<Entry>,
}

/// What is known of a connection.
#[derive(Debug)]
struct Entry {
    sessions: Arc<Sessions>,
    /// Its place among those that are open.
    key: u32,
    /// Tells it from all others that there ever were.
    number: u64,
    route: &'static str,
    address: Option<IpAddr>,
    since: Instant,
    /// Nothing but an echo stays unknown, so it takes no room for more.
    who: Mutex<Option<Box<Who>>>,
    end: EndFrom,
}

/// Who a connection is, and which channels it is subscribed to.
#[derive(Clone, Debug, Default)]
struct Who {
    client: Option<Arc<str>>,
    user: Option<Arc<str>>,
    token_id: Option<Arc<str>>,
    channels: Vec<ChannelName>,
}

/// How a connection is ended from outside.
#[derive(Debug)]
pub(crate) enum EndFrom {
    /// By a Close frame at once.
    Sender(Sender),
    /// By the end of its connection, with which its client comes back.
    SocketIo(Box<(Io, Text, SocketId)>),
    /// By its session, which answers what is under way first.
    Session(Box<SessionEnd>),
}

/// How a session is told to end.
#[derive(Debug)]
pub(crate) struct SessionEnd {
    outlet: Arc<ClientOutlet>,
    farewell: Mutex<Option<Farewell>>,
    waker: AtomicWaker,
}

/// A connection, as it is shown to the operator.
#[derive(Clone, Debug)]
pub(crate) struct SessionInfo {
    pub(crate) number: u64,
    pub(crate) route: &'static str,
    pub(crate) address: Option<IpAddr>,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) channels: Vec<ChannelName>,
    pub(crate) since: Instant,
    /// Bytes that wait to be sent to it.
    pub(crate) waiting: usize,
}

/// Which connections are meant.
#[derive(Clone, Debug)]
pub(crate) enum Which<'a> {
    Client(&'a str),
    User(&'a str),
    Token(&'a str),
    Number(u64),
}

impl Sessions {
    /// Knows a connection, which says later who it is.
    pub(crate) fn enter(
        self: &Arc<Self>,
        end: EndFrom,
        route: &'static str,
        address: Option<IpAddr>,
    ) -> Registered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (who, since) = (Mutex::default(), Instant::now());
        let sessions = Arc::clone(self);
        let mut open = self.lock();
        let place = open.vacant_entry();
        let key = u32::try_from(place.key()).expect("sockets are fewer than 4 billion");
        let entry = Arc::new(Entry { sessions, key, number, route, address, since, who, end });
        place.insert(Arc::clone(&entry));
        drop(open);
        Registered { entry }
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

    /// At most so many of those whose client, user or address has this text in it.
    pub(crate) fn find(&self, text: &str, limit: usize) -> Vec<SessionInfo> {
        let entries = self.all();
        let found = entries.iter().filter(|entry| entry.is_named(text)).take(limit);
        found.map(|entry| entry.info()).collect()
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
    fn lock(&self) -> MutexGuard<'_, Option<Box<Who>>> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Who)) {
        change(self.lock().get_or_insert_default());
    }

    fn is(&self, which: &Which<'_>) -> bool {
        let who = self.lock();
        let is = |name: fn(&Who) -> Option<&str>, wanted| who.as_deref().and_then(name) == Some(wanted);
        match *which {
            Which::Client(client) => is(|who| who.client.as_deref(), client),
            Which::User(user) => is(|who| who.user.as_deref(), user),
            Which::Token(id) => is(|who| who.token_id.as_deref(), id),
            Which::Number(number) => self.number == number,
        }
    }

    fn is_named(&self, text: &str) -> bool {
        let who = self.lock();
        let names = who.as_deref().map(|who| [who.client.as_deref(), who.user.as_deref()]);
        names.into_iter().flatten().flatten().any(|name| name.contains(text))
            || self.address.is_some_and(|address| address.to_string().contains(text))
    }

    fn info(&self) -> SessionInfo {
        let who = self.lock().as_deref().cloned().unwrap_or_default();
        let waiting = match &self.end {
            EndFrom::Sender(sender) => sender.buffered_amount(),
            // What waits is with the transport of the moment.
            EndFrom::SocketIo(_) => 0,
            EndFrom::Session(session) => session.outlet.waiting(),
        };
        SessionInfo {
            number: self.number,
            route: self.route,
            address: self.address,
            client: who.client,
            user: who.user,
            channels: who.channels,
            since: self.since,
            waiting,
        }
    }

    fn end(&self, told: Farewell) {
        match &self.end {
            EndFrom::Sender(sender) => sender.close(Some(&CloseFrame::new(told.code, told.reason))),
            EndFrom::SocketIo(socket) => {
                let (io, namespace, id) = &**socket;
                let Some(socket) = io.socket(namespace, id.as_str()) else { return };
                // Who is sent away for good is told so; others come back by themselves.
                if told.code == SENT_AWAY.code {
                    socket.disconnect();
                } else {
                    socket.outlet().end(DisconnectReason::ServerShuttingDown);
                }
            }
            EndFrom::Session(session) => {
                let SessionEnd { farewell, waker, .. } = &**session;
                farewell.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told);
                waker.wake();
            }
        }
    }
}

impl EndFrom {
    /// By the end of the connection of a socket, which this does not keep.
    pub(crate) fn socket_io(socket: &Socket) -> Option<Self> {
        Some(Self::SocketIo(Box::new((socket.io()?, socket.namespace().clone(), socket.id().clone()))))
    }

    /// By the session that talks through this outlet.
    pub(super) fn session(outlet: &Arc<ClientOutlet>) -> Self {
        Self::Session(Box::new(SessionEnd {
            outlet: Arc::clone(outlet),
            farewell: Mutex::default(),
            waker: AtomicWaker::new(),
        }))
    }
}

impl Registered {
    /// Says who it is.
    pub(crate) fn introduce(&self, client: &Arc<str>, user: Option<&Arc<str>>, token_id: Option<&Arc<str>>) {
        self.entry.change(|who| {
            who.client = Some(Arc::clone(client));
            who.user = user.cloned();
            who.token_id = token_id.cloned();
        });
    }

    /// Where it came from, as far as that is known.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.entry.address
    }

    /// Says that it is subscribed to a channel.
    pub(crate) fn joined(&self, channel: &ChannelName) {
        self.entry.change(|who| who.channels.push(channel.clone()));
    }

    /// Says that it is subscribed to a channel no longer.
    pub(super) fn left(&self, channel: &ChannelName) {
        self.entry.change(|who| who.channels.retain(|known| known != channel));
    }

    /// What a session is told from outside; until then this task is woken for it.
    pub(super) fn poll_farewell(&self, cx: &Context<'_>) -> Option<Farewell> {
        let EndFrom::Session(session) = &self.entry.end else { return None };
        let SessionEnd { farewell, waker, .. } = &**session;
        waker.register(cx.waker());
        farewell.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let sessions = &self.entry.sessions;
        let mut open = sessions.lock();
        let entry = open.try_remove(self.entry.key as usize);
        let is_last = open.is_empty();
        drop(open);
        if is_last {
            sessions.emptied.notify_waiters();
        }
        drop(entry);
    }
}
