//! What an application says about a namespace: who may join, and what happens there.

use super::extract::{EventContext, Kind};
use super::handler::{Erased, Handling, erase, erase_outcome};
use super::{ConnectError, Handler, Outcome, Recovery, Sessions};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What an application says about a namespace: who may join, and what happens there. Given to
/// [`IoBuilder::namespace`](super::IoBuilder::namespace), it is the same for every socket, so that a socket keeps no
/// handlers of its own.
///
/// A socket's handlers run one after the other, in the order of what happened: first that of
/// [`on_connect`](Self::on_connect), last that of [`on_disconnect`](Self::on_disconnect). See
/// [`concurrency`](Self::concurrency) for more at a time.
///
/// ```
/// use vaiven_socketio::{Ack, ConnectError, Data, Namespace, Socket};
///
/// #[derive(serde::Deserialize)]
/// struct Auth {
///     token: String,
/// }
///
/// let chat = Namespace::new()
///     .middleware(async |Data(auth): Data<Auth>| match auth.token.as_str() {
///         "secret" => Ok(()),
///         _ => Err(ConnectError::new("not authorized")),
///     })
///     .on_connect(async |socket: Socket| {
///         socket.join("lobby");
///         socket.emit("welcome", ())
///     })
///     .on("say", async |socket: Socket, Data(text): Data<String>, ack: Ack| {
///         socket.to("lobby").emit("said", &text)?;
///         ack.send(())
///     });
/// # let _ = chat;
/// ```
#[derive(Default)]
pub struct Namespace {
    middleware: Vec<Erased<Result<(), ConnectError>>>,
    on_connect: Option<Erased<()>>,
    on_disconnect: Option<Erased<()>>,
    events: HashMap<Box<str>, Erased<()>>,
    fallback: Option<Erased<()>>,
    concurrency: Option<usize>,
    recovery: Option<Recovery>,
    sessions: Option<Arc<dyn Sessions>>,
}

impl Namespace {
    /// A namespace that everybody may join, and in which nothing happens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks before a socket joins, after what was registered before. The `auth` payload is there as
    /// [`Data`](super::Data), query and header fields as [`Socket::handshake`](super::Socket::handshake). A parameter that
    /// cannot be taken is a refusal.
    pub fn middleware<P>(mut self, middleware: impl Handler<P, Result<(), ConnectError>>) -> Self {
        self.middleware.push(erase(middleware));
        self
    }

    /// Runs when a socket has joined, before anything that it sends is looked at.
    pub fn on_connect<P, O: Outcome>(mut self, handler: impl Handler<P, O>) -> Self {
        self.on_connect = Some(erase_outcome(handler));
        self
    }

    /// Runs when a socket has left, after everything that it sent; [`DisconnectReason`](super::DisconnectReason) says why.
    /// It is in no room any more.
    pub fn on_disconnect<P, O: Outcome>(mut self, handler: impl Handler<P, O>) -> Self {
        self.on_disconnect = Some(erase_outcome(handler));
        self
    }

    /// Handles the events of this name, in the place of what did before.
    pub fn on<P, O: Outcome>(mut self, event: impl Into<Box<str>>, handler: impl Handler<P, O>) -> Self {
        self.events.insert(event.into(), erase_outcome(handler));
        self
    }

    /// Handles the events that nothing else handles; [`Event`](super::Event) has their names. Without it they are passed
    /// over.
    pub fn on_any<P, O: Outcome>(mut self, handler: impl Handler<P, O>) -> Self {
        self.fallback = Some(erase_outcome(handler));
        self
    }

    /// Handlers of one socket that may run at a time. 1: one after the other. With more they are still begun in the order
    /// of what happened, and one overtakes another only where that one waits.
    ///
    /// # Panics
    /// With 0, with which nothing would ever run.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        assert!(handlers > 0, "at least one handler must run");
        self.concurrency = Some(handlers);
        self
    }

    /// Lets clients that lost their connection go on where they were. Off, since it keeps what was sent in memory.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Leaves it to a store of the application's own to say who goes on where.
    pub fn sessions(mut self, sessions: impl Sessions) -> Self {
        self.sessions = Some(Arc::new(sessions));
        self
    }

    pub(super) fn recovery_config(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    pub(super) fn store(&self) -> Option<&Arc<dyn Sessions>> {
        self.sessions.as_ref()
    }

    pub(super) fn handlers_at_a_time(&self) -> usize {
        self.concurrency.unwrap_or(1)
    }

    /// Asks all middleware.
    pub(super) async fn admit(&self, mut context: EventContext) -> Result<(), ConnectError> {
        for middleware in &self.middleware {
            let asked =
                middleware(&mut context).map_err(|rejection| ConnectError::new(rejection.to_string()))?;
            asked.await?;
        }
        Ok(())
    }

    /// Begins what this calls for.
    pub(super) fn begin(&self, mut context: EventContext) -> Option<Handling<()>> {
        let handler = match context.kind {
            Kind::Connect => self.on_connect.as_ref(),
            Kind::Disconnect(_) => self.on_disconnect.as_ref(),
            Kind::Event => self.events.get(context.name.as_str()).or(self.fallback.as_ref()),
        }?;
        match handler(&mut context) {
            Ok(handling) => Some(handling),
            Err(rejection) => {
                tracing::debug!(event = context.name.as_str(), %rejection, "an event was passed over");
                None
            }
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("events", &self.events.keys()).finish_non_exhaustive()
    }
}
