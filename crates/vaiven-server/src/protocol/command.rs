//! A message of a client to a command, or to the reason why it is none.
//!
//! Fields that a command knows have the right type or the command is refused, and none of them stands there twice;
//! fields that it does not know are ignored. A field that is `null` is one that is not there, except for `data`.

use super::code::ErrorCode;
use super::json::is_too_deep;
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use vaiven::{Message, Text};

/// The greatest number that every JSON parser tells from its neighbours: 2^53 - 1.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// The most publications of a history at once.
pub(crate) const MAX_HISTORY: u32 = 300;

/// What a client asks, and the number under which it wants the answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Option<u64>,
    pub(crate) command: Command,
}

/// What a client asks.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Connect(Connect),
    Subscribe(Subscribe),
    Unsubscribe(Named),
    Publish(Publish),
    History(History),
    Presence(Named),
    Refresh(Refresh),
    Ping,
    Pong,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Connect {
    pub(crate) token: Option<String>,
    pub(crate) session: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Subscribe {
    pub(crate) channel: String,
    #[serde(default, deserialize_with = "object")]
    pub(crate) since: Option<Since>,
    pub(crate) last: Option<u32>,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) presence: bool,
}

/// A command that has only the name of a channel.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Named {
    pub(crate) channel: String,
}

/// A position as a client tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Since {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) channel: String,
    pub(crate) data: Payload,
    pub(crate) key: Option<String>,
    pub(crate) remove: bool,
    pub(crate) ephemeral: bool,
    pub(crate) seq: Option<u64>,
}

/// The data of a publication: one JSON value as it was written, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Json(Bytes),
    Binary(Bytes),
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct History {
    pub(crate) channel: String,
    #[serde(default, deserialize_with = "object")]
    pub(crate) since: Option<Since>,
    pub(crate) limit: Option<u32>,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) reverse: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) token: String,
}

/// Why a message is no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The client is told, and the connection stays.
    Error { id: Option<u64>, code: ErrorCode, message: String },
    /// It nests too deep: the connection closes with 1008.
    TooDeep,
    /// It is binary and does not begin with a line of JSON: the connection closes with 1003.
    NotJson,
}

impl Request {
    /// Reads a message.
    pub(crate) fn parse(message: &Message) -> Result<Self, Rejection> {
        if message.is_text() {
            return parse(message.as_bytes(), None);
        }
        let bytes = message.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Rejection::NotJson)?;
        let (line, rest) = (&bytes[..end], Bytes::copy_from_slice(&bytes[end + 1..]));
        // A line that cannot be the beginning of such a message is a protocol of another kind.
        let is_object = line.first() == Some(&b'{') && std::str::from_utf8(line).is_ok();
        if !is_object {
            return Err(Rejection::NotJson);
        }
        parse(line, Some(rest))
    }
}

fn parse(text: &[u8], binary: Option<Bytes>) -> Result<Request, Rejection> {
    if is_too_deep(text) {
        return Err(Rejection::TooDeep);
    }
    // serde would take an array for the fields of a struct in their order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad_request(None, "a message is one JSON object".to_owned()));
    }
    let head: Head<'_> = read(text, None)?;
    let id = head.id;
    if id.is_some_and(|id| id > MAX_NUMBER) {
        return Err(bad_request(None, "`id` must be at most 2^53 - 1".to_owned()));
    }
    let Some(kind) = head.kind else { return Err(bad_request(id, "missing field `type`".to_owned())) };
    let kind = kind_of(kind, id)?;
    if binary.is_some() && kind != "publish" {
        return Err(bad_request(id, format!("`{}` has no binary form", shown(&kind))));
    }
    let command = match &*kind {
        "connect" => Command::Connect(connect(read(text, id)?, id)?),
        "subscribe" => Command::Subscribe(subscribe(read(text, id)?, id)?),
        "unsubscribe" => Command::Unsubscribe(read(text, id)?),
        "publish" => Command::Publish(publish(read(text, id)?, binary, id)?),
        "history" => Command::History(history(read(text, id)?, id)?),
        "presence" => Command::Presence(read(text, id)?),
        "refresh" => Command::Refresh(read(text, id)?),
        "ping" => Command::Ping,
        "pong" => Command::Pong,
        kind => {
            let message = format!("there is no command of the type `{}`", shown(kind));
            return Err(Rejection::Error { id, code: ErrorCode::UnknownType, message });
        }
    };
    Ok(Request { id, command })
}

/// What every message has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    id: Option<u64>,
}

/// The type, which nobody writes with escapes, and which is not copied therefore.
fn kind_of(kind: &RawValue, id: Option<u64>) -> Result<Cow<'_, str>, Rejection> {
    let plain = kind.get().strip_prefix('"').and_then(|kind| kind.strip_suffix('"'));
    match plain {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => read(kind.get().as_bytes(), id).map(Cow::Owned),
    }
}

/// A publication as it is written.
#[derive(Deserialize)]
struct RawPublish<'a> {
    channel: String,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    key: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    remove: bool,
    #[serde(default, deserialize_with = "flag")]
    ephemeral: bool,
    seq: Option<u64>,
}

/// `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An object, and not an array of its fields.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(raw) = Option::<&RawValue>::deserialize(deserializer)? else { return Ok(None) };
    if !raw.get().starts_with('{') {
        return Err(D::Error::custom("invalid type: expected an object"));
    }
    serde_json::from_str(raw.get()).map(Some).map_err(D::Error::custom)
}

fn read<'de, T: Deserialize<'de>>(text: &'de [u8], id: Option<u64>) -> Result<T, Rejection> {
    serde_json::from_slice(text).map_err(|error| bad_request(id, error.to_string()))
}

fn bad_request(id: Option<u64>, message: String) -> Rejection {
    Rejection::Error { id, code: ErrorCode::BadRequest, message }
}

/// A name of the client's in a sentence to it.
fn shown(kind: &str) -> String {
    kind.chars().take(32).collect()
}

fn connect(connect: Connect, id: Option<u64>) -> Result<Connect, Rejection> {
    if connect.session.as_deref().is_some_and(|session| !is_session(session)) {
        let message = "`session` must be 16 to 64 characters of A-Z a-z 0-9 - _".to_owned();
        return Err(bad_request(id, message));
    }
    Ok(connect)
}

/// Whether a text can be the secret of a session.
pub(crate) fn is_session(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (16..=64).contains(&text.len()) && text.bytes().all(is_known)
}

fn subscribe(subscribe: Subscribe, id: Option<u64>) -> Result<Subscribe, Rejection> {
    if subscribe.last.is_some_and(|last| last > MAX_HISTORY) {
        return Err(bad_request(id, format!("`last` must be at most {MAX_HISTORY}")));
    }
    check_since(subscribe.since.as_ref(), id)?;
    Ok(subscribe)
}

fn history(history: History, id: Option<u64>) -> Result<History, Rejection> {
    if history.limit.is_some_and(|limit| limit == 0 || limit > MAX_HISTORY) {
        return Err(bad_request(id, format!("`limit` must be from 1 to {MAX_HISTORY}")));
    }
    check_since(history.since.as_ref(), id)?;
    Ok(history)
}

fn check_since(since: Option<&Since>, id: Option<u64>) -> Result<(), Rejection> {
    match since {
        Some(since) if since.offset > MAX_NUMBER => {
            Err(bad_request(id, "`offset` must be at most 2^53 - 1".to_owned()))
        }
        _ => Ok(()),
    }
}

fn publish(raw: RawPublish<'_>, binary: Option<Bytes>, id: Option<u64>) -> Result<Publish, Rejection> {
    let RawPublish { channel, data, key, remove, ephemeral, seq } = raw;
    let data = match (data, binary) {
        (Some(_), Some(_)) => {
            return Err(bad_request(
                id,
                "a binary message has its data behind the line, not in `data`".to_owned(),
            ));
        }
        (Some(json), None) => Payload::Json(Bytes::copy_from_slice(json.get().as_bytes())),
        (None, Some(bytes)) => Payload::Binary(bytes),
        // Who takes a key away has nothing to say about it.
        (None, None) if remove => Payload::Json(Bytes::from_static(b"null")),
        (None, None) => return Err(bad_request(id, "missing field `data`".to_owned())),
    };
    if seq.is_some_and(|seq| seq > MAX_NUMBER) {
        return Err(bad_request(id, "`seq` must be at most 2^53 - 1".to_owned()));
    }
    if remove && key.is_none() {
        return Err(bad_request(id, "`remove` needs the `key` that is to go".to_owned()));
    }
    Ok(Publish { channel, data, key, remove, ephemeral, seq })
}

impl Payload {
    /// What a plain client says: a text is a JSON string.
    pub(crate) fn from_plain(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Json(quoted(&text)),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &Text) -> Bytes {
    let mut json = Vec::with_capacity(text.len() + 2);
    serde_json::to_writer(&mut json, &**text).expect("a text can be written, and a Vec takes it");
    json.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<Request, Rejection> {
        Request::parse(&Message::text(json))
    }

    #[track_caller]
    fn check_refused(json: &str, id: Option<u64>, code: ErrorCode, why: &str) {
        match text(json) {
            Err(Rejection::Error { id: told, code: given, message }) => {
                assert_eq!((told, given), (id, code), "{json}: {message}");
                assert!(message.contains(why), "{json}: {message}");
            }
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn a_publication_keeps_its_data_as_it_was_written() {
        for data in ["null", "1.50", r#""\u00f1""#, r#"{"a":[1, 2 ],"a":3}"#, "1e400", r#""\ud800""#] {
            let json = format!(r#"{{"type":"publish","id":2,"channel":"sala","data": {data} ,"news":[1]}}"#);
            let Command::Publish(publish) = text(&json).unwrap().command else { panic!("{json}") };
            assert_eq!(publish.data, Payload::Json(Bytes::copy_from_slice(data.as_bytes())));
            assert_eq!(publish.channel, "sala");
        }
    }

    #[test]
    fn binary_data_stand_behind_the_first_line() {
        let message = Message::binary(b"{\"type\":\"publish\",\"channel\":\"a\"}\n\x00\n\xff".to_vec());
        let Command::Publish(publish) = Request::parse(&message).unwrap().command else { panic!() };
        assert_eq!(publish.data, Payload::Binary(Bytes::from_static(b"\x00\n\xff")));
        for bytes in ["", "hola", "hola\n", "\n", "{\"type\":\"publish\"}"] {
            let refused = Request::parse(&Message::binary(bytes.as_bytes().to_vec()));
            assert_eq!(refused, Err(Rejection::NotJson), "{bytes}");
        }
        let ping = Request::parse(&Message::binary(b"{\"type\":\"ping\",\"id\":1}\n".to_vec()));
        assert!(matches!(ping, Err(Rejection::Error { id: Some(1), .. })), "{ping:?}");
    }

    #[test]
    fn what_is_no_command_is_told_under_its_number() {
        use ErrorCode::{BadRequest, UnknownType};
        for json in
            ["", "null", "[]", "1", "\"publish\"", "[\"ping\"]", "{", "{\"type\":\"ping\"} x", "\u{feff}{}"]
        {
            check_refused(json, None, BadRequest, "");
        }
        let rows = [
            (r#"{"id":1}"#, Some(1), BadRequest, "type"),
            (r#"{"id":1,"type":null}"#, Some(1), BadRequest, "type"),
            (r#"{"id":1,"type":5}"#, Some(1), BadRequest, "invalid type"),
            (r#"{"id":1,"type":"__proto__"}"#, Some(1), UnknownType, "__proto__"),
            (r#"{"id":1,"id":2,"type":"ping"}"#, None, BadRequest, "duplicate"),
            (r#"{"type":"ping","type":"ping"}"#, None, BadRequest, "duplicate"),
            (r#"{"id":-1,"type":"ping"}"#, None, BadRequest, "-1"),
            (r#"{"id":1.5,"type":"ping"}"#, None, BadRequest, "1.5"),
            (r#"{"id":"1","type":"ping"}"#, None, BadRequest, "invalid type"),
            (r#"{"id":9007199254740992,"type":"ping"}"#, None, BadRequest, "2^53"),
            (r#"{"id":1,"type":"subscribe"}"#, Some(1), BadRequest, "channel"),
            (r#"{"id":1,"type":"subscribe","channel":1}"#, Some(1), BadRequest, "invalid type"),
            (r#"{"id":1,"type":"subscribe","channel":"a","channel":"a"}"#, Some(1), BadRequest, "duplicate"),
            (r#"{"id":1,"type":"subscribe","channel":"a","last":301}"#, Some(1), BadRequest, "300"),
            (r#"{"id":1,"type":"subscribe","channel":"a","last":-1}"#, Some(1), BadRequest, "-1"),
            (r#"{"id":1,"type":"subscribe","channel":"a","last":1e400}"#, Some(1), BadRequest, "number"),
            (r#"{"id":1,"type":"subscribe","channel":"a","since":["e",1]}"#, Some(1), BadRequest, "object"),
            (
                r#"{"id":1,"type":"subscribe","channel":"a","since":{"epoch":"e"}}"#,
                Some(1),
                BadRequest,
                "offset",
            ),
            (
                r#"{"id":1,"type":"subscribe","channel":"a","presence":1}"#,
                Some(1),
                BadRequest,
                "invalid type",
            ),
            (r#"{"id":1,"type":"history","channel":"a","limit":0}"#, Some(1), BadRequest, "limit"),
            (r#"{"id":1,"type":"history","channel":"a","limit":301}"#, Some(1), BadRequest, "limit"),
            (r#"{"id":1,"type":"publish","channel":"a"}"#, Some(1), BadRequest, "data"),
            (r#"{"id":1,"type":"publish","channel":"a","data":1,"remove":true}"#, Some(1), BadRequest, "key"),
            (r#"{"id":1,"type":"connect","session":"short"}"#, Some(1), BadRequest, "session"),
            (r#"{"id":1,"type":"connect","session":"0123456789abcdé0"}"#, Some(1), BadRequest, "session"),
            (r#"{"id":1,"type":"refresh"}"#, Some(1), BadRequest, "token"),
        ];
        for (json, id, code, why) in rows {
            check_refused(json, id, code, why);
        }
    }

    #[test]
    fn limits_are_taken_and_absent_fields_may_be_null() {
        for json in [
            r#"{"type":"ping","id":9007199254740991}"#,
            r#"{"type":"p\u0069ng"}"#,
            r#" {"type":"subscribe","channel":"a","last":300,"since":null,"presence":null}"#,
            r#"{"type":"history","channel":"a","limit":300,"reverse":true}"#,
            r#"{"type":"connect","session":"0123456789-abc_Z"}"#,
            r#"{"type":"publish","channel":"a","key":"k","remove":true}"#,
            r#"{"type":"ping","ping":1,"ping":2}"#,
        ] {
            assert!(text(json).is_ok(), "{json}: {:?}", text(json));
        }
    }

    #[test]
    fn what_nests_too_deep_is_no_error_that_is_answered() {
        let json = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!(r#"{{"type":"publish","channel":"a","data":{open}{close}}}"#)
        };
        assert!(text(&json(64)).is_ok());
        assert_eq!(text(&json(65)), Err(Rejection::TooDeep));
    }
}
