//! Why something was not done: few variants, each with something else to do about it.

use std::fmt;
use std::time::Duration;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error. The codes are those of the protocol: `forbidden`, `unavailable` and so on.
    Refused {
        /// The stable code.
        code: String,
        /// A sentence that says what to do.
        message: String,
        /// When to try again, if that makes sense.
        retry: Option<Duration>,
    },
    /// The connection was lost before an acknowledgement came, and the server no longer remembers whether the
    /// publication arrived: it was kept once or not at all. For what is not numbered, an ephemeral publication or
    /// one without a place in a history, this is so whenever the connection is lost.
    Uncertain,
    /// More waits to be sent than may: the connection has been away for too long.
    QueueFull,
    /// The client has ended, by [`close`](crate::Client::close) or because there is no point in coming back.
    Closed {
        /// Why, as a sentence.
        reason: String,
    },
    /// A subscription of this channel exists already: one client has one of each channel.
    AlreadySubscribed,
    /// The data are no JSON, or not of the type that was asked for.
    Data(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message, .. } => write!(f, "the server refused with `{code}`: {message}"),
            Self::Uncertain => f.write_str(
                "the connection was lost for so long that it is not known whether the publication arrived; look it up \
                 in the channel's history",
            ),
            Self::QueueFull => f.write_str(
                "too much waits to be sent: wait for earlier publications, or for the connection to come back",
            ),
            Self::Closed { reason } => write!(f, "the client is closed: {reason}"),
            Self::AlreadySubscribed => {
                f.write_str("this client has a subscription of this channel already; drop it first, or share it")
            }
            Self::Data(problem) => write!(f, "the data do not fit: {problem}"),
        }
    }
}

impl std::error::Error for Error {}
