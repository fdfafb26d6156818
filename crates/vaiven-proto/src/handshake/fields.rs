//! The header fields of a head, in their order: one shared buffer and ranges into it, no string per field.

use super::HeadError;
use super::field::{elements, trim};
use bytes::Bytes;
use std::fmt;

/// Header fields in the order in which they came. Names are compared without regard to case.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields {
    head: Bytes,
    spans: Vec<FieldSpan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldSpan {
    name: Span,
    value: Span,
}

/// A range of a head; a head is far shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part`, a slice of `whole`, lies in it.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Result<Self, HeadError> {
        // A parser may give an empty slice that points elsewhere.
        if part.is_empty() {
            return Ok(Self::default());
        }
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        let end = start.saturating_add(part.len());
        debug_assert!(end <= whole.len(), "the part lies in the whole");
        let position = |at: usize| u32::try_from(at).map_err(|_| HeadError::TooLarge);
        Ok(Self { start: position(start)?, end: position(end)? })
    }

    pub(super) fn bytes(self, whole: &[u8]) -> &[u8] {
        let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        whole.get(index(self.start)..index(self.end)).unwrap_or_default()
    }

    pub(super) fn text(self, whole: &[u8]) -> &str {
        std::str::from_utf8(self.bytes(whole)).unwrap_or_default()
    }
}

impl Fields {
    /// The fields that httparse found in `head`.
    pub(super) fn new(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<Self, HeadError> {
        let mut spans = Vec::with_capacity(parsed.len());
        for field in parsed {
            let name = Span::of(field.name.as_bytes(), head)?;
            spans.push(FieldSpan { name, value: Span::of(field.value, head)? });
        }
        Ok(Self { head: head.clone(), spans })
    }

    /// The head as it came, from its first line to the empty line that ends it.
    pub(super) fn head(&self) -> &Bytes {
        &self.head
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Names and values, in their order. Values are trimmed, and need not be text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        let head = &self.head;
        self.spans.iter().map(move |span| (span.name.text(head), trim(span.value.bytes(head))))
    }

    /// The value of the first field of this name.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The value of the only field of this name; `None` when there is none, when there are several, or when it
    /// is not UTF-8.
    pub fn single_text(&self, name: &str) -> Option<&str> {
        match self.single(name) {
            Single::Once(value) => std::str::from_utf8(value).ok(),
            Single::Absent | Single::Repeated => None,
        }
    }

    /// The field of this name, which may come once.
    pub(super) fn single(&self, name: &str) -> Single<'_> {
        self.all(name).collect()
    }

    /// The values of all fields of this name, in their order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The elements of a comma-separated list, over all fields of this name, trimmed, without empty ones
    /// (RFC 9110 section 5.6.1).
    pub fn tokens<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.all(name).flat_map(elements).filter(|element| !element.is_empty())
    }
}

impl fmt::Debug for Fields {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// A field that may come once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Single<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Single<'a> {
    /// One more field of the name came.
    pub(super) fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

impl<'a> FromIterator<&'a [u8]> for Single<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut single = Self::default();
        values.into_iter().for_each(|value| single.add(value));
        single
    }
}

/// Runs `parse` with room for `fields` header fields: on the stack for the usual head, else on the heap.
pub(super) fn with_room<'head, R>(
    fields: usize,
    parse: impl FnOnce(&mut [httparse::Header<'head>]) -> R,
) -> R {
    const USUAL_FIELDS: usize = 32;
    if fields <= USUAL_FIELDS {
        parse(&mut [httparse::EMPTY_HEADER; USUAL_FIELDS])
    } else {
        parse(&mut vec![httparse::EMPTY_HEADER; fields])
    }
}
