//! What is published and what arrives: data, positions, publications, members, and the events of a subscription.

use crate::Error;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a publication carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// One JSON value, as its text in UTF-8.
    Json(Bytes),
    /// Bytes of any kind.
    Binary(Bytes),
}

impl Data {
    /// A value as JSON.
    ///
    /// # Errors
    /// [`Error::Data`] where the value cannot be written as JSON: a map with keys that are no strings, say.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let text = serde_json::to_vec(value).map_err(|error| Error::Data(error.to_string()))?;
        Ok(Self::Json(text.into()))
    }

    pub(crate) fn null() -> Self {
        Self::Json(Bytes::from_static(b"null"))
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value that the JSON stands for.
    ///
    /// # Errors
    /// [`Error::Data`] where it is binary, or the value of another type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match self {
            Self::Json(text) => serde_json::from_slice(text).map_err(|error| Error::Data(error.to_string())),
            Self::Binary(_) => {
                Err(Error::Data("the publication is binary, and JSON was asked for".to_owned()))
            }
        }
    }
}

impl fmt::Debug for Data {
    /// Kind and length only: payloads stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Json(_)) { "Json" } else { "Binary" };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

impl From<&str> for Data {
    /// The text as a JSON string.
    fn from(text: &str) -> Self {
        Self::json(text).expect("a string is JSON")
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// A place in a `reliable` channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Within which numbering: another one when the server cannot vouch for the continuation.
    pub epoch: String,
    /// The number of the latest publication: 0 before the first.
    pub offset: u64,
}

/// A publication to be made.
#[derive(Clone, Debug)]
pub struct NewPublication {
    pub(crate) data: Data,
    pub(crate) key: Option<String>,
    pub(crate) remove: bool,
    pub(crate) ephemeral: bool,
}

impl NewPublication {
    /// One with this data: a `&str` or `String` becomes a JSON string, bytes are binary, [`Data::json`] makes any
    /// other value.
    pub fn new(data: impl Into<Data>) -> Self {
        Self { data: data.into(), key: None, remove: false, ephemeral: false }
    }

    /// Takes a key of a `latest` channel away.
    pub fn removal(key: impl Into<String>) -> Self {
        Self { data: Data::null(), key: Some(key.into()), remove: true, ephemeral: false }
    }

    /// Updates this key of a `latest` channel.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Tells all who listen now, and is not kept. It is not sent again when the connection is lost.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }
}

impl<T: Into<Data>> From<T> for NewPublication {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// A publication that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it stands, in a `reliable` channel.
    pub position: Option<Position>,
    /// It had arrived before, and was acknowledged anew.
    pub duplicate: bool,
}

/// A publication that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// What it carries.
    pub data: Data,
    /// Its number in a `reliable` channel; none where it is not kept.
    pub offset: Option<u64>,
    /// What it updates in a `latest` channel.
    pub key: Option<String>,
    /// The key was taken away.
    pub removed: bool,
    /// The client that published it; none where it came through the HTTP API.
    pub client: Option<String>,
    /// The user that published it.
    pub user: Option<String>,
    /// When the server took it, in milliseconds since 1970 by the server's clock.
    pub time: u64,
}

/// A client in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its name, the same for as long as its session.
    pub client: String,
    /// Its user, where it has a token.
    pub user: Option<String>,
    /// What its token says about it.
    pub info: Option<serde_json::Value>,
}

/// Who is in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// How many.
    pub count: u64,
    /// Who, where there are 200 at most.
    pub clients: Vec<Member>,
}

/// Part of a channel's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The channel's position when it was asked for.
    pub position: Position,
    /// The publications, oldest first unless it was asked for otherwise.
    pub publications: Vec<Publication>,
    /// There is more in this direction.
    pub more: bool,
}

/// What a channel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contract {
    /// Kept, in order, and replayed to who comes back.
    Reliable,
    /// The newest of each key.
    Latest,
    /// To all who listen now.
    Volatile,
}

/// What happens in a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A publication arrived.
    Publication(Publication),
    /// The subscription stands, for the first time or anew after the connection was lost.
    Subscribed {
        /// What the channel promises.
        contract: Contract,
        /// Whether everything since the last publication follows. `Some(false)`: something is lost to this
        /// subscriber, and what follows is a new beginning. `None` for the first time.
        recovered: Option<bool>,
        /// How many follow from the history.
        missed: u64,
    },
    /// Members came and went.
    Presence {
        /// How many there are now.
        count: u64,
        /// Who came.
        joined: Vec<Member>,
        /// Who went.
        left: Vec<Member>,
    },
    /// The server has ended the subscription, or refused it: nothing follows.
    Unsubscribed {
        /// The stable code.
        code: String,
        /// A sentence.
        message: String,
    },
}

impl Event {
    /// What it counts for in a queue, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Publication(publication) => publication.data.len() + 128,
            Self::Presence { joined, left, .. } => 128 * (joined.len() + left.len() + 1),
            Self::Subscribed { .. } | Self::Unsubscribed { .. } => 128,
        }
    }
}
