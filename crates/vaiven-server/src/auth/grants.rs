//! Channels that a token or the backend lists, by patterns in which `*` stands for any characters.

use super::backend::Action;
use serde::Deserialize;

/// The most patterns of a token.
const MAX_PATTERNS: usize = 256;

/// Patterns of channels, as the claim `channels` of a token has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Grants {
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
}

impl Grants {
    /// Whether a channel is listed for something.
    pub(crate) fn lists(&self, action: Action, channel: &str) -> bool {
        let patterns = match action {
            Action::Subscribe => &self.subscribe,
            Action::Publish => &self.publish,
        };
        patterns.iter().take(MAX_PATTERNS).any(|pattern| matches(pattern, channel))
    }
}

/// Whether a whole name fits a pattern. Each part between two stars is taken where it comes first, so that the time
/// grows with the lengths and not with the stars.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
        rest = after;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, name, expected) in [
            ("sala", "sala", true),
            ("sala", "salas", false),
            ("game:*", "game:7", true),
            ("game:*", "game:", true),
            ("game:*", "games", false),
            ("*", "anything", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("*ab", "aab", true),
            ("?", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let grants: Grants = serde_json::from_str(r#"{"subscribe":["a*"]}"#).unwrap();
        assert!(grants.lists(Action::Subscribe, "ab") && !grants.lists(Action::Publish, "ab"));
    }
}
