//! What the fuzz targets see of the protocol: a message of a client to what it was taken for.

use crate::protocol::command::{Command, Payload, Rejection, Request};
use bytes::Bytes;
use vaiven::Message;

/// What a message was taken for.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A command, with its number and what it publishes.
    Command {
        /// The number of the answer.
        id: Option<u64>,
        /// The data of a publication: JSON, or bytes.
        data: Option<Result<Bytes, Bytes>>,
    },
    /// None, and the client is told so.
    Refused,
    /// Its end, since it nests too deep.
    TooDeep,
    /// Its end, since it is binary and no publication.
    NotJson,
}

/// Takes a message of a client of `vaiven.v1.json`.
pub fn v1_command(message: &Message) -> Taken {
    match Request::parse(message) {
        Ok(Request { id, command }) => {
            let data = match command {
                Command::Publish(publish) => Some(match publish.data {
                    Payload::Json(json) => Ok(json),
                    Payload::Binary(bytes) => Err(bytes),
                }),
                _ => None,
            };
            Taken::Command { id, data }
        }
        Err(Rejection::Error { .. }) => Taken::Refused,
        Err(Rejection::TooDeep) => Taken::TooDeep,
        Err(Rejection::NotJson) => Taken::NotJson,
    }
}
