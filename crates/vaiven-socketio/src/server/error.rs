//! What can go wrong with a socket, each with what its caller can do about it.

use crate::packet::EncodeError;
use serde::Serialize;
use std::fmt;

/// A namespace is not joined: the client gets `connect_error` with this.
///
/// ```
/// use vaiven_socketio::ConnectError;
/// let error = ConnectError::new("not authorized").with_data(&serde_json::json!({"retry": false}));
/// assert_eq!(error.to_string(), "not authorized");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectError {
    message: String,
    data: Option<serde_json::Value>,
}

impl ConnectError {
    /// A refusal that says why.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// More for the client's program, as the error's `data`. What serde cannot write as JSON is left out.
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok();
        self
    }

    /// The payload of the packet.
    pub(super) fn payload(&self) -> String {
        #[derive(Serialize)]
        struct Payload<'a> {
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: &'a Option<serde_json::Value>,
        }
        let payload = Payload { message: &self.message, data: &self.data };
        serde_json::to_string(&payload).expect("text and JSON are written as JSON")
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {}

/// An event or an acknowledgement was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The arguments cannot be written.
    Encode(EncodeError),
    /// The event has a name of the libraries' own: see [`RESERVED_EVENTS`](crate::packet::RESERVED_EVENTS).
    ReservedEvent,
    /// The socket has left its namespace.
    Disconnected,
    /// The outbox was full; the connection is ended for it.
    OutboxFull,
    /// As many events wait for their acknowledgement as
    /// [`max_pending_acks`](super::IoConfig::max_pending_acks) allows.
    TooManyPending,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::ReservedEvent => f.write_str("the event has a reserved name"),
            Self::Disconnected => f.write_str("the socket has left its namespace"),
            Self::OutboxFull => f.write_str("the outbox was full, so the connection was ended"),
            Self::TooManyPending => f.write_str("too many events wait for their acknowledgement"),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Encode(error) = self { Some(error) } else { None }
    }
}

impl From<EncodeError> for EmitError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// There is no acknowledgement.
#[derive(Debug)]
#[non_exhaustive]
pub enum AckError {
    /// The event was not sent.
    Emit(EmitError),
    /// The client did not answer in time.
    Timeout,
    /// The socket left its namespace before it answered.
    Disconnected,
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emit(error) => error.fmt(f),
            Self::Timeout => f.write_str("the client did not acknowledge the event in time"),
            Self::Disconnected => f.write_str("the socket left before it acknowledged the event"),
        }
    }
}

impl std::error::Error for AckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Emit(error) = self { Some(error) } else { None }
    }
}
