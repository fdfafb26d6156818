//! What happened, and the parameters that handlers take from it.

use super::{DisconnectReason, EmitError, Io, Socket};
use crate::packet::{Args, Arguments};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use vaiven::Text;

/// What happened to a socket: an event of the client's, or that it came or went.
#[derive(Debug)]
pub struct EventContext {
    pub(super) socket: Socket,
    pub(super) kind: Kind,
    pub(super) name: Text,
    pub(super) args: Args,
    pub(super) ack: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Event,
    Disconnect(DisconnectReason),
}

impl EventContext {
    /// The socket comes; the only argument is its `auth` payload, an empty object where it gave none.
    pub(super) fn connect(socket: Socket) -> Self {
        let auth = socket.auth_text().cloned().unwrap_or(Text::from_static("{}"));
        let args = Args::from_json(auth);
        Self { socket, kind: Kind::Connect, name: Text::from_static("connection"), args, ack: None }
    }

    pub(super) fn disconnect(socket: Socket, reason: DisconnectReason) -> Self {
        let args = Args::new(reason.as_str()).expect("text is written as JSON");
        Self {
            socket,
            kind: Kind::Disconnect(reason),
            name: Text::from_static("disconnect"),
            args,
            ack: None,
        }
    }

    /// Bytes that it takes while it waits.
    pub(super) fn bytes(&self) -> usize {
        let attachments: usize = self.args.attachments().iter().map(Bytes::len).sum();
        self.name.len() + self.args.json().len() + attachments
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The event's name; `connection` and `disconnect` where the socket comes or goes.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// What came with it: for `connection` the `auth` payload, for `disconnect` the reason.
    pub fn args(&self) -> &Args {
        &self.args
    }
}

/// A parameter could not be taken, so the handler did not run. The client is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection(String);

impl Rejection {
    /// Says why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Rejection {}

/// A parameter of a handler.
pub trait FromEvent: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// [`Rejection`]: the handler is not to run.
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection>;
}

impl FromEvent for Socket {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(context.socket.clone())
    }
}

impl FromEvent for Io {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        context.socket.io().ok_or_else(|| Rejection::new("the server is gone"))
    }
}

/// The arguments as a value: a tuple is all of them, anything else the first one. In `on_connect` and middleware it is the
/// `auth` payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Data<T> {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        context
            .args
            .parse()
            .map(Self)
            .map_err(|error| Rejection(format!("the arguments do not fit: {error}")))
    }
}

/// The arguments as they came.
impl FromEvent for Args {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(context.args.clone())
    }
}

/// The binary attachments, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bin(pub Vec<Bytes>);

impl FromEvent for Bin {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(Self(context.args.attachments().to_vec()))
    }
}

/// The event's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(pub Text);

impl FromEvent for Event {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(Self(context.name.clone()))
    }
}

impl FromEvent for DisconnectReason {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        match context.kind {
            Kind::Disconnect(reason) => Ok(reason),
            _ => Err(Rejection::new("the socket is connected")),
        }
    }
}

/// A value that [`IoBuilder::state`](super::IoBuilder::state) was given.
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> FromEvent for State<T> {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        context
            .socket
            .state()
            .map(Self)
            .ok_or_else(|| Rejection(format!("no state of type {} was given", std::any::type_name::<T>())))
    }
}

/// Answers an event for which the client wants an acknowledgement. For one that it does not, what is sent goes nowhere.
#[derive(Debug)]
pub struct Ack {
    socket: Socket,
    id: Option<u64>,
}

impl Ack {
    /// Whether the client waits for it.
    pub fn is_expected(&self) -> bool {
        self.id.is_some()
    }

    /// Acknowledges the event.
    ///
    /// # Errors
    /// [`EmitError`]: it was not sent.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn send(self, arguments: impl Arguments) -> Result<(), EmitError> {
        self.id.map_or(Ok(()), |id| self.socket.send_ack(id, &arguments))
    }
}

impl FromEvent for Ack {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(Self { socket: context.socket.clone(), id: context.ack.take() })
    }
}

impl<T: FromEvent> FromEvent for Option<T> {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(T::from_event(context).ok())
    }
}

impl<T: FromEvent> FromEvent for Result<T, Rejection> {
    fn from_event(context: &mut EventContext) -> Result<Self, Rejection> {
        Ok(T::from_event(context))
    }
}
