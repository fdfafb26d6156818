//! The payloads that are measured. Always the same bytes, so that runs can be compared.

use crate::wire::Opcode;

/// A payload of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Bytes without a pattern.
    Binary(usize),
    /// Text of one, two, three and four bytes to the character.
    MixedText(usize),
    /// A list of objects, as services exchange it.
    Json(usize),
}

impl Payload {
    /// Length in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Binary(length) | Self::MixedText(length) | Self::Json(length) => length,
        }
    }

    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Self::Binary(_) => Opcode::Binary,
            Self::MixedText(_) | Self::Json(_) => Opcode::Text,
        }
    }

    /// How tables name it.
    pub(crate) fn name(self) -> String {
        let (length, kind) = match self {
            Self::Binary(length) => (length, ""),
            Self::MixedText(length) => (length, " text"),
            Self::Json(length) => (length, " JSON"),
        };
        match length {
            0..1024 => format!("{length} B{kind}"),
            1024..1_048_576 => format!("{} KiB{kind}", length >> 10),
            _ => format!("{} MiB{kind}", length >> 20),
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Binary(length) => noise().take(length).collect(),
            Self::MixedText(length) => mixed_text(length),
            Self::Json(length) => json(length),
        }
    }
}

/// Bytes of a linear congruential generator.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 0x2545_f491_u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
}

fn mixed_text(length: usize) -> Vec<u8> {
    let sentence = "Vaivén: ida y vuelta, туда и обратно, 往復, 🚀🌍. ";
    let mut text = String::new();
    for character in sentence.chars().cycle() {
        if text.len() + character.len_utf8() > length {
            break;
        }
        text.push(character);
    }
    text.push_str(&".".repeat(length - text.len()));
    text.into_bytes()
}

fn json(length: usize) -> Vec<u8> {
    const LAST: &str = r#"{"note":""}]"#;
    let mut text = String::from("[");
    let mut numbers = noise().map(u32::from);
    let mut number = move || numbers.next().unwrap_or_default();
    for id in 4711.. {
        let item = format!(
            r#"{{"id":{id},"user":"player-{}","x":{}.{:02},"y":{}.{:02},"score":{},"alive":{}}},"#,
            number() % 40,
            number(),
            number() % 100,
            number(),
            number() % 100,
            number() * 10,
            number() % 2 == 0,
        );
        if text.len() + item.len() + LAST.len() > length {
            break;
        }
        text.push_str(&item);
    }
    let pad = "x".repeat(length - text.len() - LAST.len());
    text.push_str(&LAST.replace("\"\"", &format!("\"{pad}\"")));
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_their_length_and_text_is_text() {
        for payload in [Payload::Binary(20), Payload::MixedText(1024), Payload::Json(1024)] {
            let bytes = payload.bytes();
            assert_eq!(bytes.len(), payload.len());
            assert!(payload.opcode() == Opcode::Binary || std::str::from_utf8(&bytes).is_ok());
        }
    }
}
