//! Engine.IO v4, the server side: WebSockets and HTTP requests to sessions, which send and receive messages whatever their
//! transport is at the moment.
//!
//! ```text
//!   request -> head -> rejection                 refusals, with the protocol's codes
//!                  \-> http, websocket, polling  the transports
//!                         -> packet, payload     what they carry
//!                            -> session          one session, its outbox and inbox
//!                               -> connection, sender   what a handler holds of it
//! ```
//!
//! It must not know what the messages mean: that is Socket.IO's.

mod config;
mod connection;
mod cors;
mod end_reason;
mod handshake;
mod head;
mod heartbeat;
mod http;
pub mod packet;
pub mod payload;
mod polling;
mod rejection;
mod sender;
mod serve;
#[cfg(feature = "axum")]
mod service;
mod session;
mod sessions;
mod transport;
mod websocket;

pub use config::{Admit, Cookie, EngineConfig};
pub use connection::Connection;
pub use cors::Cors;
pub use end_reason::EndReason;
pub use handshake::{Handshake, Headers, Sid};
pub use head::Head;
pub use http::EngineBody;
pub use rejection::Rejection;
pub use sender::{EngineSender, PreparedMessages, SendError};
pub use serve::serve;
pub use transport::Transport;
pub use websocket::Opening;

use sessions::Sessions;
use std::fmt;
use std::sync::{Arc, Weak};
use vaiven::server::ServerConfig;

/// All sessions of an Engine.IO server. Clones are the same engine.
///
/// Each session is a [`Connection`], given to the handler of [`new`](Self::new). Requests come in by [`serve`] from a
/// listener, by [`handle`](Self::handle) from hyper, as a service of tower from axum (feature `axum`), and by
/// [`open_websocket`](Self::open_websocket) from whoever accepts WebSockets.
///
/// ```no_run
/// use vaiven::server::{Server, ServerConfig};
/// use vaiven_socketio::engine::{Connection, Engine, EngineConfig, serve};
///
/// # async fn run() -> std::io::Result<()> {
/// let engine = Engine::new(EngineConfig::default(), |mut connection: Connection| async move {
///     while let Some(message) = connection.recv().await {
///         if connection.sender().try_send(&[message]).is_err() {
///             break;
///         }
///     }
/// });
/// let listener = Server::bind("127.0.0.1:3000", ServerConfig::default()).await?;
/// serve(listener, engine).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    sessions: Arc<Sessions>,
}

impl Engine {
    /// An engine whose sessions are given to `on_connection`. Its future is run by the task of the session; when it ends,
    /// the session is closed.
    pub fn new<H, F>(config: EngineConfig, on_connection: H) -> Self
    where
        H: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler =
            Box::new(move |connection| -> session::Handling { Box::pin(on_connection(connection)) });
        Self { sessions: Sessions::new(config, handler) }
    }

    /// The same engine, for whoever must not keep it: its own handler, say.
    pub fn downgrade(&self) -> WeakEngine {
        WeakEngine { sessions: Arc::downgrade(&self.sessions) }
    }

    /// The settings.
    pub fn config(&self) -> &EngineConfig {
        self.sessions.config()
    }

    /// Sessions now.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    /// Closes every session. Those that come later are let in: stop the listener first.
    pub fn close(&self) {
        self.sessions.close_all();
    }

    /// The settings of a listener, or of another HTTP server, as they are right for this engine's WebSockets: limits,
    /// origins and compression are the engine's, and the pings are Engine.IO's own.
    pub fn server_config(&self, base: &ServerConfig) -> ServerConfig {
        let config = self.config();
        let mut server = base.clone();
        server.connection.limits.max_message_bytes = config.max_payload;
        server.connection.outbox_bytes = config.outbox_bytes;
        server.connection.keepalive = None;
        // Clients show the reason to their applications, which know it as empty.
        server.connection.explain_violations = false;
        server.origins = config.origins();
        server.subprotocols = Vec::new();
        server.deflate = config.deflate;
        server
    }
}

/// An [`Engine`] that others keep.
#[derive(Clone)]
pub struct WeakEngine {
    sessions: Weak<Sessions>,
}

impl WeakEngine {
    /// The engine, if anything keeps it.
    pub fn upgrade(&self) -> Option<Engine> {
        self.sessions.upgrade().map(|sessions| Engine { sessions })
    }
}

impl fmt::Debug for WeakEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakEngine").finish_non_exhaustive()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.session_count()).finish_non_exhaustive()
    }
}
