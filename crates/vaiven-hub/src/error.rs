//! Why something was not done: one variant for each thing that a caller would do about it.

use std::fmt;

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// No namespace of this name is configured.
    UnknownNamespace,
    /// The data is longer than the namespace allows, which is this many bytes; or a key longer than 255.
    TooLarge(usize),
    /// The `latest` channel has as many keys as it may have.
    TooManyKeys,
    /// As many channels are kept as may be, and none of them is over.
    TooManyChannels,
    /// The maker has made as many channels as it may for now.
    TooManyNewChannels,
    /// The same idempotency key was used with other content.
    Conflict,
    /// More waits to be published than may. Nothing was published; wait, then repeat.
    Busy,
    /// The store or the broker cannot keep it. It was not published to anybody; wait, then repeat.
    Unavailable,
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No namespace of this name is configured.
    UnknownNamespace,
    /// As many channels are in use as may be.
    TooManyChannels,
    /// The channel has as many subscribers as it may have.
    TooManySubscribers,
    /// The store or the broker does not answer; wait, then repeat.
    Unavailable,
}

/// Why a replay cannot go on. The subscription is of no more use; a new one begins where it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// What comes next is no longer kept: subscribe again, and be told so.
    Lost,
    /// The store or the broker does not answer; wait, then subscribe again.
    Unavailable,
}

/// Why there is no history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// No namespace of this name is configured.
    UnknownNamespace,
    /// The channel promises none.
    NotKept,
    /// The store or the broker does not answer; wait, then repeat.
    Unavailable,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNamespace => f.write_str("no namespace of this name is configured"),
            Self::TooLarge(max) => write!(f, "longer than the channel allows: at most {max} bytes"),
            Self::TooManyKeys => f.write_str("the channel has as many keys as it may have"),
            Self::TooManyChannels => f.write_str("as many channels are kept as may be; repeat later"),
            Self::TooManyNewChannels => f.write_str("too many new channels; repeat later, or use known ones"),
            Self::Conflict => f.write_str("the same idempotency key was used with other content"),
            Self::Busy => f.write_str("more waits to be published than may; repeat later"),
            Self::Unavailable => f.write_str("the store cannot keep it; nothing was published; repeat later"),
        }
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownNamespace => "no namespace of this name is configured",
            Self::TooManyChannels => "as many channels are in use as may be",
            Self::TooManySubscribers => "the channel has as many subscribers as it may have",
            Self::Unavailable => "the store does not answer; repeat later",
        })
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "what comes next is no longer kept",
            Self::Unavailable => "the store does not answer; subscribe again later",
        })
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownNamespace => "no namespace of this name is configured",
            Self::NotKept => "the channel keeps no history",
            Self::Unavailable => "the store does not answer; repeat later",
        })
    }
}

impl std::error::Error for PublishError {}
impl std::error::Error for SubscribeError {}
impl std::error::Error for ReplayError {}
impl std::error::Error for HistoryError {}
