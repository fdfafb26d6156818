//! UTF-8 to what a JavaScript engine keeps strings in: Latin-1 where every character has a place there, else UTF-16.
//!
//! The runtime's own decoder takes two to four nanoseconds for each byte that is not ASCII until release 24 of Node,
//! which is several times what the rest of a message's way costs.

/// The units of a decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    /// So many bytes.
    Latin1(usize),
    /// So many numbers of 16 bits, the lower half first.
    Utf16(usize),
}

/// Decodes `text` to the beginning of `out`. `None`: it is not UTF-8, or `out` has no room for a unit for each byte.
pub(crate) fn decode(text: &[u8], out: &mut [u8]) -> Option<Units> {
    let text = simdutf8::basic::from_utf8(text).ok()?.as_bytes();
    // U+0100 is C4 80, and no byte of a smaller character is above C3.
    if text.iter().fold(0, |most: u8, byte| most.max(*byte)) < 0xC4 {
        return write(text, out, |unit| unit.to_le_bytes()[0]).map(Units::Latin1);
    }
    write(text, out.as_chunks_mut::<2>().0, u16::to_le_bytes).map(Units::Utf16)
}

/// Writes the UTF-16 of `text`, which is UTF-8, each number as `unit` makes it. There are never more than bytes.
#[inline]
fn write<Unit>(text: &[u8], out: &mut [Unit], unit: impl Fn(u16) -> Unit) -> Option<usize> {
    let out = out.get_mut(..text.len())?;
    let (mut read, mut written) = (0, 0);
    while let Some(&lead) = text.get(read) {
        let following = |index: usize| u32::from(text[read + index] & 0x3F);
        let (character, len) = match lead {
            0..0x80 => {
                if let Some(eight) = text[read..].first_chunk::<8>()
                    && let Some(places) = out[written..].first_chunk_mut::<8>()
                {
                    // All eight without a look at each: what is behind the ASCII among them is written over.
                    for (place, byte) in places.iter_mut().zip(eight) {
                        *place = unit(u16::from(*byte));
                    }
                    let ascii = (u64::from_le_bytes(*eight) & NOT_ASCII).trailing_zeros() as usize / 8;
                    read += ascii;
                    written += ascii;
                    continue;
                }
                (u32::from(lead), 1)
            }
            0x80..0xE0 => (u32::from(lead & 0x1F) << 6 | following(1), 2),
            0xE0..0xF0 => (u32::from(lead & 0x0F) << 12 | following(1) << 6 | following(2), 3),
            0xF0.. => {
                let character =
                    u32::from(lead & 0x07) << 18 | following(1) << 12 | following(2) << 6 | following(3);
                let beyond = character - 0x1_0000;
                out[written] = unit(low_half(0xD800 | beyond >> 10));
                written += 1;
                (0xDC00 | beyond & 0x3FF, 4)
            }
        };
        out[written] = unit(low_half(character));
        written += 1;
        read += len;
    }
    Some(written)
}

/// The bits of eight bytes that are not set where they are ASCII.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

#[inline]
fn low_half(number: u32) -> u16 {
    let [first, second, ..] = number.to_le_bytes();
    u16::from_le_bytes([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let is_latin1 = text.chars().all(|character| character <= '\u{ff}');
        let count = if is_latin1 { text.chars().count() } else { text.encode_utf16().count() };
        let width = if is_latin1 { 1 } else { 2 };
        let mut out = vec![0; text.len() * width];
        let units = decode(text.as_bytes(), &mut out);
        if is_latin1 {
            assert_eq!(units, Some(Units::Latin1(count)), "{text:?}");
            assert_eq!(out[..count].iter().map(|byte| char::from(*byte)).collect::<String>(), text);
        } else {
            assert_eq!(units, Some(Units::Utf16(count)), "{text:?}");
            let units: Vec<u16> =
                out[..2 * count].chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            assert_eq!(String::from_utf16(&units).ok().as_deref(), Some(text));
        }
        for room in 0..out.len() {
            assert_eq!(decode(text.as_bytes(), &mut out[..room]), None, "{text:?} in {room} bytes");
        }
    }

    #[test]
    fn characters_on_each_side_of_a_border_survive() {
        let borders =
            "\u{0}\u{7f}\u{80}\u{ff}\u{100}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}";
        for one in borders.chars() {
            for other in borders.chars() {
                for stretch in [0, 1, 6, 7, 8, 9, 24] {
                    check(&format!("{one}{}{other}", "a".repeat(stretch)));
                    check(&format!("{}{one}{other}", "a".repeat(stretch)));
                }
            }
        }
    }

    #[test]
    fn what_is_not_utf8_is_not_decoded() {
        let mut out = [0; 64];
        for bytes in [&b"\xc3"[..], b"\xc0\x80", b"abc\xed\xa0\x80", b"\xff"] {
            assert_eq!(decode(bytes, &mut out), None, "{bytes:?}");
        }
    }
}
