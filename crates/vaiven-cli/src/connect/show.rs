//! Messages as people and programs read them: text that cannot act on the terminal, binary as dump, hex or base64.

use super::options::BinaryFormat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Bytes of a message that a hex dump shows: more scrolls away anyhow.
const MAX_DUMP_BYTES: usize = 4 << 10;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    /// Colours on a terminal, unless the environment says otherwise (<https://no-color.org>).
    pub(super) fn of(is_terminal: bool) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: is_terminal && !is_set("NO_COLOR") && !is_dumb }
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn error(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn incoming(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text for a terminal: what it would act on is escaped, lines and tabs stay.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' | '"' | '\'' | '\\' => shown.push(char),
            char => shown.extend(char.escape_debug()),
        }
    }
    shown
}

/// A binary message as text; `None` for [`BinaryFormat::Raw`].
pub(super) fn binary(bytes: &[u8], format: BinaryFormat) -> Option<String> {
    match format {
        BinaryFormat::Hexdump => Some(hexdump(bytes)),
        BinaryFormat::Hex => Some(hex(bytes)),
        BinaryFormat::Base64 => Some(STANDARD.encode(bytes)),
        BinaryFormat::Raw => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string can be written to");
    }
    text
}

/// Sixteen bytes a line, as `hexdump -C`.
fn hexdump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let shown = &bytes[..bytes.len().min(MAX_DUMP_BYTES)];
    for (index, row) in shown.chunks(16).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write!(text, "{:08x}  ", index * 16).expect("a string can be written to");
        for column in 0..16 {
            match row.get(column) {
                Some(byte) => write!(text, "{byte:02x} ").expect("a string can be written to"),
                None => text.push_str("   "),
            }
            if column == 7 {
                text.push(' ');
            }
        }
        let visible =
            |&byte: &u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' };
        write!(text, " |{}|", row.iter().map(visible).collect::<String>())
            .expect("a string can be written to");
    }
    if bytes.len() > MAX_DUMP_BYTES {
        write!(text, "\n({} more bytes)", bytes.len() - MAX_DUMP_BYTES).expect("a string can be written to");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_act_on_the_terminal() {
        assert_eq!(visible("¡hola! 'a' \"b\" \\ ñ 👋\n\tc"), "¡hola! 'a' \"b\" \\ ñ 👋\n\tc");
        assert_eq!(
            visible("\x1b]0;title\x07\r\u{9b}31m\u{202e}"),
            "\\u{1b}]0;title\\u{7}\\r\\u{9b}31m\\u{202e}"
        );
    }

    #[test]
    fn binary_is_shown_as_asked() {
        let bytes = b"hola\x00\xff";
        assert_eq!(binary(bytes, BinaryFormat::Hex).unwrap(), "686f6c6100ff");
        assert_eq!(binary(bytes, BinaryFormat::Base64).unwrap(), "aG9sYQD/");
        assert_eq!(binary(bytes, BinaryFormat::Raw), None);
        assert_eq!(
            binary(bytes, BinaryFormat::Hexdump).unwrap(),
            "00000000  68 6f 6c 61 00 ff                                 |hola..|"
        );
        assert_eq!(binary(b"", BinaryFormat::Hexdump).unwrap(), "");
    }

    #[test]
    fn a_long_dump_is_cut() {
        for (length, rest) in
            [(MAX_DUMP_BYTES - 1, None), (MAX_DUMP_BYTES, None), (MAX_DUMP_BYTES + 1, Some("(1 more bytes)"))]
        {
            let dump = hexdump(&vec![0; length]);
            assert_eq!(dump.lines().count(), MAX_DUMP_BYTES / 16 + usize::from(rest.is_some()));
            assert!(rest.is_none_or(|rest| dump.ends_with(rest)));
        }
    }
}
