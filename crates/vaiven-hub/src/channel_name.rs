//! The name of a channel: text from a client -> a name that is known to be right.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes.
const MAX_BYTES: usize = 255;

/// The name of a channel: 1 to 255 bytes of UTF-8 without control characters, spaces, `*` and `>`, which brokers use
/// in patterns. A clone shares the text.
///
/// ```
/// use vaiven_hub::ChannelName;
/// let name = ChannelName::parse("juego:mesa-7")?;
/// assert_eq!(name.namespace(), "juego");
/// assert_eq!(ChannelName::parse("sala")?.namespace(), "");
/// assert!(ChannelName::parse("dos palabras").is_err());
/// # Ok::<(), vaiven_hub::ChannelNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

/// Why a text names no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelNameError {
    /// It has no characters.
    Empty,
    /// It has more than 255 bytes.
    TooLong,
    /// It has this character, which is not allowed.
    Character(char),
}

impl ChannelName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ChannelNameError`] says what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, ChannelNameError> {
        if name.is_empty() {
            return Err(ChannelNameError::Empty);
        }
        if name.len() > MAX_BYTES {
            return Err(ChannelNameError::TooLong);
        }
        match name.chars().find(|c| c.is_control() || c.is_whitespace() || matches!(c, '*' | '>')) {
            Some(character) => Err(ChannelNameError::Character(character)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, or nothing: the namespace that the channel belongs to.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }
}

impl std::borrow::Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ChannelNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a channel needs a name"),
            Self::TooLong => write!(f, "a channel's name has at most {MAX_BYTES} bytes"),
            Self::Character(character) => write!(f, "a channel's name cannot have {character:?}"),
        }
    }
}

impl std::error::Error for ChannelNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<&str, ChannelNameError>) {
        let namespace = ChannelName::parse(name).map(|name| name.namespace().to_owned());
        assert_eq!(namespace, expected.map(str::to_owned));
    }

    #[test]
    fn a_name_is_text_without_what_brokers_use_in_patterns() {
        check("sala", Ok(""));
        check("juego:mesa:7", Ok("juego"));
        check(":mesa", Ok(""));
        check("niño/日本", Ok(""));
        check("", Err(ChannelNameError::Empty));
        check(&"a".repeat(254), Ok(""));
        check(&"a".repeat(255), Ok(""));
        check(&"a".repeat(256), Err(ChannelNameError::TooLong));
        for character in [' ', '*', '>', '\n', '\0', '\u{7f}', '\u{85}', '\u{a0}'] {
            check(&format!("a{character}"), Err(ChannelNameError::Character(character)));
        }
    }
}
