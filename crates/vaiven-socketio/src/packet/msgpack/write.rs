//! JSON text and attachments to MessagePack.

use super::super::binary::{NUM, PLACEHOLDER};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Writes a packet; `data` is JSON, or empty where there is none.
pub(in super::super) fn write_packet(
    out: &mut Vec<u8>,
    kind: u8,
    namespace: &str,
    id: Option<u64>,
    data: &str,
    attachments: &[Bytes],
) {
    let start = begin(out);
    text(out, "type");
    out.push(kind);
    text(out, "nsp");
    text(out, namespace);
    let mut members = 2;
    if let Some(id) = id {
        text(out, "id");
        unsigned(out, id);
        members += 1;
    }
    if !data.is_empty() {
        text(out, "data");
        let mut json = serde_json::Deserializer::from_str(data);
        // Deeper than serde_json reads on its own account, an argument was written as text that arrived so.
        if (Json { out, attachments }).deserialize(&mut json).is_err() {
            out.push(NIL);
        }
        members += 1;
    }
    end(out, start, members, Collection::Map);
}

const NIL: u8 = 0xc0;

/// What a value is, as far as placeholders go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    True,
    Index(u64),
    Other,
}

/// Writes the value that it is shown.
struct Json<'a> {
    out: &'a mut Vec<u8>,
    attachments: &'a [Bytes],
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        self.out.push(NIL);
        Ok(Seen::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        unsigned(self.out, value);
        Ok(Seen::Index(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Seen, E> {
        signed(self.out, value);
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Seen, E> {
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Seen, E> {
        text(self.out, value);
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen, A::Error> {
        let Self { out, attachments } = self;
        let start = begin(out);
        let mut len = 0;
        while seq.next_element_seed(Json { out: &mut *out, attachments })?.is_some() {
            len += 1;
        }
        end(out, start, len, Collection::Array);
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let Self { out, attachments } = self;
        let start = begin(out);
        let (mut len, mut marked, mut num) = (0, false, Seen::Other);
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            text(out, &key);
            let value = map.next_value_seed(Json { out: &mut *out, attachments })?;
            match &*key {
                PLACEHOLDER => marked = value == Seen::True,
                NUM => num = value,
                _ => {}
            }
            len += 1;
        }
        let attachment = match num {
            Seen::Index(index) if marked => {
                usize::try_from(index).ok().and_then(|index| attachments.get(index))
            }
            _ => None,
        };
        match attachment {
            Some(bytes) => {
                out.truncate(start);
                binary(out, bytes);
            }
            None => end(out, start, len, Collection::Map),
        }
        Ok(Seen::Other)
    }
}

/// What has a number of elements, which is known at its end.
#[derive(Clone, Copy)]
enum Collection {
    Array,
    Map,
}

/// Leaves one byte for the head of a collection.
fn begin(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len() - 1
}

/// Writes the head of a collection, for which more than fifteen elements need more room than was left.
fn end(out: &mut Vec<u8>, start: usize, len: u32, collection: Collection) {
    let (fix, wide) = match collection {
        Collection::Array => (0x90, 0xdc),
        Collection::Map => (0x80, 0xde),
    };
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=15), _) => out[start] = fix | len,
        (_, Ok(len)) => {
            out[start] = wide;
            insert(out, start + 1, len.to_be_bytes());
        }
        _ => {
            out[start] = wide + 1;
            insert(out, start + 1, len.to_be_bytes());
        }
    }
}

fn insert<const N: usize>(out: &mut Vec<u8>, at: usize, bytes: [u8; N]) {
    out.splice(at..at, bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..=31) => out.push(0xa0 | len),
        _ => length(out, text.len(), 0xd9),
    }
    out.extend_from_slice(text.as_bytes());
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len(), 0xc4);
    out.extend_from_slice(bytes);
}

/// A length of one, two or four bytes, behind the byte that says which. Nothing longer than 4 GiB is ever written.
fn length(out: &mut Vec<u8>, len: usize, first: u8) {
    if let Ok(len) = u8::try_from(len) {
        out.extend_from_slice(&[first, len]);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(first + 1);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        let len = u32::try_from(len).expect("a message is shorter than 4 GiB");
        out.push(first + 2);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

fn unsigned(out: &mut Vec<u8>, value: u64) {
    if let Ok(value) = u8::try_from(value) {
        if value >= 0x80 {
            out.push(0xcc);
        }
        out.push(value);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn signed(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = i8::try_from(value) {
        if value < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}
