//! Why a connection ended, and why a message was not taken.

use crate::Message;
#[cfg(feature = "client")]
use crate::client::{DialError, HandshakeFailure};
use std::{fmt, io};
use vaiven_proto::Violation;

/// What went wrong with a connection. A normal close is no error.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of the protocol or a limit; it was told so with the violation's close code.
    Violation(Violation),
    /// The transport ended without a Close frame: the code of this is 1006.
    Disconnected,
    /// The peer did not do something in time.
    Timeout(TimeoutKind),
    /// The transport failed.
    Io(io::Error),
    /// The connection is closing or closed: no more messages are taken.
    Closing,
    /// A client found no way to the server, or not one that it trusts: nothing of the request was sent. Boxed, as
    /// all below: these are told once, and the results of every message stay small.
    #[cfg(feature = "client")]
    Dial(Box<DialError>),
    /// A client's opening handshake was refused, or went wrong.
    #[cfg(feature = "client")]
    Handshake(Box<HandshakeFailure>),
}

// Every message comes in a result with this error: what is large in it is behind a pointer.
const _: () = assert!(size_of::<Error>() <= 2 * size_of::<usize>());

/// What a peer did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// Answer a ping, or send anything else.
    Keepalive,
    /// Take what was sent to it.
    Write,
    /// Answer the Close frame.
    Close,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => {
                write!(f, "the connection was failed with {}: {violation}", violation.close_code())
            }
            Self::Disconnected => f.write_str("the peer went away without a close frame"),
            Self::Timeout(TimeoutKind::Keepalive) => {
                f.write_str("the peer answered no ping within the keepalive timeout")
            }
            Self::Timeout(TimeoutKind::Write) => {
                f.write_str("the peer took nothing of what was sent to it within the write timeout")
            }
            Self::Timeout(TimeoutKind::Close) => {
                f.write_str("the peer did not answer the close frame within the close timeout")
            }
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Closing => f.write_str("the connection is closing and takes no more messages"),
            #[cfg(feature = "client")]
            Self::Dial(error) => error.fmt(f),
            #[cfg(feature = "client")]
            Self::Handshake(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Violation(violation) => Some(violation),
            Self::Io(error) => Some(error),
            // Their messages are this error's own: the cause is theirs.
            #[cfg(feature = "client")]
            Self::Dial(error) => error.source(),
            #[cfg(feature = "client")]
            Self::Handshake(failure) => failure.source(),
            _ => None,
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

#[cfg(feature = "client")]
impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        Self::Dial(Box::new(error))
    }
}

#[cfg(feature = "client")]
impl From<HandshakeFailure> for Error {
    fn from(failure: HandshakeFailure) -> Self {
        Self::Handshake(Box::new(failure))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A message was not taken since the connection is closing or closed; it is handed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError(pub Message);

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closing and takes no more messages")
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Error {
    fn from(_: SendError) -> Self {
        Self::Closing
    }
}

/// A message was not taken at once; it is handed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrySendError {
    /// `outbox_bytes` are waiting to be written already.
    Full(Message),
    /// The connection is closing or closed.
    Closing(Message),
}

impl TrySendError {
    /// The message that was not taken.
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message) | Self::Closing(message) => message,
        }
    }

    /// Whether waiting may help.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the outbox is full: the peer reads more slowly than it is sent to"),
            Self::Closing(_) => f.write_str("the connection is closing and takes no more messages"),
        }
    }
}

impl std::error::Error for TrySendError {}
