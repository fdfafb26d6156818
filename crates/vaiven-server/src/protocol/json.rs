//! How deep a JSON text nests, judged before it is parsed. Whether it is JSON at all is the parser's to say.

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

#[cfg(test)]
mod tests {
    use super::*;

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
