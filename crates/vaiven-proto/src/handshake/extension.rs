//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): the list of extensions and their parameters.

/// One extension of the header, as `permessage-deflate; client_max_window_bits=12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The extension's token.
    pub name: &'a str,
    /// Its parameters in the order of the header; the value is unquoted where it was quoted.
    pub params: Vec<(&'a str, Option<&'a str>)>,
}
