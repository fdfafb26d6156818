//! All sessions of an engine, by their ids.

use super::handshake::{Handshake, Sid};
use super::head::Head;
use super::heartbeat::Heartbeat;
use super::session::{Handling, Session};
use super::{Connection, EndReason, EngineConfig, Rejection, Transport};
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vaiven::WebSocket;

/// Room for sessions that is not given back when they are gone.
const SPARE: usize = 1024;

pub(super) struct Sessions {
    config: EngineConfig,
    handler: Box<dyn Fn(Connection) -> Handling + Send + Sync>,
    by_id: Mutex<HashMap<Sid, Arc<Session>>>,
    heartbeat: Arc<Heartbeat>,
}

impl Sessions {
    pub(super) fn new(
        config: EngineConfig,
        handler: Box<dyn Fn(Connection) -> Handling + Send + Sync>,
    ) -> Arc<Self> {
        let heartbeat = Heartbeat::new(config.ping_interval, config.ping_timeout);
        Arc::new(Self { config, handler, by_id: Mutex::default(), heartbeat })
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.config
    }

    pub(super) fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn find(&self, sid: &Sid) -> Result<Arc<Session>, Rejection> {
        self.lock().get(sid).cloned().ok_or(Rejection::UNKNOWN_SID)
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
        let mut by_id = self.lock();
        if by_id.len() >= self.config.max_sessions {
            return Err(Rejection::TOO_MANY_SESSIONS);
        }
        by_id.insert(session.handshake.sid, Arc::clone(session));
        drop(by_id);
        self.heartbeat.begin(session);
        Ok(())
    }

    pub(super) fn remove(&self, sid: &Sid) {
        let mut by_id = self.lock();
        by_id.remove(sid);
        if by_id.capacity() > SPARE && by_id.len() < by_id.capacity() / 8 {
            let len = by_id.len();
            by_id.shrink_to((2 * len).max(SPARE));
        }
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
        let all: Vec<_> = self.lock().values().cloned().collect();
        for session in all {
            session.end(EndReason::ForcedClose);
        }
    }
}
