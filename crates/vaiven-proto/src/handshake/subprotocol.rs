//! `Sec-WebSocket-Protocol` (RFC 6455 section 11.3.4): the names that a client offers, in its order.

use super::field::{elements, is_token};

/// The most subprotocols in one request: real clients offer a handful, and each costs a comparison with all.
pub(super) const MAX_SUBPROTOCOLS: usize = 64;

/// What is wrong with a list of subprotocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListError {
    /// A name is empty or holds a character that a token must not hold.
    NotAToken,
    /// A name comes twice.
    Repeated,
    /// More than [`MAX_SUBPROTOCOLS`] names.
    TooMany,
}

/// Reads all lines of the header as one list.
pub(super) fn parse_list<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<&'a str>, ListError> {
    let mut names = Vec::new();
    for element in values.flat_map(elements) {
        push(&mut names, element)?;
    }
    Ok(names)
}

fn push<'a>(names: &mut Vec<&'a str>, name: &'a [u8]) -> Result<(), ListError> {
    if !is_token(name) {
        return Err(ListError::NotAToken);
    }
    let name = std::str::from_utf8(name).map_err(|_| ListError::NotAToken)?;
    if names.len() == MAX_SUBPROTOCOLS {
        return Err(ListError::TooMany);
    }
    // RFC 6455 section 4.1: the elements "MUST all be unique strings"; case counts.
    if names.contains(&name) {
        return Err(ListError::Repeated);
    }
    names.push(name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Result<&[&str], ListError>) {
        let parsed = parse_list(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(parsed, expected.map(<[&str]>::to_vec), "{lines:?}");
    }

    #[test]
    fn names_keep_their_order_over_lines() {
        check(&[], Ok(&[]));
        check(&["chat"], Ok(&["chat"]));
        check(&["b, a", "A\t,c"], Ok(&["b", "a", "A", "c"]));
    }

    #[test]
    fn lists_that_the_grammar_does_not_allow_are_refused() {
        for bad in ["", "a,,b", ",a", "a,", "a b", "a;b", "\"a\"", "señal", "a\0"] {
            check(&[bad], Err(ListError::NotAToken));
        }
        check(&["a,a"], Err(ListError::Repeated));
        check(&["a", "b,a"], Err(ListError::Repeated));
    }

    #[test]
    fn one_name_more_than_the_limit_is_refused() {
        for count in [MAX_SUBPROTOCOLS - 1, MAX_SUBPROTOCOLS, MAX_SUBPROTOCOLS + 1] {
            let line = (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",");
            let parsed = parse_list(std::iter::once(line.as_bytes())).map(|names| names.len());
            assert_eq!(parsed, if count <= MAX_SUBPROTOCOLS { Ok(count) } else { Err(ListError::TooMany) });
        }
    }
}
