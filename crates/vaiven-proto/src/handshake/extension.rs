//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): the list of extensions and their parameters.
//!
//! It knows the grammar only; what the parameters of an extension mean is that extension's matter.

use super::field::{is_token_byte, trim};
use std::fmt;

/// The most extensions in one header, of all its lines: a client that offers every variant of
/// permessage-deflate stays below ten.
pub const MAX_EXTENSIONS: usize = 64;

/// The most parameters of one extension: permessage-deflate has four.
pub const MAX_PARAMS: usize = 16;

/// One extension of the header, as `permessage-deflate; client_max_window_bits=12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The extension's token.
    pub name: &'a str,
    /// Its parameters in the order of the header; the value is unquoted where it was quoted.
    pub params: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Extension<'a> {
    /// Reads all lines of the header as one list, in their order.
    ///
    /// ```
    /// use vaiven_proto::handshake::Extension;
    ///
    /// let lines = ["permessage-deflate; client_max_window_bits", "x; a=\"1\""];
    /// let list = Extension::parse_list(lines.map(str::as_bytes))?;
    /// assert_eq!(list[0].params, [("client_max_window_bits", None)]);
    /// assert_eq!(list[1].params, [("a", Some("1"))]);
    /// # Ok::<(), vaiven_proto::handshake::MalformedExtensions>(())
    /// ```
    ///
    /// # Errors
    /// [`MalformedExtensions`] when a line is not of the grammar. Two things that HTTP's grammar would allow are
    /// refused because no peer sends them: an empty element between commas, and a backslash in a quoted value.
    ///
    /// # Limits
    /// [`MAX_EXTENSIONS`] and [`MAX_PARAMS`]; beyond them the header counts as malformed.
    pub fn parse_list(
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Extension<'a>>, MalformedExtensions> {
        let mut list = Vec::new();
        for line in lines {
            // A value that is not ASCII holds no token, and quoted values must be tokens as well.
            let line = std::str::from_utf8(line).map_err(|_| MalformedExtensions)?;
            let mut cursor = Cursor { rest: line };
            loop {
                if list.len() == MAX_EXTENSIONS {
                    return Err(MalformedExtensions);
                }
                list.push(cursor.extension()?);
                if cursor.at_end() {
                    break;
                }
                cursor.take(b',').ok_or(MalformedExtensions)?;
            }
        }
        Ok(list)
    }
}

/// The header does not follow the grammar of RFC 6455 section 9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the Sec-WebSocket-Extensions header is malformed (RFC 6455 9.1)")
    }
}

impl std::error::Error for MalformedExtensions {}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// `extension = extension-token *( ";" extension-param )`
    fn extension(&mut self) -> Result<Extension<'a>, MalformedExtensions> {
        let name = self.token().ok_or(MalformedExtensions)?;
        let mut params = Vec::new();
        while self.take(b';').is_some() {
            if params.len() == MAX_PARAMS {
                return Err(MalformedExtensions);
            }
            params.push(self.param()?);
        }
        Ok(Extension { name, params })
    }

    /// `extension-param = token [ "=" (token | quoted-string) ]`
    fn param(&mut self) -> Result<(&'a str, Option<&'a str>), MalformedExtensions> {
        let name = self.token().ok_or(MalformedExtensions)?;
        if self.take(b'=').is_none() {
            return Ok((name, None));
        }
        let quoted = self.take(b'"').is_some();
        // Inside quotes white space is part of the value, and then the value is no token.
        if quoted && self.rest.starts_with([' ', '\t']) {
            return Err(MalformedExtensions);
        }
        let value = self.token().ok_or(MalformedExtensions)?;
        if quoted {
            self.rest = self.rest.strip_prefix('"').ok_or(MalformedExtensions)?;
        }
        Ok((name, Some(value)))
    }

    /// A token and the white space before it.
    fn token(&mut self) -> Option<&'a str> {
        self.skip_white_space();
        let end = self.rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A separator and the white space before it.
    fn take(&mut self, separator: u8) -> Option<()> {
        self.skip_white_space();
        self.rest = self.rest.strip_prefix(char::from(separator))?;
        Some(())
    }

    fn skip_white_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn at_end(&self) -> bool {
        trim(self.rest.as_bytes()).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(lines: &[&'a str]) -> Result<Vec<Extension<'a>>, MalformedExtensions> {
        Extension::parse_list(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn offers_keep_their_order_and_parameters() {
        let list = parse(&[
            "permessage-deflate ; server_max_window_bits = 10;client_max_window_bits",
            " permessage-deflate,\tx-a;b=\"c\" ; d ",
        ])
        .unwrap();
        assert_eq!(
            list,
            [
                Extension {
                    name: "permessage-deflate",
                    params: vec![("server_max_window_bits", Some("10")), ("client_max_window_bits", None)],
                },
                Extension { name: "permessage-deflate", params: vec![] },
                Extension { name: "x-a", params: vec![("b", Some("c")), ("d", None)] },
            ]
        );
        assert_eq!(parse(&[]), Ok(vec![]));
    }

    #[test]
    fn lines_that_the_grammar_does_not_allow_are_refused() {
        for bad in [
            "",
            " ",
            ",",
            "a,",
            ",a",
            "a,,b",
            "a;",
            "a;;b",
            ";a",
            "a b",
            "a;b c",
            "a;=1",
            "a;b=",
            "a;b=,c",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=c\"",
            "a;b=\"c d\"",
            "a;b=\" c\"",
            "a;b=\"c \"",
            "a;b=\"c\\d\"",
            "a;b=\"c\"d",
            "a=b",
            "\"a\"",
            "a/b",
            "a;b=c=d",
            "señal",
            "a;b=ñ",
            "a\0",
            "a;b=\"c;d\"",
            "a\r\nb",
        ] {
            assert_eq!(parse(&[bad]), Err(MalformedExtensions), "{bad:?}");
            assert_eq!(parse(&["ok", bad]), Err(MalformedExtensions), "{bad:?}");
        }
        assert_eq!(Extension::parse_list([&b"a\xff"[..]]), Err(MalformedExtensions));
    }

    #[test]
    fn one_more_than_a_limit_is_refused() {
        for count in [MAX_EXTENSIONS - 1, MAX_EXTENSIONS, MAX_EXTENSIONS + 1] {
            let line = vec!["a"; count].join(",");
            assert_eq!(parse(&[&line]).is_ok(), count <= MAX_EXTENSIONS, "{count} extensions");
        }
        for count in [MAX_PARAMS - 1, MAX_PARAMS, MAX_PARAMS + 1] {
            let line = format!("a{}", ";b".repeat(count));
            assert_eq!(parse(&[&line]).is_ok(), count <= MAX_PARAMS, "{count} parameters");
        }
    }
}
