//! Bytes inside of JSON: a placeholder in the text, and an attachment beside it.
//!
//! serde knows nothing of attachments, and a serializer of our own around that of serde_json would double each of its
//! types. So whoever reads or writes arguments lends their attachments to this thread for as long as that takes, and
//! [`Binary`] finds them there.

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::cell::RefCell;
use std::fmt;

/// Bytes in an argument, at any depth of it: an `ArrayBuffer`, a `Buffer` or a `Blob` at the other end.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use vaiven_socketio::packet::{Args, Binary};
///
/// #[derive(Serialize, Deserialize)]
/// struct Picture {
///     name: String,
///     data: Binary,
/// }
///
/// let picture = Picture { name: "mar".to_owned(), data: Binary::from(vec![1, 2, 3]) };
/// let args = Args::new(&picture)?;
/// assert_eq!(args.json(), r#"{"name":"mar","data":{"_placeholder":true,"num":0}}"#);
/// assert_eq!(args.attachments()[0][..], [1, 2, 3]);
/// let again: Picture = args.parse()?;
/// assert_eq!(again.data.0[..], [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binary(pub Bytes);

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

thread_local! {
    /// The attachments of the arguments that are being read or written on this thread.
    static ATTACHMENTS: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Gives the thread back what was lent to it before, also when a value's own code panics.
struct Restore(Option<Vec<Bytes>>);

impl Drop for Restore {
    fn drop(&mut self) {
        ATTACHMENTS.set(self.0.take());
    }
}

/// Collects the attachments of whatever `write` serializes.
pub(super) fn collecting<T, E>(write: impl FnOnce() -> Result<T, E>) -> Result<(T, Vec<Bytes>), E> {
    let before = Restore(ATTACHMENTS.replace(Some(Vec::new())));
    let written = write()?;
    let attachments = ATTACHMENTS.take().unwrap_or_default();
    drop(before);
    Ok((written, attachments))
}

/// Shows `attachments` to whatever `read` deserializes.
pub(super) fn lending<T>(attachments: &[Bytes], read: impl FnOnce() -> T) -> T {
    if attachments.is_empty() && ATTACHMENTS.with_borrow(Option::is_none) {
        return read();
    }
    let _before = Restore(ATTACHMENTS.replace(Some(attachments.to_vec())));
    read()
}

/// The attachment of this number, of the arguments that are being read.
pub(super) fn attachment(index: u64) -> Option<Bytes> {
    ATTACHMENTS.with_borrow(|attachments| attachments.as_ref()?.get(usize::try_from(index).ok()?).cloned())
}

/// The key that marks a placeholder.
pub(super) const PLACEHOLDER: &str = "_placeholder";
/// The key under which a placeholder names its attachment.
pub(super) const NUM: &str = "num";

impl Serialize for Binary {
    /// A placeholder where attachments are collected; elsewhere what serde makes of bytes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = ATTACHMENTS.with_borrow_mut(|attachments| {
            attachments.as_mut().map(|attachments| {
                attachments.push(self.0.clone());
                attachments.len() - 1
            })
        });
        let Some(index) = index else { return serializer.serialize_bytes(&self.0) };
        let mut placeholder = serializer.serialize_struct("Placeholder", 2)?;
        placeholder.serialize_field(PLACEHOLDER, &true)?;
        placeholder.serialize_field(NUM, &index)?;
        placeholder.end()
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BinaryVisitor)
    }
}

struct BinaryVisitor;

impl<'de> Visitor<'de> for BinaryVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a binary attachment")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(Binary(Bytes::copy_from_slice(bytes)))
    }

    /// Bytes that went through JSON without attachments.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Binary, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(Binary(bytes.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Binary, A::Error> {
        let (mut is_placeholder, mut num) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                PLACEHOLDER => is_placeholder = map.next_value()?,
                NUM => num = Some(map.next_value()?),
                _ => map.next_value::<serde::de::IgnoredAny>().map(drop)?,
            }
        }
        let found = num.filter(|_| is_placeholder).and_then(attachment);
        found.map(Binary).ok_or_else(|| A::Error::custom("not a binary attachment"))
    }
}
