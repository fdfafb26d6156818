//! Why a socket left its namespace.

use crate::engine::EndReason;
use std::fmt;

/// Why a socket left its namespace, in the words that the official server has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client left.
    ClientNamespaceDisconnect,
    /// The server sent it away.
    ServerNamespaceDisconnect,
    /// The connection ended without a word, or the client closed it.
    TransportClose,
    /// The connection failed.
    TransportError,
    /// A ping was not answered in time.
    PingTimeout,
    /// The client broke a rule of the protocol.
    ParseError,
    /// The server ended the connection.
    ForcedServerClose,
    /// The server stops.
    ServerShuttingDown,
    /// More waited to be sent than the outbox holds: the client reads too slowly. Not known to the official server, which
    /// keeps everything in memory.
    OutboxFull,
    /// A handler panicked.
    HandlerPanicked,
}

impl DisconnectReason {
    /// The reason's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedServerClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
            Self::OutboxFull => "outbox full",
            Self::HandlerPanicked => "handler panicked",
        }
    }

    /// Whether the client may come back and go on where it was: nobody wanted the end.
    pub fn is_recoverable(self) -> bool {
        !matches!(self, Self::ClientNamespaceDisconnect | Self::ServerNamespaceDisconnect | Self::ParseError)
    }
}

impl From<EndReason> for DisconnectReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::TransportClose => Self::TransportClose,
            EndReason::TransportError => Self::TransportError,
            EndReason::PingTimeout => Self::PingTimeout,
            EndReason::ParseError => Self::ParseError,
            EndReason::ForcedClose => Self::ForcedServerClose,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
