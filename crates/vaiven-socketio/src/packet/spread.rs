//! Values of Rust to arguments: a tuple is a list of them, anything else is one.

use super::{Args, EncodeError, binary};
use bytes::Bytes;
use serde::Serialize;
use serde::ser::Serializer;
use std::fmt::Display;

/// What an event or an acknowledgement carries.
///
/// Whatever serde can write: a tuple, or an array of fixed length, is a list of arguments, `()` is none, and anything
/// else is one argument. [`Args`] that have arrived are passed on as they are.
///
/// ```
/// use vaiven_socketio::packet::Args;
/// assert_eq!(Args::new(())?.json(), "");
/// assert_eq!(Args::new("hola")?.json(), r#""hola""#);
/// assert_eq!(Args::new((1, "dos", [3]))?.json(), r#"1,"dos",[3]"#);
/// assert_eq!(Args::new(vec![1, 2])?.json(), "[1,2]");
/// # Ok::<(), vaiven_socketio::packet::EncodeError>(())
/// ```
pub trait Arguments {
    /// Appends the arguments' JSON texts, with commas between them, and gives their attachments.
    ///
    /// # Errors
    /// What serde reports of a value that cannot be written: a map whose keys are no text, say.
    fn write(&self, out: &mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>;
}

impl<T: Serialize> Arguments for T {
    fn write(&self, out: &mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError> {
        let start = out.len();
        let ((), attachments) = binary::collecting(|| {
            let mut spreads = Spreads::No;
            let mut json = serde_json::Serializer::new(&mut *out);
            self.serialize(Spread { json: &mut json, spreads: &mut spreads })?;
            match spreads {
                Spreads::No => {}
                Spreads::Nothing => out.truncate(start),
                Spreads::List => {
                    out.pop();
                    out.remove(start);
                }
            }
            Ok(())
        })
        .map_err(EncodeError)?;
        Ok(attachments)
    }
}

impl Arguments for Args {
    fn write(&self, out: &mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError> {
        out.extend_from_slice(self.json().as_bytes());
        Ok(self.attachments().to_vec())
    }
}

impl Arguments for &Args {
    fn write(&self, out: &mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError> {
        (**self).write(out)
    }
}

/// Whether the outermost value is a list of arguments.
enum Spreads {
    No,
    Nothing,
    List,
}

/// Serializes as serde_json does, and tells whether the outermost value is a tuple.
struct Spread<'a, W> {
    json: &'a mut serde_json::Serializer<W>,
    spreads: &'a mut Spreads,
}

type Json<'a, W> = &'a mut serde_json::Serializer<W>;

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*) -> $out:ident;)*) => {
        $(fn $method(self, $($name: $type),*) -> Result<Self::$out, Self::Error> {
            self.json.$method($($name),*)
        })*
    };
}

impl<'a, W: std::io::Write> Serializer for Spread<'a, W> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = <Json<'a, W> as Serializer>::SerializeSeq;
    type SerializeTuple = <Json<'a, W> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <Json<'a, W> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <Json<'a, W> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <Json<'a, W> as Serializer>::SerializeMap;
    type SerializeStruct = <Json<'a, W> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <Json<'a, W> as Serializer>::SerializeStructVariant;

    pass_on! {
        serialize_bool(value: bool) -> Ok;
        serialize_i8(value: i8) -> Ok;
        serialize_i16(value: i16) -> Ok;
        serialize_i32(value: i32) -> Ok;
        serialize_i64(value: i64) -> Ok;
        serialize_i128(value: i128) -> Ok;
        serialize_u8(value: u8) -> Ok;
        serialize_u16(value: u16) -> Ok;
        serialize_u32(value: u32) -> Ok;
        serialize_u64(value: u64) -> Ok;
        serialize_u128(value: u128) -> Ok;
        serialize_f32(value: f32) -> Ok;
        serialize_f64(value: f64) -> Ok;
        serialize_char(value: char) -> Ok;
        serialize_str(value: &str) -> Ok;
        serialize_bytes(value: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    fn serialize_unit(self) -> Result<(), Self::Error> {
        *self.spreads = Spreads::Nothing;
        Ok(())
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Self::Error> {
        *self.spreads = Spreads::List;
        self.json.serialize_tuple(len)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        value.serialize(self.json)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        self.json.serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        self.json.serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        self.json.collect_str(value)
    }
}
