//! Events of Socket.IO to what channels hold, and back.
//!
//! `message` with one argument is that argument, as plain members and clients of `vaiven.v1.json` say it. Every other
//! event is the object `{"event":NAME,"args":[…]}`; where its arguments have bytes inside, these stand there as
//! `{"base64":TEXT}`, and the object has `"binary":true` besides.

use crate::protocol::json::is_too_deep;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use vaiven_hub::Data;
use vaiven_socketio::packet::{EncodeError, RESERVED_EVENTS};
use vaiven_socketio::{Args, Binary, Value};

/// The event that a value is which names none.
pub(super) const MESSAGE: &str = "message";
/// The event by which the server tells who came and left: nobody else says it.
pub(super) const PRESENCE: &str = "presence";
/// Attachments that clients take in one packet.
const MAX_ATTACHMENTS: usize = 10;
/// What stands in an object for bytes.
const BASE64: &str = "base64";

/// An event in a channel.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    args: Cow<'a, RawValue>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    binary: bool,
}

/// Why an event cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPublished {
    /// Only the server says it.
    Reserved,
    /// It nests deeper than others read.
    TooDeep,
}

impl NotPublished {
    /// A sentence for the one who said it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Reserved => "only the server sends events of this name",
            Self::TooDeep => "the arguments nest deeper than 64 levels",
        }
    }
}

/// What is published for an event.
///
/// # Errors
/// [`NotPublished`].
pub(super) fn to_data(name: &str, args: &Args) -> Result<Data, NotPublished> {
    if name == PRESENCE {
        return Err(NotPublished::Reserved);
    }
    if is_too_deep(args.json().as_bytes()) {
        return Err(NotPublished::TooDeep);
    }
    let mut elements = args.iter();
    if name == MESSAGE
        && let (Some(only), None) = (elements.next(), elements.next())
    {
        if let Ok(Value::Binary(bytes)) = args.get(0) {
            return Ok(Data::Binary(bytes));
        }
        if args.attachments().is_empty() && Envelope::of(only.as_bytes()).is_none() {
            return Ok(Data::Json(Bytes::copy_from_slice(only.as_bytes())));
        }
    }
    let binary = !args.attachments().is_empty();
    let envelope = Envelope { event: name.into(), args: Cow::Owned(array(args)), binary };
    Ok(Data::Json(to_json(&envelope)))
}

/// Arguments as a JSON list, bytes in base64.
pub(super) fn array(args: &Args) -> Box<RawValue> {
    let array = if args.attachments().is_empty() { format!("[{}]", args.json()) } else { with_base64(args) };
    RawValue::from_string(array).expect("arguments that a parser has judged are JSON")
}

/// An event of the operator's as it stands in a channel.
pub(super) fn envelope(name: &str, args: Option<&RawValue>) -> Bytes {
    let args = args.map_or_else(|| array(&Args::default()), RawValue::to_owned);
    to_json(&Envelope { event: name.into(), args: Cow::Owned(args), binary: false })
}

/// The event that a publication is, and its arguments.
///
/// # Errors
/// [`EncodeError`]: the arguments are none that can be written.
pub(super) fn of_data(data: &Data) -> Result<(Cow<'_, str>, Args), EncodeError> {
    let json = match data {
        Data::Binary(bytes) => return Ok((MESSAGE.into(), Args::new(Binary(bytes.clone()))?)),
        Data::Json(json) => json,
    };
    if let Some(Envelope { event, args, binary }) = Envelope::of(json) {
        let args = if binary { of_base64(&args)? } else { Args::from_array(args.get()).unwrap_or_default() };
        return Ok((event, args));
    }
    let only: Option<&RawValue> = serde_json::from_slice(json).ok();
    Ok((MESSAGE.into(), Args::new(only)?))
}

impl<'a> Envelope<'a> {
    /// The event that a value is, where it is one that may be passed on.
    fn of(json: &'a [u8]) -> Option<Self> {
        if json.first() != Some(&b'{') {
            return None;
        }
        let envelope: Self = serde_json::from_slice(json).ok()?;
        let is_free = envelope.event != PRESENCE && !RESERVED_EVENTS.contains(&&*envelope.event);
        (is_free && envelope.args.get().starts_with('[')).then_some(envelope)
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("it has no map with keys that are not strings").into()
}

/// Arguments as JSON, with their bytes in base64.
fn with_base64(args: &Args) -> String {
    let elements = (0..args.iter().count()).map(|index| args.get::<Value>(index).unwrap_or_default());
    let elements: Vec<_> = elements.map(bytes_to_text).collect();
    serde_json::to_string(&elements).expect("it has no map with keys that are not strings")
}

/// The same, back.
fn of_base64(args: &RawValue) -> Result<Args, EncodeError> {
    let elements: Vec<Value> = serde_json::from_str(args.get()).unwrap_or_default();
    let elements = elements.into_iter().map(text_to_bytes);
    let joined = Args::join(elements)?;
    if joined.attachments().len() > MAX_ATTACHMENTS {
        // A client would take them for an attack.
        return Ok(Args::from_array(args.get()).unwrap_or_default());
    }
    Ok(joined)
}

fn bytes_to_text(value: Value) -> Value {
    match value {
        Value::Binary(bytes) => {
            Value::Object(vec![(BASE64.to_owned(), Value::String(STANDARD.encode(bytes)))])
        }
        value => each(value, bytes_to_text),
    }
}

fn text_to_bytes(value: Value) -> Value {
    if let Value::Object(members) = &value
        && let [(key, Value::String(text))] = &members[..]
        && key == BASE64
        && let Ok(bytes) = STANDARD.decode(text)
    {
        return Value::Binary(bytes.into());
    }
    each(value, text_to_bytes)
}

/// Changes what is in a list or an object. What looks like a placeholder of the protocol is none: in the text of an event
/// with attachments it would be taken for one.
fn each(value: Value, change: fn(Value) -> Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(change).collect()),
        Value::Object(members) => {
            let members = members.into_iter().filter(|(key, _)| key != "_placeholder");
            Value::Object(members.map(|(key, value)| (key, change(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, args: &Args, json: &str) {
        let data = to_data(name, args).unwrap();
        assert_eq!(data, Data::Json(Bytes::copy_from_slice(json.as_bytes())), "{data:?}");
        let (again, arguments) = of_data(&data).unwrap();
        assert_eq!((&*again, &arguments), (name, args));
    }

    #[test]
    fn a_message_is_its_argument_and_other_events_say_what_they_are() {
        check("message", &Args::new("hola").unwrap(), r#""hola""#);
        check("message", &Args::new(serde_json::json!({"a": 1})).unwrap(), r#"{"a":1}"#);
        check("message", &Args::new((1, 2)).unwrap(), r#"{"event":"message","args":[1,2]}"#);
        check("typing", &Args::new(()).unwrap(), r#"{"event":"typing","args":[]}"#);
        check("typing", &Args::new((true, "x")).unwrap(), r#"{"event":"typing","args":[true,"x"]}"#);
    }

    #[test]
    fn bytes_alone_are_binary_and_bytes_inside_are_base64() {
        let bytes = Binary(Bytes::from_static(b"\x01\x02"));
        let data = to_data("message", &Args::new(&bytes).unwrap()).unwrap();
        assert_eq!(data, Data::Binary(Bytes::from_static(b"\x01\x02")));
        let (name, args) = of_data(&data).unwrap();
        assert_eq!((&*name, args.attachments().len()), ("message", 1));
        let args = Args::new(("a", vec![&bytes, &bytes])).unwrap();
        check(
            "picture",
            &args,
            r#"{"event":"picture","args":["a",[{"base64":"AQI="},{"base64":"AQI="}]],"binary":true}"#,
        );
    }

    #[test]
    fn nobody_says_what_only_the_server_says() {
        assert_eq!(to_data("presence", &Args::default()), Err(NotPublished::Reserved));
        let nested = |depth: usize| {
            Args::from_array(&format!("[{}1{}]", "[".repeat(depth), "]".repeat(depth))).unwrap()
        };
        assert!(to_data("message", &nested(64)).is_ok());
        assert_eq!(to_data("message", &nested(65)), Err(NotPublished::TooDeep));
        // In a message it is data, and stays data.
        let spoof = Args::new(serde_json::json!({"event": "x", "args": [1]})).unwrap();
        let data = to_data("message", &spoof).unwrap();
        assert_eq!(of_data(&data).unwrap(), ("message".into(), spoof));
        for name in ["presence", "connect", "disconnect"] {
            let json = format!(r#"{{"event":"{name}","args":[]}}"#);
            let data = Data::Json(json.clone().into());
            assert_eq!(of_data(&data).unwrap().0, "message", "{json}");
        }
    }

    #[test]
    fn a_placeholder_of_somebodys_own_is_not_taken_for_one() {
        let json = r#"{"event":"x","args":[{"_placeholder":true,"num":7},{"base64":"AQI="}],"binary":true}"#;
        let data = Data::Json(json.into());
        let (_, args) = of_data(&data).unwrap();
        assert_eq!(
            (args.json(), args.attachments().len()),
            (r#"{"num":7},{"_placeholder":true,"num":0}"#, 1)
        );
    }
}
