//! What is wrong with a JSON text that a parser would take: how deep it nests, judged before it is parsed, and keys that
//! an object has twice. Whether it is JSON at all is the parser's to say.

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The most objects and arrays within each other.
pub(crate) const MAX_DEPTH: usize = 64;

/// Whether a text nests deeper than [`MAX_DEPTH`]. Brackets within strings do not count.
pub(crate) fn is_too_deep(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => {
                            bytes.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether an object of the text, at any depth, has a key twice: two readers could then understand two things.
pub(crate) fn has_doubled_keys(text: &[u8]) -> bool {
    let mut is_doubled = false;
    // A text that is no JSON is refused where it is parsed.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_any(Keys(&mut is_doubled));
    is_doubled
}

/// Looks at the keys of a value.
struct Keys<'a>(&'a mut bool);

impl<'de> serde::de::DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Keys(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            *self.0 |= !keys.insert(key);
            entries.next_value_seed(Keys(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_doubled_within_one_object_however_they_are_written() {
        for (text, expected) in [
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"a":1,"\u0061":2}"#, true),
            (r#"[{"b":{"a":[],"a":{}}}]"#, true),
            (r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#, false),
            (r#"{"a":"a","b":null,"c":-1,"d":1.5,"e":true}"#, false),
        ] {
            assert_eq!(has_doubled_keys(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn depth_64_is_taken_and_65_is_not() {
        for (depth, expected) in [(63, false), (64, false), (65, true)] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                let times = depth / open.matches(['[', '{']).count();
                let rest = depth % open.matches(['[', '{']).count();
                let text = format!(
                    "{}{}1{}{}",
                    "[".repeat(rest),
                    open.repeat(times),
                    close.repeat(times),
                    "]".repeat(rest)
                );
                assert_eq!(is_too_deep(text.as_bytes()), expected, "{text}");
            }
        }
        assert!(is_too_deep("[".repeat(65).as_bytes()), "also where it never closes");
    }

    #[test]
    fn brackets_in_strings_and_beside_each_other_do_not_count() {
        assert!(!is_too_deep(format!("[\"{}\"]", "[".repeat(100)).as_bytes()));
        assert!(!is_too_deep(format!(r#"["\"{}\\"]"#, "{".repeat(100)).as_bytes()));
        assert!(!is_too_deep("[],".repeat(100).as_bytes()));
        assert!(is_too_deep(format!(r#"["\\"{}"#, "[".repeat(64)).as_bytes()), "the string ends before");
    }
}
