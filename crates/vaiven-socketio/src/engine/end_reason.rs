//! Why a session ended.

use std::fmt;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The client went away, or said that it is done.
    TransportClose,
    /// The transport failed, or was used wrongly.
    TransportError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent something that is no packet.
    ParseError,
    /// This side closed it.
    ForcedClose,
}

impl EndReason {
    /// The reason as the protocol's clients and servers name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
