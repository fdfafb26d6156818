//! Which names a pattern with `*` means.

/// Whether a whole name fits a pattern, in which `*` stands for any characters, none included. The time grows with the
/// lengths and not with the stars.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut rest = rest;
    // Each part is taken where it comes first; the last one must stand at the end.
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
        rest = after;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("*", "sala", true),
            ("sala", "sala", true),
            ("sala", "salas", false),
            ("juego:*", "juego:7", true),
            ("juego:*", "juego", false),
            ("*:7", "juego:7", true),
            ("*a*a", "sala", true),
            ("*a*a", "sa", false),
            ("s**a", "sa", true),
            ("s*ab*b", "sab", false),
            ("?", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
