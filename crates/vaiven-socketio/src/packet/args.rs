//! The arguments of an event or an acknowledgement: JSON text, and attachments beside it.

use super::{Arguments, EncodeError, binary};
use bytes::Bytes;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::value::RawValue;
use std::fmt;
use vaiven::Text;

/// The arguments of an event or an acknowledgement, as they arrived: passed on they cost no parsing, and a handler
/// reads of them what it needs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// The texts of the arguments with commas between them: what stands between the brackets.
    json: Text,
    attachments: Vec<Bytes>,
}

impl Args {
    /// Arguments of values: see [`Arguments`].
    ///
    /// # Errors
    /// [`EncodeError`] where serde cannot write them as JSON.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn new(arguments: impl Arguments) -> Result<Self, EncodeError> {
        Self::of(&arguments)
    }

    /// Arguments of the JSON text of an array, as it stands.
    ///
    /// # Errors
    /// What serde reports where it is none.
    pub fn from_array(json: &str) -> Result<Self, serde_json::Error> {
        let elements: Vec<&RawValue> = serde_json::from_str(json)?;
        let texts: Vec<_> = elements.iter().map(|element| element.get()).collect();
        Ok(Self { json: Text::from(texts.join(",")), attachments: Vec::new() })
    }

    /// Arguments of values, one for each.
    ///
    /// # Errors
    /// [`EncodeError`] where serde cannot write one as JSON.
    pub fn join<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<Self, EncodeError> {
        let mut json = Vec::new();
        let ((), attachments) = binary::collecting(|| {
            for value in values {
                if !json.is_empty() {
                    json.push(b',');
                }
                serde_json::to_writer(&mut json, &value)?;
            }
            Ok(())
        })
        .map_err(EncodeError)?;
        let json = Text::try_from(Bytes::from(json)).expect("serde_json writes text");
        Ok(Self { json, attachments })
    }

    /// As [`new`](Self::new), of arguments that stay their owner's.
    pub(crate) fn of(arguments: &impl Arguments) -> Result<Self, EncodeError> {
        let mut json = Vec::new();
        let attachments = arguments.write(&mut json)?;
        let json = Text::try_from(Bytes::from(json)).expect("serde_json writes text");
        Ok(Self { json, attachments })
    }

    /// One argument, of JSON text that a parser has judged.
    pub(crate) fn from_json(json: Text) -> Self {
        Self::from_parts(json, Vec::new())
    }

    /// Arguments that a parser has judged.
    pub(super) fn from_parts(json: Text, attachments: Vec<Bytes>) -> Self {
        Self { json, attachments }
    }

    /// The same text with these attachments, against which its placeholders were checked.
    pub(super) fn attached(self, attachments: Vec<Bytes>) -> Self {
        Self { attachments, ..self }
    }

    /// The JSON texts of the arguments with commas between them. Where attachments belong stand objects of the form
    /// `{"_placeholder":true,"num":0}`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The attachments, by the number that placeholders have.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// The same, with a `null` behind them where they end with a text. Clients that are recovered take any text at the end of an
    /// event for their offset: one without an offset must not end so.
    #[must_use]
    pub fn without_text_at_end(mut self) -> Self {
        if self.json.trim_end().ends_with('"') || self.json.is_empty() {
            let comma = if self.json.is_empty() { "" } else { "," };
            self.json = Text::from(format!("{}{comma}null", &*self.json));
        }
        self
    }

    /// The JSON text of each argument.
    pub fn iter(&self) -> Elements<'_> {
        Elements { rest: &self.json }
    }

    /// Reads the arguments: into a tuple one after the other, into anything else the first one. A missing argument
    /// reads as `null`, and those that nobody asks for are passed over, as in JavaScript.
    ///
    /// # Errors
    /// What serde reports where an argument is of another kind.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        binary::lending(&self.attachments, || T::deserialize(Spread(self.iter())))
    }

    /// Reads one argument.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, serde_json::Error> {
        let json = self.iter().nth(index).unwrap_or("null");
        binary::lending(&self.attachments, || serde_json::from_str(json))
    }
}

impl<'a> IntoIterator for &'a Args {
    type Item = &'a str;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl fmt::Debug for Args {
    /// Lengths only: payloads stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Args({} bytes, {} attachments)", self.json.len(), self.attachments.len())
    }
}

/// The JSON texts of arguments, one after the other.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start_matches(JSON_SPACE);
        if rest.is_empty() {
            return None;
        }
        let mut json = serde_json::Deserializer::from_str(rest);
        let element = <&RawValue as serde::Deserialize>::deserialize(&mut json).ok()?.get();
        let behind = rest.get(element.len()..)?.trim_start_matches(JSON_SPACE);
        self.rest = behind.strip_prefix(',').unwrap_or("");
        Some(element)
    }
}

/// What JSON calls whitespace (RFC 8259 section 2).
pub(super) const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Reads arguments: a tuple takes one after the other, anything else takes the first.
struct Spread<'a>(Elements<'a>);

impl<'a> Spread<'a> {
    fn first(mut self) -> serde_json::Deserializer<StrRead<'a>> {
        serde_json::Deserializer::from_str(self.0.next().unwrap_or(MISSING))
    }
}

/// What stands for an argument that is not there.
const MISSING: &str = "null";

macro_rules! read_first {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            self.first().$method($($name,)* visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Spread<'de> {
    type Error = serde_json::Error;

    read_first! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(self)
    }
}

impl<'de> SeqAccess<'de> for Spread<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        let element = self.0.next().unwrap_or(MISSING);
        seed.deserialize(&mut serde_json::Deserializer::from_str(element)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Binary, Value};
    use super::*;
    use serde::Serialize;

    #[track_caller]
    fn written(arguments: impl Arguments, json: &str) {
        assert_eq!(Args::new(arguments).unwrap().json(), json);
    }

    fn read<T: DeserializeOwned>(json: &str) -> T {
        Args::from_parts(Text::from(json), Vec::new()).parse().unwrap()
    }

    #[test]
    fn a_tuple_is_a_list_of_arguments_and_anything_else_is_one() {
        #[derive(Serialize)]
        struct Point(u8, u8);
        written((), "");
        written(("a",), r#""a""#);
        written((1, ("b", 2), None::<u8>), r#"1,["b",2],null"#);
        written([1, 2], "1,2");
        written([0_u8; 0], "");
        written(vec![1, 2], "[1,2]");
        written(Point(1, 2), "[1,2]");
        written(None::<u8>, "null");
        written(Some((1, 2)), "[1,2]");
        written(serde_json::json!({"a": [1]}), r#"{"a":[1]}"#);
    }

    #[test]
    fn arguments_are_read_as_they_were_written() {
        assert_eq!(read::<String>(r#""a",2"#), "a");
        assert_eq!(read::<(u8, String, Option<u8>)>(r#" 1 , "b,]" "#), (1, "b,]".to_owned(), None));
        assert_eq!(read::<Vec<u8>>("[1,2],3"), [1, 2]);
        assert_eq!(read::<Option<u8>>(""), None);
        read::<()>("1");
        assert!(Args::default().parse::<u8>().is_err());
        assert!(Args::new("x").unwrap().parse::<u8>().is_err());
        assert_eq!(Args::new((1, 2)).unwrap().get::<u8>(1).unwrap(), 2);
    }

    #[test]
    fn bytes_travel_beside_the_text_and_come_back_at_any_depth() {
        let (first, second) = (Binary::from(vec![1]), Binary::from(vec![2, 3]));
        let args = Args::new((&first, vec![(7, &second)])).unwrap();
        assert_eq!(args.json(), r#"{"_placeholder":true,"num":0},[[7,{"_placeholder":true,"num":1}]]"#);
        assert_eq!(args.attachments().len(), 2);
        let (a, b): (Binary, Vec<(u8, Binary)>) = args.parse().unwrap();
        assert_eq!((a, &b[0].1), (first, &second));
        let value: Vec<Value> = vec![args.get(0).unwrap(), args.get(1).unwrap()];
        assert_eq!(value[0], Value::Binary(vec![1].into()));
        assert_eq!(Args::new((&value[0], &value[1])).unwrap(), args);
    }

    #[test]
    fn a_placeholder_without_its_attachment_is_no_binary() {
        let args = Args::from_parts(Text::from(r#"{"_placeholder":true,"num":0}"#), Vec::new());
        assert!(args.parse::<Binary>().is_err());
        assert!(matches!(args.parse::<Value>().unwrap(), Value::Object(_)));
    }

    #[test]
    fn the_elements_are_the_texts_of_the_arguments() {
        let args = Args::from_parts(Text::from(" {\"a\": [1, 2]} ,\t\"]\" , 1e3"), Vec::new());
        assert_eq!(args.iter().collect::<Vec<_>>(), ["{\"a\": [1, 2]}", "\"]\"", "1e3"]);
    }
}
