//! The default parser's text: a type, the number of attachments, a namespace, a number, and JSON.

use super::args::{Args, JSON_SPACE};
use super::placeholder;
use super::{
    MAIN_NAMESPACE, MAX_ACK_ID, Packet, PacketError, check_event_name, check_namespace, namespace_text,
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::borrow::Cow;
use vaiven::Text;

/// A packet, and how many attachments are still to come.
pub(super) struct Head {
    pub(super) packet: Packet,
    pub(super) attachments: usize,
}

/// The kinds of packets that a client may send, without their attachments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
}

/// Reads a packet's text. Attachments are counted, and placeholders checked against that count.
pub(super) fn decode(text: &Text, max_attachments: usize) -> Result<Head, PacketError> {
    let (kind, is_binary) = match text.as_bytes().first() {
        Some(b'0') => (Kind::Connect, false),
        Some(b'1') => (Kind::Disconnect, false),
        Some(b'2') => (Kind::Event, false),
        Some(b'3') => (Kind::Ack, false),
        Some(b'5') => (Kind::Event, true),
        Some(b'6') => (Kind::Ack, true),
        _ => return Err(PacketError::Type),
    };
    let rest = &text[1..];
    let (attachments, rest) = if is_binary { attachment_count(rest, max_attachments)? } else { (0, rest) };
    let (namespace, rest) = namespace(rest)?;
    let (id, payload) = ack_id(rest)?;
    let packet = match kind {
        Kind::Connect | Kind::Disconnect if id.is_some() => return Err(PacketError::AckId),
        Kind::Connect => Packet::Connect { namespace, auth: auth(payload)? },
        Kind::Disconnect if payload.is_empty() => Packet::Disconnect { namespace },
        Kind::Disconnect => return Err(PacketError::Payload),
        Kind::Event => {
            check_json(payload, attachments)?;
            let (name, args) = event(payload)?;
            Packet::Event { namespace, id, name: Text::from(&*name), args: arguments(text, args) }
        }
        Kind::Ack => {
            check_json(payload, attachments)?;
            let args = array(payload).ok_or(PacketError::Payload)?;
            Packet::Ack { namespace, id: id.ok_or(PacketError::AckId)?, args: arguments(text, args) }
        }
    };
    Ok(Head { packet, attachments })
}

/// The number before the hyphen: at least one, or the packet would be no binary one.
fn attachment_count(text: &str, max: usize) -> Result<(usize, &str), PacketError> {
    let (digits, rest) = text.split_once('-').ok_or(PacketError::AttachmentCount)?;
    if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PacketError::AttachmentCount);
    }
    match digits.parse() {
        Ok(count) if count <= max => Ok((count, rest)),
        _ => Err(PacketError::TooManyAttachments),
    }
}

/// The namespace, which ends at a comma, or at the end where nothing follows.
fn namespace(text: &str) -> Result<(Text, &str), PacketError> {
    if !text.starts_with('/') {
        return Ok((Text::from_static(MAIN_NAMESPACE), text));
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    check_namespace(name)?;
    Ok((namespace_text(name), rest))
}

/// The number of an acknowledgement, if there is one.
fn ack_id(text: &str) -> Result<(Option<u64>, &str), PacketError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok((None, text));
    }
    let (digits, rest) = text.split_at(digits);
    match digits.parse() {
        Ok(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(PacketError::AckId),
    }
}

/// The payload of CONNECT: an object, or nothing.
fn auth(payload: &str) -> Result<Option<Text>, PacketError> {
    if payload.is_empty() {
        return Ok(None);
    }
    if payload.starts_with('{') && placeholder::is_json(payload) {
        Ok(Some(Text::from(payload)))
    } else {
        Err(PacketError::Payload)
    }
}

/// Judges the whole payload once, so that what is cut out of it later needs no further look.
fn check_json(payload: &str, attachments: usize) -> Result<(), PacketError> {
    if attachments == 0 {
        return if placeholder::is_json(payload) { Ok(()) } else { Err(PacketError::Payload) };
    }
    placeholder::check(payload, attachments).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => PacketError::Placeholder,
        _ => PacketError::Payload,
    })
}

/// What stands between the brackets of an array that was judged.
fn array(payload: &str) -> Option<&str> {
    let elements = payload.trim_matches(JSON_SPACE).strip_prefix('[')?.strip_suffix(']')?;
    Some(elements.trim_matches(JSON_SPACE))
}

/// An event's name, and the text of its arguments.
fn event(payload: &str) -> Result<(Cow<'_, str>, &str), PacketError> {
    let elements = array(payload).ok_or(PacketError::Payload)?;
    if !elements.starts_with('"') {
        return Err(PacketError::EventName);
    }
    let mut reader = serde_json::Deserializer::from_str(elements);
    let raw = <&RawValue as serde::Deserialize>::deserialize(&mut reader)
        .map_err(|_| PacketError::EventName)?
        .get();
    let name = plain(raw).map_or_else(
        || serde_json::from_str(raw).map(Cow::Owned).map_err(|_| PacketError::EventName),
        |name| Ok(Cow::Borrowed(name)),
    )?;
    check_event_name(&name)?;
    let behind = elements[raw.len()..].trim_start_matches(JSON_SPACE);
    Ok((name, behind.strip_prefix(',').unwrap_or("").trim_start_matches(JSON_SPACE)))
}

/// The text of a JSON string in which nothing is escaped.
fn plain(raw: &str) -> Option<&str> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// Arguments that share the message's memory: they are a part of its text.
fn arguments(text: &Text, elements: &str) -> Args {
    if elements.is_empty() {
        return Args::default();
    }
    let bytes = text.clone().into_bytes().slice_ref(elements.as_bytes());
    let json = Text::try_from(bytes).expect("a part of a text between two of its characters is text");
    Args::from_parts(json, Vec::new())
}

/// Writes what stands before the JSON of a packet without attachments: type, namespace, number.
pub(super) fn write_head(out: &mut Vec<u8>, kind: u8, namespace: &str, id: Option<u64>) {
    out.push(kind);
    if namespace != MAIN_NAMESPACE {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        out.extend_from_slice(id.to_string().as_bytes());
    }
}

/// A text that was written here, of pieces that were text.
pub(super) fn text(bytes: Vec<u8>) -> Text {
    Text::try_from(Bytes::from(bytes)).expect("a packet is made of text")
}
