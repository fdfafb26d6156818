//! Messages of `vaiven.v1.json` to and from what the machine works with. Knows JSON and the binary form, and nothing
//! of connections.

use crate::{Data, Member, Position};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use vaiven::Message;

/// What the client says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command<'a> {
    Connect {
        id: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        session: &'a str,
    },
    Subscribe {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<&'a Position>,
        #[serde(skip_serializing_if = "is_zero")]
        last: u32,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        presence: bool,
    },
    Unsubscribe {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        channel: &'a str,
    },
    Publish {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        remove: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        ephemeral: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    History {
        id: u64,
        channel: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<&'a Position>,
        limit: u32,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reverse: bool,
    },
    Presence {
        id: u64,
        channel: &'a str,
    },
    Refresh {
        id: u64,
        token: &'a str,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Command<'_> {
    pub(crate) fn message(&self) -> Message {
        serde_json::to_string(self).expect("a command has no map with keys that are not strings").into()
    }

    /// The binary form: the object, a line feed, the bytes.
    pub(crate) fn with_bytes(&self, bytes: &[u8]) -> Message {
        let mut message =
            serde_json::to_vec(self).expect("a command has no map with keys that are not strings");
        message.push(b'\n');
        message.extend_from_slice(bytes);
        message.into()
    }
}

/// What the server says: all fields of all types, so that none has to be known before the others.
#[derive(Debug, Deserialize)]
pub(crate) struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    pub(crate) id: Option<u64>,
    #[serde(borrow)]
    pub(crate) channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    pub(crate) base64: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) removed: bool,
    pub(crate) time: Option<u64>,
    pub(crate) epoch: Option<String>,
    pub(crate) offset: Option<u64>,
    #[serde(default)]
    pub(crate) duplicate: bool,
    pub(crate) contract: Option<String>,
    pub(crate) recovered: Option<bool>,
    pub(crate) missed: Option<u64>,
    #[serde(borrow)]
    pub(crate) publications: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    pub(crate) more: bool,
    pub(crate) count: Option<u64>,
    pub(crate) clients: Option<Vec<Member>>,
    pub(crate) joined: Option<Vec<Member>>,
    pub(crate) left: Option<Vec<Member>>,
    #[serde(borrow)]
    pub(crate) code: Option<&'a RawValue>,
    pub(crate) message: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) ping: Option<u64>,
    pub(crate) window: Option<u64>,
    pub(crate) limits: Option<Limits>,
}

/// What a client does well to keep, of `welcome`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Limits {
    pub(crate) message_rate: Option<f64>,
    pub(crate) message_burst: Option<f64>,
}

impl Incoming<'_> {
    /// The code of an error, which is a string.
    pub(crate) fn code(&self) -> String {
        self.code.and_then(|code| serde_json::from_str(code.get()).ok()).unwrap_or_default()
    }
}

/// A message of the server, with the payload that it carries.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub(crate) fields: Incoming<'a>,
    pub(crate) data: Option<Data>,
}

/// Reads a message. `None` where it is none of this protocol.
pub(crate) fn parse(message: &Message) -> Option<Parsed<'_>> {
    match message {
        Message::Text(text) => {
            let fields: Incoming<'_> = serde_json::from_str(text).ok()?;
            let whole = text.clone().into_bytes();
            let data = fields.data.map(|data| Data::Json(whole.slice_ref(data.get().as_bytes())));
            Some(Parsed { fields, data })
        }
        Message::Binary(bytes) => {
            let end = bytes.iter().position(|byte| *byte == b'\n')?;
            let fields = serde_json::from_slice(bytes.get(..end)?).ok()?;
            Some(Parsed { fields, data: Some(Data::Binary(bytes.slice(end + 1..))) })
        }
    }
}

/// Reads one of the publications of a history.
pub(crate) fn publication(raw: &RawValue) -> Option<(Incoming<'_>, Data)> {
    let fields: Incoming<'_> = serde_json::from_str(raw.get()).ok()?;
    let data = match (&fields.data, &fields.base64) {
        (Some(data), _) => Data::Json(Bytes::copy_from_slice(data.get().as_bytes())),
        (None, Some(base64)) => Data::Binary(STANDARD.decode(base64).ok()?.into()),
        (None, None) => Data::null(),
    };
    Some((fields, data))
}
