//! Channels that a token or the backend lists, by patterns in which `*` stands for any characters.

use super::backend::Action;
use serde::Deserialize;
use vaiven_hub::matches_pattern;

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
        patterns.iter().take(MAX_PATTERNS).any(|pattern| matches_pattern(pattern, channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_listed_by_a_pattern_and_for_one_thing() {
        let grants: Grants = serde_json::from_str(r#"{"subscribe":["a*"]}"#).unwrap();
        assert!(grants.lists(Action::Subscribe, "ab") && !grants.lists(Action::Subscribe, "ba"));
        assert!(!grants.lists(Action::Publish, "ab"));
    }
}
