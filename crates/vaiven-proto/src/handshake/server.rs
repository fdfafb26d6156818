//! What a server reads in a request (RFC 6455 section 4.2.1): fields to an [`Upgrade`] or a [`Refusal`].
//!
//! It takes the parts of a request and not its bytes, so that requests which another HTTP parser read obey the
//! same rules. It does not decide: Origin, subprotocol and extensions are for the caller to judge.

use super::field::{elements, is_host, trim};
use super::fields::Single;
use super::subprotocol::{self, ListError};
use super::{AcceptKey, Acceptance, Extension, HttpVersion, Key, Refusal};
use std::borrow::Cow;

/// A request that is a right opening handshake. It borrows from the request's fields.
///
/// ```
/// use bytes::BytesMut;
/// use vaiven_proto::handshake::{HttpVersion, Upgrade};
///
/// let fields = [
///     ("Host", &b"example.com"[..]),
///     ("Upgrade", b"websocket"),
///     ("Connection", b"Upgrade"),
///     ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Version", b"13"),
///     ("Sec-WebSocket-Protocol", b"chat, superchat"),
/// ];
/// let upgrade = Upgrade::check("GET", HttpVersion::Http11, fields.into_iter())?;
/// let mut acceptance = upgrade.accept();
/// if let Some(name) = upgrade.choose_subprotocol(&["superchat"]) {
///     acceptance.subprotocol(name).expect("the name is one of the request");
/// }
/// let mut out = BytesMut::new();
/// acceptance.write(&mut out);
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), vaiven_proto::handshake::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Upgrade<'a> {
    key: Key,
    host: &'a str,
    origin: Option<&'a str>,
    subprotocols: Vec<&'a str>,
    extensions: Vec<Extension<'a>>,
    extensions_text: Option<Cow<'a, str>>,
}

impl<'a> Upgrade<'a> {
    /// Checks the parts of a request against RFC 6455 section 4.2.1. Names of fields are compared without regard
    /// to case; values need not be text. That names are tokens and values without control characters is for the
    /// parser to see to that read the head, as [`RequestHead`](super::RequestHead) and hyper do.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with, for the first rule that is broken: version of HTTP, method, `Host`,
    /// `Upgrade`, `Connection`, a body, version of WebSocket, key, subprotocols, extensions, `Origin`.
    ///
    /// # Limits
    /// 64 subprotocols, 64 extensions and 16 parameters of an extension; more are refused as malformed.
    pub fn check<I>(method: &str, version: HttpVersion, fields: I) -> Result<Self, Refusal>
    where
        I: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        check_request_line(method, version)?;
        let found = Found::collect(fields.clone());
        let host = found.host()?;
        found.check_upgrade()?;
        let key = found.key()?;
        let mut upgrade = Self {
            key,
            host,
            origin: None,
            subprotocols: Vec::new(),
            extensions: Vec::new(),
            extensions_text: None,
        };
        // Most requests lack one of them or both, and are not searched again.
        if found.has_subprotocols {
            let lines = lines(fields.clone(), "sec-websocket-protocol");
            upgrade.subprotocols = subprotocol::parse_list(lines).map_err(bad_list)?;
        }
        if found.has_extensions {
            let lines = lines(fields, "sec-websocket-extensions");
            upgrade.extensions = Extension::parse_list(lines.clone()).map_err(|_| {
                Refusal::bad_request(
                    "extensions",
                    "The header Sec-WebSocket-Extensions is malformed. It holds names with parameters, as in \
                     permessage-deflate; client_max_window_bits.",
                )
            })?;
            upgrade.extensions_text = join(lines);
        }
        upgrade.origin = found.origin()?;
        Ok(upgrade)
    }

    /// The key that the client drew.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The proof that answers the key.
    pub fn accept_key(&self) -> AcceptKey {
        self.key.accept()
    }

    /// The value of `Host`: a name or an address, and a port when it is not the scheme's own.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The value of `Origin`: the page that the request comes from. Browsers always send it.
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The subprotocols that the client offers, the one that it likes best first.
    pub fn subprotocols(&self) -> &[&'a str] {
        &self.subprotocols
    }

    /// The first of the client's subprotocols that the server knows. None is no reason to refuse: the client
    /// decides whether it goes on without (RFC 6455 section 4.2.2).
    pub fn choose_subprotocol(&self, known: &[&str]) -> Option<&'a str> {
        self.subprotocols.iter().copied().find(|name| known.contains(name))
    }

    /// The extensions that the client offers, in its order.
    pub fn extensions(&self) -> &[Extension<'a>] {
        &self.extensions
    }

    /// The offer of extensions as it came, several lines joined by commas.
    pub fn extensions_text(&self) -> Option<&str> {
        self.extensions_text.as_deref()
    }

    /// The answer that accepts the request, without subprotocol and extensions at first.
    pub fn accept(&self) -> Acceptance<'_> {
        Acceptance::new(self)
    }
}

/// What one pass over the fields finds.
#[derive(Default)]
struct Found<'a> {
    host: Single<'a>,
    origin: Single<'a>,
    version: Single<'a>,
    key: Single<'a>,
    names_websocket: bool,
    connection_upgrades: bool,
    has_body: bool,
    has_subprotocols: bool,
    has_extensions: bool,
}

impl<'a> Found<'a> {
    fn collect(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in fields {
            let value = trim(value);
            if is(name, "host") {
                found.host.add(value);
            } else if is(name, "origin") {
                found.origin.add(value);
            } else if is(name, "upgrade") {
                found.names_websocket |= has_token(value, b"websocket");
            } else if is(name, "connection") {
                found.connection_upgrades |= has_token(value, b"upgrade");
            } else if is(name, "sec-websocket-version") {
                found.version.add(value);
            } else if is(name, "sec-websocket-key") {
                found.key.add(value);
            } else if is(name, "content-length") {
                found.has_body |= value != b"0";
            } else if is(name, "transfer-encoding") {
                found.has_body = true;
            } else if is(name, "sec-websocket-protocol") {
                found.has_subprotocols = true;
            } else if is(name, "sec-websocket-extensions") {
                found.has_extensions = true;
            }
        }
        found
    }

    fn host(&self) -> Result<&'a str, Refusal> {
        match self.host {
            Single::Once(value) => {
                std::str::from_utf8(value).ok().filter(|host| is_host(host)).ok_or_else(|| {
                    Refusal::bad_request("host", "The header Host is malformed. It holds a name and a port.")
                })
            }
            Single::Absent => Err(Refusal::bad_request(
                "host",
                "The header Host is missing. Send the host of the URL in it.",
            )),
            Single::Repeated => {
                Err(Refusal::bad_request("host", "The header Host comes twice. Send it once."))
            }
        }
    }

    fn check_upgrade(&self) -> Result<(), Refusal> {
        if !self.names_websocket {
            return Err(Refusal::upgrade_required());
        }
        if !self.connection_upgrades {
            let message = "The header Connection does not say Upgrade. If a proxy stands in between, it must pass \
                the headers Upgrade and Connection on.";
            return Err(Refusal::bad_request("connection", message));
        }
        if self.has_body {
            let message =
                "A WebSocket handshake has no body. Leave out Content-Length and Transfer-Encoding.";
            return Err(Refusal::bad_request("body", message));
        }
        match self.version {
            Single::Once(b"13") => Ok(()),
            _ => Err(Refusal::unsupported_version()),
        }
    }

    fn key(&self) -> Result<Key, Refusal> {
        let message = match self.key {
            Single::Once(value) => match Key::parse(value) {
                Some(key) => return Ok(key),
                None => "The header Sec-WebSocket-Key is malformed. It holds 16 random bytes in base64.",
            },
            Single::Absent => {
                "The header Sec-WebSocket-Key is missing. Send 16 random bytes in base64, drawn anew each time."
            }
            Single::Repeated => "The header Sec-WebSocket-Key comes twice. Send it once.",
        };
        Err(Refusal::bad_request("key", message))
    }

    /// The origin, of which only what can be one is let through; whether it is allowed is for the policy.
    fn origin(&self) -> Result<Option<&'a str>, Refusal> {
        match self.origin {
            Single::Absent => Ok(None),
            Single::Once(value) => {
                let origin = std::str::from_utf8(value)
                    .ok()
                    .filter(|origin| origin.bytes().all(|byte| byte.is_ascii_graphic()));
                origin.map(Some).ok_or_else(|| {
                    Refusal::bad_request(
                        "origin",
                        "The header Origin is malformed. It holds visible ASCII characters.",
                    )
                })
            }
            Single::Repeated => {
                Err(Refusal::bad_request("origin", "The header Origin comes twice. Send it once."))
            }
        }
    }
}

fn check_request_line(method: &str, version: HttpVersion) -> Result<(), Refusal> {
    match version {
        HttpVersion::Http11 => {}
        HttpVersion::Http10 => {
            let message = "HTTP/1.0 cannot upgrade to WebSocket. Use HTTP/1.1; a proxy in between must use it as \
                well, as nginx does with proxy_http_version 1.1.";
            return Err(Refusal::bad_request("http_version", message));
        }
        HttpVersion::Other => return Err(super::HeadError::UnsupportedVersion.into()),
    }
    if method == "GET" { Ok(()) } else { Err(Refusal::method_not_allowed()) }
}

fn bad_list(error: ListError) -> Refusal {
    let message = match error {
        ListError::NotAToken => {
            "The header Sec-WebSocket-Protocol is malformed. It holds names without spaces, separated by commas."
        }
        ListError::Repeated => "The header Sec-WebSocket-Protocol names a subprotocol twice. Name each once.",
        ListError::TooMany => {
            "The header Sec-WebSocket-Protocol names too many subprotocols. Name 64 at most."
        }
    };
    Refusal::bad_request("subprotocol", message)
}

/// The values of all fields of this name.
fn lines<'a, I>(fields: I, name: &'static str) -> impl Iterator<Item = &'a [u8]> + Clone
where
    I: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    fields.filter(move |(other, _)| is(other, name)).map(|(_, value)| trim(value))
}

/// The lines as one, without a copy when there is but one.
fn join<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, str>> {
    let mut text = String::from_utf8_lossy(lines.next()?);
    for line in lines {
        let joined = text.to_mut();
        joined.push_str(", ");
        joined.push_str(&String::from_utf8_lossy(line));
    }
    Some(text)
}

fn is(name: &str, expected: &str) -> bool {
    name.eq_ignore_ascii_case(expected)
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token))
}
