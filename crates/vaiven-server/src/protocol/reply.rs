//! What the server says, as JSON on one line; binary data stand behind that line.

use super::code::ErrorCode;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::time::Duration;
use vaiven::Message;

/// One message of the server, except for a publication, which is [`Said`]. Answers have the number of what they
/// answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply<'a> {
    Welcome(Welcome<'a>),
    Subscribed(Subscribed<'a>),
    Ok(Done<'a>),
    History(Page<'a>),
    Presence(Present<'a>),
    PresenceChanged(PresenceChanged<'a>),
    Unsubscribed { channel: &'a str, code: ErrorCode, message: &'a str },
    Refresh,
    Error(Failure<'a>),
    Ping,
    Pong(Numbered),
    Disconnect(Disconnect<'a>),
}

impl Reply<'_> {
    /// The message on the wire.
    pub(crate) fn to_message(&self) -> Message {
        Message::text(to_json(self))
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Welcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    pub(crate) client: &'a str,
    pub(crate) session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    #[serde(serialize_with = "millis")]
    pub(crate) ping: Duration,
    #[serde(serialize_with = "millis")]
    pub(crate) window: Duration,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_millis")]
    pub(crate) expires: Option<Duration>,
    pub(crate) limits: ClientLimits,
    /// The secret of a stream of Server-Sent Events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<&'a str>,
}

/// Bounds that a client does well to keep.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ClientLimits {
    pub(crate) message_bytes: usize,
    pub(crate) channels: usize,
    pub(crate) message_rate: u32,
    pub(crate) message_burst: u32,
    pub(crate) publishing: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Subscribed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    pub(crate) channel: &'a str,
    pub(crate) contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<u64>,
}

/// `ok`, with what there is to say beyond it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Done<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_millis")]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    pub(crate) channel: &'a str,
    pub(crate) epoch: &'a str,
    pub(crate) offset: u64,
    pub(crate) publications: Vec<Said<'a>>,
    pub(crate) more: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Present<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    pub(crate) channel: &'a str,
    pub(crate) count: usize,
    pub(crate) clients: Vec<Person<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PresenceChanged<'a> {
    pub(crate) channel: &'a str,
    pub(crate) count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) joined: Vec<Person<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left: Vec<Person<'a>>,
}

/// A client that is in a channel.
#[derive(Debug, Serialize)]
pub(crate) struct Person<'a> {
    pub(crate) client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) info: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    pub(crate) code: ErrorCode,
    pub(crate) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_millis")]
    pub(crate) retry: Option<Duration>,
}

/// What has nothing to say but its number.
#[derive(Debug, Serialize)]
pub(crate) struct Numbered {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Disconnect<'a> {
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_millis")]
    pub(crate) retry: Option<Duration>,
}

/// A publication: as a message of its own, or within a history, where it has neither `type` nor `channel`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Said<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    pub(crate) time: u64,
}

impl Said<'_> {
    /// A message of its own: text, or binary with the data behind its first line.
    pub(crate) fn to_message(&self, binary: Option<&[u8]>) -> Message {
        let json = to_json(self);
        let Some(binary) = binary else { return Message::text(json) };
        let mut bytes = json.into_bytes();
        bytes.reserve_exact(1 + binary.len());
        bytes.push(b'\n');
        bytes.extend_from_slice(binary);
        Message::binary(bytes)
    }
}

/// A value as JSON on one line.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("these types have nothing that JSON cannot say")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn some_millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    millis(&duration.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_nothing_to_say_about_is_left_out() {
        let ok = Reply::Ok(Done { id: Some(2), epoch: Some("e"), offset: Some(7), ..Done::default() });
        assert_eq!(to_json(&ok), r#"{"type":"ok","id":2,"epoch":"e","offset":7}"#);
        assert_eq!(to_json(&Reply::Ping), r#"{"type":"ping"}"#);
        assert_eq!(to_json(&Reply::Pong(Numbered { id: Some(0) })), r#"{"type":"pong","id":0}"#);
        let retry = Some(Duration::from_millis(1500));
        let reply = Reply::Disconnect(Disconnect { code: 1012, reason: "the server stops", retry });
        let expected = r#"{"type":"disconnect","code":1012,"reason":"the server stops","retry":1500}"#;
        assert_eq!(to_json(&reply), expected);
    }

    #[test]
    fn a_publication_is_text_or_a_line_with_bytes_behind_it() {
        let data = RawValue::from_string("[1, 2]".to_owned()).unwrap();
        let said = Said {
            kind: Some("message"),
            channel: Some("sala"),
            data: Some(&data),
            offset: Some(1),
            time: 5,
            ..Said::default()
        };
        let expected = r#"{"type":"message","channel":"sala","data":[1, 2],"offset":1,"time":5}"#;
        assert_eq!(said.to_message(None), Message::text(expected));
        let said = Said { data: None, ..said };
        let expected = "{\"type\":\"message\",\"channel\":\"sala\",\"offset\":1,\"time\":5}\n\u{0}\n";
        assert_eq!(said.to_message(Some(b"\0\n")), Message::binary(expected.as_bytes()));
    }
}
