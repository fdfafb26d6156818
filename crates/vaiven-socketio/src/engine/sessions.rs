//! All sessions of an engine, by their ids.

use super::handshake::{Handshake, Sid};
use super::head::Head;
use super::heartbeat::Heartbeat;
use super::session::{Handling, Session};
use super::{Connection, EndReason, EngineConfig, Rejection, Transport};
use http::HeaderMap;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vaiven::WebSocket;

/// Room for sessions that is not given back when they are gone.
const SPARE: usize = 1024;

pub(super) struct Sessions {
    config: EngineConfig,
    handler: Box<dyn Fn(Connection) -> Handling + Send + Sync>,
    table: Mutex<Table>,
    heartbeat: Arc<Heartbeat>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<Sid, Arc<Session>>,
    /// How many of those that began by polling each address has.
    polling: HashMap<IpAddr, usize>,
}

/// What one party counts as: an IPv4 address, or the 64 bits of IPv6 that one subscriber is given.
fn party(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

impl Sessions {
    pub(super) fn new(
        config: EngineConfig,
        handler: Box<dyn Fn(Connection) -> Handling + Send + Sync>,
    ) -> Arc<Self> {
        let heartbeat = Heartbeat::new(config.ping_interval, config.ping_timeout);
        Arc::new(Self { config, handler, table: Mutex::default(), heartbeat })
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.config
    }

    pub(super) fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().by_id.len()
    }

    pub(super) fn find(&self, sid: &Sid) -> Result<Arc<Session>, Rejection> {
        self.lock().by_id.get(sid).cloned().ok_or(Rejection::UNKNOWN_SID)
    }

    /// Lets a new session in; gives the header fields to add to the answer.
    pub(super) async fn admit(&self, head: &Head<'_>) -> Result<(Arc<Handshake>, HeaderMap), Rejection> {
        if self.count() >= self.config.max_sessions {
            return Err(Rejection::TOO_MANY_SESSIONS);
        }
        let handshake = head.handshake();
        let mut headers = match &self.config.admit {
            Some(admit) => admit(Arc::clone(&handshake)).await?,
            None => HeaderMap::new(),
        };
        self.config.add_cookie(&handshake.sid, &mut headers);
        Ok((handshake, headers))
    }

    fn add(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), Rejection> {
        let mut table = self.lock();
        if table.by_id.len() >= self.config.max_sessions {
            return Err(Rejection::TOO_MANY_SESSIONS);
        }
        if let Some(ip) = session.handshake.polling_ip() {
            let polling = table.polling.entry(party(ip)).or_default();
            if *polling >= self.config.max_polling_sessions_per_ip {
                return Err(Rejection::TOO_MANY_SESSIONS);
            }
            *polling += 1;
        }
        table.by_id.insert(session.handshake.sid, Arc::clone(session));
        drop(table);
        self.heartbeat.begin(session);
        Ok(())
    }

    pub(super) fn remove(&self, sid: &Sid) {
        let mut table = self.lock();
        let Table { by_id, polling } = &mut *table;
        let session = by_id.remove(sid);
        if let Some(party) = session.as_ref().and_then(|session| session.handshake.polling_ip()).map(party)
            && let Some(count) = polling.get_mut(&party)
        {
            *count -= 1;
            if *count == 0 {
                polling.remove(&party);
            }
        }
        if by_id.capacity() > SPARE && by_id.len() < by_id.capacity() / 8 {
            let len = by_id.len();
            by_id.shrink_to((2 * len).max(SPARE));
        }
        drop(table);
        drop(session);
    }

    /// Begins a session that polls; its handler has a task of its own.
    pub(super) fn open_polling(self: &Arc<Self>, handshake: Arc<Handshake>) -> Result<(), Rejection> {
        let session = Arc::new(Session::polling(handshake, Arc::clone(self)));
        self.add(&session)?;
        tokio::spawn((self.handler)(Connection::new(session, None)));
        Ok(())
    }

    /// Begins a session on a WebSocket; gives what its handler is to do, in the task of the WebSocket.
    pub(super) fn open_websocket(
        self: &Arc<Self>,
        handshake: Arc<Handshake>,
        socket: WebSocket,
    ) -> Result<Handling, (Rejection, WebSocket)> {
        let session = Arc::new(Session::on_websocket(handshake, Arc::clone(self), socket.sender()));
        if let Err(rejection) = self.add(&session) {
            return Err((rejection, socket));
        }
        let (sender, receiver) = socket.split();
        let sid = &session.handshake.sid;
        // Nothing can be before it, and what is to be said to a WebSocket that is gone is of no matter.
        let _ = sender.try_send(self.config.open_packet(sid, Transport::WebSocket));
        Ok((self.handler)(Connection::new(session, Some(receiver))))
    }

    pub(super) fn close_all(&self) {
        let all: Vec<_> = self.lock().by_id.values().cloned().collect();
        for session in all {
            session.end(EndReason::ForcedClose);
        }
    }
}
