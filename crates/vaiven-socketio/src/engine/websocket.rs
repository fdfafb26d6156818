//! WebSockets to sessions: a new one, or the better transport of one that polls.

use super::handshake::Handshake;
use super::head::{Asked, Head};
use super::packet::{PROBE_ANSWER, Packet};
use super::session::{Handling, Session};
use super::sessions::Sessions;
use super::{Engine, Rejection, Transport};
use http::HeaderMap;
use std::fmt;
use std::sync::Arc;
use tokio::time::timeout;
use vaiven::server::Acceptance;
use vaiven::{CloseCode, Receiver, Sender, WebSocket};

/// A request for a WebSocket that may be accepted: [`run`](Self::run) goes on with what comes of it.
#[must_use = "the WebSocket is served by `run`"]
pub struct Opening {
    sessions: Arc<Sessions>,
    what: What,
    headers: HeaderMap,
}

enum What {
    New(Arc<Handshake>),
    Upgrade(Arc<Session>),
}

impl Engine {
    /// Judges a request for a WebSocket: it opens a session, or upgrades one.
    ///
    /// # Errors
    /// The [`Rejection`] to answer with.
    pub async fn open_websocket(&self, head: &Head<'_>) -> Result<Opening, Rejection> {
        let sessions = &self.sessions;
        let (what, headers) = match head.judge(self.config())? {
            Asked::Open(Transport::WebSocket) => {
                let (handshake, headers) = sessions.admit(head).await?;
                (What::New(handshake), headers)
            }
            Asked::Of(sid, Transport::WebSocket) => {
                let session = sessions.find(&sid)?;
                if !self.config().upgrades(Transport::Polling) {
                    return Err(Rejection::BAD_REQUEST);
                }
                (What::Upgrade(session), HeaderMap::new())
            }
            Asked::Open(Transport::Polling) | Asked::Of(_, Transport::Polling) => {
                return Err(Rejection::BAD_REQUEST);
            }
        };
        Ok(Opening { sessions: Arc::clone(sessions), what, headers })
    }
}

impl Opening {
    /// Adds the engine's header fields to the answer.
    pub fn accept(&self, acceptance: &mut Acceptance<'_>) {
        for (name, value) in &self.headers {
            // A field that belongs to the handshake itself is not the engine's to set.
            let _ = acceptance.field(name.as_str().to_owned(), value.as_bytes().to_vec());
        }
    }

    /// Serves the WebSocket that came of the request, until its session ends; an upgrade, until the session's own task
    /// has taken over.
    pub fn run(self, socket: WebSocket) -> impl Future<Output = ()> + Send + 'static {
        // The future is the handler's own where a session begins, so that nothing else is kept while it lives.
        let running: Handling = match self.what {
            What::New(handshake) => match self.sessions.open_websocket(handshake, socket) {
                Ok(handling) => handling,
                Err((_, socket)) => Box::pin(turn_away(socket)),
            },
            What::Upgrade(session) => Box::pin(upgrade(session, socket)),
        };
        running
    }
}

/// The sessions have become too many since the request was judged.
async fn turn_away(mut socket: WebSocket) {
    let _ = socket.close(CloseCode::TRY_AGAIN, "").await;
}

/// Tries a WebSocket for a session that polls.
async fn upgrade(session: Arc<Session>, socket: WebSocket) {
    let (sender, mut receiver) = socket.split();
    if !session.begin_upgrade() {
        sender.close(None);
        return;
    }
    let attempt = Attempt(&session);
    let patience = session.sessions.config().upgrade_timeout;
    match timeout(patience, probe(&session, &sender, &mut receiver)).await {
        Ok(true) => session.upgrade(sender, receiver),
        _ => sender.close(None),
    }
    drop(attempt);
}

/// Lets polls go on, unless the WebSocket has taken over.
struct Attempt<'a>(&'a Session);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.abandon_upgrade();
    }
}

/// Whether the client found that the WebSocket works, and goes on over it.
async fn probe(session: &Session, sender: &Sender, receiver: &mut Receiver) -> bool {
    let mut is_probed = false;
    while let Ok(Some(message)) = receiver.recv().await {
        match Packet::decode(message) {
            Ok(Packet::Probe) if !is_probed => {
                is_probed = true;
                if sender.try_send(PROBE_ANSWER).is_err() {
                    return false;
                }
                session.probed();
            }
            Ok(Packet::Upgrade) => return is_probed,
            _ => return false,
        }
    }
    false
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.what {
            What::New(_) => "new session",
            What::Upgrade(_) => "upgrade",
        };
        f.debug_struct("Opening").field("what", &what).finish_non_exhaustive()
    }
}
