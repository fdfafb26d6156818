//! The answer that accepts an upgrade (RFC 6455 section 4.2.2): what was chosen to the bytes of the 101 response.

use super::field::{check_field, is_forbidden_in_value};
use super::{AcceptKey, FieldError, Upgrade};
use bytes::{BufMut, BytesMut};
use std::{borrow::Cow, fmt};

/// The `101 Switching Protocols` of one [`Upgrade`].
#[derive(Clone, Debug)]
pub struct Acceptance<'a> {
    key: AcceptKey,
    offered: &'a [&'a str],
    offers_extensions: bool,
    subprotocol: Option<&'a str>,
    extensions: Option<Cow<'a, str>>,
    fields: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
}

impl<'a> Acceptance<'a> {
    pub(super) fn new(upgrade: &'a Upgrade<'_>) -> Self {
        Self {
            key: upgrade.accept_key(),
            offered: upgrade.subprotocols(),
            offers_extensions: !upgrade.extensions().is_empty(),
            subprotocol: None,
            extensions: None,
            fields: Vec::new(),
        }
    }

    /// Chooses a subprotocol.
    ///
    /// # Errors
    /// [`AcceptanceError::SubprotocolNotOffered`]: a client would fail the connection.
    pub fn subprotocol(&mut self, name: &str) -> Result<&mut Self, AcceptanceError> {
        let offered = self.offered.iter().copied().find(|offered| *offered == name);
        self.subprotocol =
            Some(offered.ok_or_else(|| AcceptanceError::SubprotocolNotOffered(name.to_owned()))?);
        Ok(self)
    }

    /// Answers the offer of extensions with the value of `Sec-WebSocket-Extensions`.
    ///
    /// # Errors
    /// [`AcceptanceError::ExtensionsNotOffered`]: a client would fail the connection; or
    /// [`AcceptanceError::Field`].
    pub fn extensions(&mut self, answer: impl Into<Cow<'a, str>>) -> Result<&mut Self, AcceptanceError> {
        let answer = answer.into();
        if !self.offers_extensions {
            return Err(AcceptanceError::ExtensionsNotOffered);
        }
        if answer.bytes().any(is_forbidden_in_value) {
            let name = "Sec-WebSocket-Extensions".to_owned();
            return Err(AcceptanceError::Field(FieldError::InvalidValue(name)));
        }
        self.extensions = Some(answer);
        Ok(self)
    }

    /// Adds a header field of the application's own, as `Set-Cookie`.
    ///
    /// # Errors
    /// [`AcceptanceError::Field`].
    pub fn field(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, [u8]>>,
    ) -> Result<&mut Self, AcceptanceError> {
        let (name, value) = (name.into(), value.into());
        check_field(&name, &value).map_err(AcceptanceError::Field)?;
        self.fields.push((name, value));
        Ok(self)
    }

    /// The chosen subprotocol.
    pub fn chosen_subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// The header fields of the response, for servers that write it themselves. Its status is 101.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let upgrade = ("Upgrade", &b"websocket"[..]);
        let accept = ("Sec-WebSocket-Accept", self.key.as_bytes());
        let subprotocol = self.subprotocol.map(|name| ("Sec-WebSocket-Protocol", name.as_bytes()));
        let extensions =
            self.extensions.as_deref().map(|answer| ("Sec-WebSocket-Extensions", answer.as_bytes()));
        [upgrade, ("Connection", b"Upgrade"), accept]
            .into_iter()
            .chain(subprotocol)
            .chain(extensions)
            .chain(self.fields.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Writes the response. Frames may follow it at once.
    pub fn write(&self, out: &mut BytesMut) {
        const STATUS_LINE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n";
        let fields: usize = self.fields().map(|(name, value)| name.len() + value.len() + 4).sum();
        out.reserve(STATUS_LINE.len() + fields + 2);
        out.put_slice(STATUS_LINE);
        for (name, value) in self.fields() {
            out.put_slice(name.as_bytes());
            out.put_slice(b": ");
            out.put_slice(value);
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
    }
}

/// Why an answer would be wrong. The mistake is the application's, not the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptanceError {
    /// The client did not offer this subprotocol.
    SubprotocolNotOffered(String),
    /// The client did not offer an extension.
    ExtensionsNotOffered,
    /// A header field cannot be sent.
    Field(FieldError),
}

impl fmt::Display for AcceptanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubprotocolNotOffered(name) => {
                write!(f, "the client did not offer subprotocol {name:?}: choose one of its list, or none")
            }
            Self::ExtensionsNotOffered => f.write_str("the client did not offer an extension: accept none"),
            Self::Field(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AcceptanceError {}
