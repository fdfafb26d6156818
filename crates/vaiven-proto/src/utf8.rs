//! UTF-8 that arrives in pieces (RFC 6455 section 8.1): judged as soon as a byte can be judged.

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

/// Below this many bytes the standard library's validator is as fast as vector instructions.
const VECTOR_MIN: usize = 64;

/// Whether `bytes` are UTF-8 as a whole.
#[inline]
pub fn is_utf8(bytes: &[u8]) -> bool {
    if bytes.len() < VECTOR_MIN {
        std::str::from_utf8(bytes).is_ok()
    } else {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

/// Validates text that comes in pieces cut anywhere, also within a character.
#[derive(Clone, Debug, Default)]
pub struct Utf8Validator {
    /// The begun character at the end of what was seen: at most three bytes.
    begun: [u8; 4],
    begun_len: u8,
}

impl Utf8Validator {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`InvalidUtf8`] at the first byte after which no continuation could make the text valid.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.begun_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push_to_begun(byte)?;
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                for &byte in piece.split_at(error.valid_up_to()).1 {
                    self.push_to_begun(byte)?;
                }
                Ok(())
            }
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// Adds a byte to the begun character and judges it.
    fn push_to_begun(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let len = usize::from(self.begun_len);
        // A begun character has at most three bytes, or it would be whole or wrong.
        let Some(slot) = self.begun.get_mut(len) else { return Err(InvalidUtf8) };
        *slot = byte;
        match std::str::from_utf8(self.begun.split_at(len + 1).0) {
            Ok(_) => self.begun_len = 0,
            Err(error) if error.error_len().is_none() => self.begun_len += 1,
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(())
    }

    /// Ends the text and makes the validator ready for the next one.
    ///
    /// # Errors
    /// [`InvalidUtf8`] when a character was begun and not finished.
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        if std::mem::take(&mut self.begun_len) == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], valid: bool) {
        assert_eq!(is_utf8(text), valid, "{text:02x?}");
        let step = if cfg!(miri) { 7 } else { 1 };
        for first in (0..=text.len()).step_by(step) {
            for second in (first..=text.len()).step_by(step) {
                let mut validator = Utf8Validator::default();
                let verdict = [&text[..first], &text[first..second], &text[second..]]
                    .into_iter()
                    .try_for_each(|piece| validator.push(piece))
                    .and_then(|()| validator.finish());
                assert_eq!(verdict.is_ok(), valid, "{text:02x?} cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn text_is_judged_alike_however_it_is_cut() {
        check("".as_bytes(), true);
        check(
            "Vaivén κόσμε \u{10ffff}\u{0} ñandú 🙂 texto que pasa de sesenta y cuatro bytes".as_bytes(),
            true,
        );
        for bad in [
            &b"\xc0\x80"[..],
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xf5",
            b"abc\xff",
            b"\x80",
            b"\xe2\x82",
            b"a\xe2\x28\xa1",
            b"\xf0\x9f\x99",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn a_wrong_byte_is_refused_before_the_text_ends() {
        let mut validator = Utf8Validator::default();
        assert_eq!(validator.push(b"\xed"), Ok(()));
        assert_eq!(validator.push(b"\xa0"), Err(InvalidUtf8));
    }
}
