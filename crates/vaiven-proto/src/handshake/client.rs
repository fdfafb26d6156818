//! The client's side (RFC 6455 section 4.1): writes the request, and reads the response against it.
//!
//! It does not follow redirects and does not know what an extension's parameters mean: it hands both on.

use super::field::{check_field, elements, is_host, is_token};
use super::fields::Single;
use super::{
    AcceptKey, Extension, HandshakeError, HeadLimits, HeadScanner, HttpVersion, Key, MalformedExtensions,
    ResponseHead,
};
use bytes::{BufMut, BytesMut};

/// How many interim responses (1xx but 101) may come before the answer. More than one or two are not seen in
/// practice; each may be as long as a head.
pub const MAX_INTERIM_RESPONSES: usize = 8;

/// The opening handshake that a client sends.
///
/// ```
/// use bytes::BytesMut;
/// use vaiven_proto::handshake::{ClientRequest, HeadLimits};
///
/// // The nonce of the example in RFC 6455; a real one is drawn at random.
/// let mut request = ClientRequest::new("example.com", "/chat", *b"the sample nonce")?;
/// request.subprotocol("chat")?;
/// let mut out = BytesMut::new();
/// request.write(&mut out);
/// assert!(out.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
///
/// let mut received = BytesMut::from(concat!(
///     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
///     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
/// ));
/// let mut reader = request.response_reader(HeadLimits::default());
/// let accepted = reader.take(&mut received)?.expect("the response is complete");
/// assert_eq!(accepted.subprotocol(), Some("chat"));
/// # Ok::<(), vaiven_proto::handshake::HandshakeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientRequest {
    key: Key,
    host: String,
    target: String,
    origin: Option<String>,
    subprotocols: Vec<String>,
    extensions: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
}

impl ClientRequest {
    /// A request for `target`, which is path and query, at `host`, which has a port when it is not the scheme's
    /// own. The 16 bytes must come from a random source, anew for each connection.
    ///
    /// # Errors
    /// [`HandshakeError::InvalidHost`], [`HandshakeError::InvalidTarget`].
    pub fn new(host: &str, target: &str, nonce: [u8; 16]) -> Result<Self, HandshakeError> {
        if host.is_empty() || !is_host(host) {
            return Err(HandshakeError::InvalidHost(host.to_owned()));
        }
        let is_encoded = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !target.starts_with('/') || !is_encoded {
            return Err(HandshakeError::InvalidTarget);
        }
        Ok(Self {
            key: Key::from_nonce(nonce),
            host: host.to_owned(),
            target: target.to_owned(),
            origin: None,
            subprotocols: Vec::new(),
            extensions: None,
            fields: Vec::new(),
        })
    }

    /// Says which page the request comes from.
    ///
    /// # Errors
    /// [`HandshakeError::InvalidOrigin`].
    pub fn origin(&mut self, origin: &str) -> Result<&mut Self, HandshakeError> {
        if origin.is_empty() || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HandshakeError::InvalidOrigin);
        }
        self.origin = Some(origin.to_owned());
        Ok(self)
    }

    /// Offers one more subprotocol; the first is the one that the client likes best.
    ///
    /// # Errors
    /// [`HandshakeError::InvalidSubprotocol`], [`HandshakeError::RepeatedSubprotocol`].
    pub fn subprotocol(&mut self, name: &str) -> Result<&mut Self, HandshakeError> {
        if !is_token(name.as_bytes()) {
            return Err(HandshakeError::InvalidSubprotocol(name.to_owned()));
        }
        if self.subprotocols.iter().any(|other| other == name) {
            return Err(HandshakeError::RepeatedSubprotocol(name.to_owned()));
        }
        self.subprotocols.push(name.to_owned());
        Ok(self)
    }

    /// Offers extensions with the value of `Sec-WebSocket-Extensions`; it takes the place of an earlier offer.
    ///
    /// # Errors
    /// [`HandshakeError::MalformedExtensions`].
    pub fn extensions(&mut self, offer: &str) -> Result<&mut Self, HandshakeError> {
        Extension::parse_list([offer.as_bytes()])?;
        self.extensions = Some(offer.to_owned());
        Ok(self)
    }

    /// Adds a header field of the application's own, as `Authorization`. `Origin` is the same as
    /// [`origin`](Self::origin).
    ///
    /// # Errors
    /// [`HandshakeError::Field`].
    pub fn field(&mut self, name: &str, value: &[u8]) -> Result<&mut Self, HandshakeError> {
        if name.eq_ignore_ascii_case("origin") {
            return self.origin(std::str::from_utf8(value).map_err(|_| HandshakeError::InvalidOrigin)?);
        }
        check_field(name, value)?;
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Writes the request.
    pub fn write(&self, out: &mut BytesMut) {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        // The fixed parts are about 200 bytes; the rest is what grows.
        out.reserve(320 + self.target.len() + self.host.len() + fields);
        for part in ["GET ", &self.target, " HTTP/1.1\r\n"] {
            out.put_slice(part.as_bytes());
        }
        put_field(out, "Host", self.host.as_bytes());
        put_field(out, "Upgrade", b"websocket");
        put_field(out, "Connection", b"Upgrade");
        put_field(out, "Sec-WebSocket-Key", self.key.as_bytes());
        put_field(out, "Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            put_field(out, "Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            put_field(out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(offer) = &self.extensions {
            put_field(out, "Sec-WebSocket-Extensions", offer.as_bytes());
        }
        for (name, value) in &self.fields {
            put_field(out, name, value);
        }
        out.put_slice(b"\r\n");
    }

    /// The reader of the response to this request.
    pub fn response_reader(&self, limits: HeadLimits) -> ResponseReader {
        ResponseReader {
            scanner: HeadScanner::new(limits),
            interim_responses: 0,
            expected: self.key.accept(),
            subprotocols: self.subprotocols.clone(),
            extensions: self.extensions.clone(),
        }
    }
}

fn put_field(out: &mut BytesMut, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.put_slice(part);
    }
}

/// Reads the response to one [`ClientRequest`] out of growing input.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    scanner: HeadScanner,
    interim_responses: usize,
    expected: AcceptKey,
    subprotocols: Vec<String>,
    extensions: Option<String>,
}

impl ResponseReader {
    /// Takes the response off the front of `received` once it is complete, and interim ones before it. What
    /// stands behind it are the server's first frames: they stay. `None` asks for more bytes.
    ///
    /// # Errors
    /// [`HandshakeError`], for the first rule that the response breaks. The connection is then of no use, but
    /// for a [`Redirect`](HandshakeError::Redirect), which names where to try, and a
    /// [`Status`](HandshakeError::Status), whose body follows in `received`.
    ///
    /// # Limits
    /// [`HeadLimits`] for each response, and [`MAX_INTERIM_RESPONSES`].
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Option<Accepted>, HandshakeError> {
        loop {
            let Some(head) = ResponseHead::take(&mut self.scanner, received)? else { return Ok(None) };
            match head.status() {
                101 => return self.check(head).map(Some),
                100..=199 => {
                    self.interim_responses += 1;
                    if self.interim_responses > MAX_INTERIM_RESPONSES {
                        return Err(HandshakeError::TooManyInterimResponses);
                    }
                }
                _ => return Err(refused(head)),
            }
        }
    }

    /// The rules of RFC 6455 section 4.1 for the response.
    fn check(&self, head: ResponseHead) -> Result<Accepted, HandshakeError> {
        if head.version() != HttpVersion::Http11 {
            return Err(HandshakeError::HttpVersion);
        }
        let fields = head.fields();
        match fields.single("upgrade") {
            Single::Once(value) if value.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(HandshakeError::Upgrade),
        }
        if !fields.tokens("connection").any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return Err(HandshakeError::Connection);
        }
        match fields.single("sec-websocket-accept") {
            Single::Absent => return Err(HandshakeError::MissingAccept),
            Single::Repeated => return Err(HandshakeError::RepeatedAccept),
            Single::Once(value) if value == self.expected.as_bytes() => {}
            Single::Once(_) => return Err(HandshakeError::WrongAccept),
        }
        self.check_subprotocol(&head)?;
        self.check_extensions(&head)?;
        Ok(Accepted { head })
    }

    fn check_subprotocol(&self, head: &ResponseHead) -> Result<(), HandshakeError> {
        match head.fields().single("sec-websocket-protocol") {
            Single::Absent => return Ok(()),
            Single::Once(name) if self.subprotocols.iter().any(|offered| offered.as_bytes() == name) => {
                return Ok(());
            }
            Single::Once(_) | Single::Repeated => {}
        }
        // Several lines are shown as the one list that they are.
        let shown: Vec<_> = head
            .fields()
            .all("sec-websocket-protocol")
            .flat_map(elements)
            .map(String::from_utf8_lossy)
            .collect();
        Err(HandshakeError::UnofferedSubprotocol(shown.join(", ")))
    }

    fn check_extensions(&self, head: &ResponseHead) -> Result<(), HandshakeError> {
        let offered = Extension::parse_list(self.extensions.iter().map(String::as_bytes))?;
        let answered = extensions_of(head)?;
        for (index, Extension { name, .. }) in answered.iter().enumerate() {
            if !offered.iter().any(|offer| offer.name == *name) {
                return Err(HandshakeError::UnofferedExtension((*name).to_owned()));
            }
            if answered.iter().take(index).any(|other| other.name == *name) {
                return Err(HandshakeError::RepeatedExtension((*name).to_owned()));
            }
        }
        Ok(())
    }
}

/// A response that follows every rule of the handshake; the parameters of extensions are still to be judged.
#[derive(Clone, Debug)]
pub struct Accepted {
    head: ResponseHead,
}

impl Accepted {
    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.head.fields().single_text("sec-websocket-protocol")
    }

    /// The extensions that the server accepted; each was offered and comes once. When an extension's own rules
    /// refuse its parameters, [`HandshakeError::InvalidExtension`] is the error.
    pub fn extensions(&self) -> Vec<Extension<'_>> {
        extensions_of(&self.head).expect("the list was parsed before the response was accepted")
    }

    /// The head of the response.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }
}

fn extensions_of(head: &ResponseHead) -> Result<Vec<Extension<'_>>, MalformedExtensions> {
    Extension::parse_list(head.fields().all("sec-websocket-extensions"))
}

fn refused(head: ResponseHead) -> HandshakeError {
    match (head.status(), head.fields().single_text("location")) {
        (status @ (301 | 302 | 303 | 307 | 308), Some(location)) if !location.is_empty() => {
            HandshakeError::Redirect { status, location: location.to_owned() }
        }
        _ => HandshakeError::Status(Box::new(head)),
    }
}
