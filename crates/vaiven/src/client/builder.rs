//! The client: what it asks of servers, and the whole way from a URL to a connection.

use super::dial::{DialOptions, dial};
use super::failure::{HandshakeFailure, HandshakeProblem};
use super::opening::{Opened, Opening, Outcome};
use super::redirect::RedirectPolicy;
use super::response::Response;
use super::url::Target;
use crate::{Config, DeflateConfig, Error, Role, Transport, WebSocket};
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::time::Duration;
use vaiven_proto::handshake::{ClientRequest, HandshakeError};

/// Connects to a server with the defaults of [`Client`].
///
/// # Errors
/// [`Error::Dial`] where there is no way to the server, [`Error::Handshake`] where it does not accept.
///
/// # Cancel safety
/// Dropping the future closes what it opened.
///
/// ```no_run
/// # async fn example() -> Result<(), vaiven::Error> {
/// let mut socket = vaiven::connect("wss://chat.example/sala").await?;
/// socket.send("hola").await?;
/// while let Some(message) = socket.recv().await? {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<WebSocket, Error> {
    Client::new().connect(url).await.map(|(socket, _)| socket)
}

/// How to connect: build it once, connect as often as wanted.
///
/// ```no_run
/// # async fn example() -> Result<(), vaiven::Error> {
/// use std::time::Duration;
/// use vaiven::{Client, DeflateConfig};
///
/// let client = Client::new()
///     .header("Authorization", "Bearer abc")
///     .subprotocol("chat.v2")
///     .subprotocol("chat.v1")
///     .deflate(DeflateConfig::client())
///     .handshake_timeout(Duration::from_secs(5));
/// let (mut socket, response) = client.connect("wss://chat.example/sala").await?;
/// println!("speaking {:?} with {:?}", response.subprotocol(), response.peer_addr());
/// socket.send("hola").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    headers: Vec<(String, Vec<u8>)>,
    subprotocols: Vec<String>,
    origin: Option<String>,
    deflate: Option<DeflateConfig>,
    dial: DialOptions,
    redirects: RedirectPolicy,
    handshake_timeout: Duration,
    config: Config,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// 30 s: the time that common proxies give the server behind them, so that their answer, which says more than
    /// silence, comes first.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

    /// A client with the defaults: no headers of its own, no subprotocol, no Origin, no compression, no redirects.
    pub fn new() -> Self {
        Self {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            deflate: None,
            dial: DialOptions::default(),
            redirects: RedirectPolicy::none(),
            handshake_timeout: Self::DEFAULT_HANDSHAKE_TIMEOUT,
            config: Config::new(Role::Client),
        }
    }

    /// Adds a header field to the request. A name or value that cannot be sent, a line break in it above all, is
    /// the error of [`connect`](Self::connect), before anything is connected. `Authorization` takes the place of
    /// the credentials in the URL.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers one more subprotocol; the first is the one that the client likes best.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Sends this Origin, as `https://app.example`: for servers that expect a browser. Default: none, since a
    /// program does not come from a page.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Offers compression. Default: not offered. It costs memory on both sides for every connection, time for
    /// every message, and lets whoever sees the lengths of messages guess at secrets that are mixed with foreign
    /// text; where many large texts are sent, it is worth that.
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// Proxy, TLS, and the limits of time up to the connected stream.
    pub fn dial_options(mut self, options: DialOptions) -> Self {
        self.dial = options;
        self
    }

    /// Follows redirects. Default: [`RedirectPolicy::none`].
    pub fn redirects(mut self, policy: RedirectPolicy) -> Self {
        self.redirects = policy;
        self
    }

    /// Limits the time from the connected stream to the whole answer. Default:
    /// [`DEFAULT_HANDSHAKE_TIMEOUT`](Self::DEFAULT_HANDSHAKE_TIMEOUT). Where a redirect is followed, each
    /// handshake has it anew.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// Limits and timers of the connection. Default: those of [`Role::Client`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Connects to this URL: `ws://`, `wss://`, or `http://` and `https://`, which mean the same.
    ///
    /// # Errors
    /// [`Error::Dial`] where the URL is none, there is no way to the server, or a redirect is not to be followed;
    /// [`Error::Handshake`] where the request cannot be sent, or the server does not accept.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it opened.
    ///
    /// # Limits
    /// The timeouts of [`DialOptions`] and [`handshake_timeout`](Self::handshake_timeout); an answer of 16 KiB and
    /// 100 fields, eight interim ones before it; five redirects.
    pub async fn connect(&self, url: &str) -> Result<(WebSocket, Response), Error> {
        let mut target = Target::parse(url)?;
        let mut headers = self.headers.clone();
        let mut followed = 0;
        loop {
            let opening = self.opening(&target, &headers)?;
            let stream = dial(&target, &self.dial).await?;
            let peer_addr = stream.peer_addr().ok();
            let (status, location) = match opening.run(stream.into(), peer_addr).await? {
                Outcome::Open(opened) => return Ok(self.open(*opened)),
                Outcome::Redirect { status, location } => (status, location),
            };
            let redirect = self.redirects.follow(&target, status, &location_field(&location), followed)?;
            headers.retain(|(name, _)| redirect.keeps(name));
            target = redirect.target;
            followed += 1;
        }
    }

    /// Runs the opening handshake over a stream of the caller's own: a tunnel, a Unix socket, TLS that was set up
    /// elsewhere. The URL says what to ask for; whether it is `ws` or `wss`, the stream is used as it is.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), without what only dialling meets. A redirect is an error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn connect_over(
        &self,
        stream: impl Into<Transport>,
        url: &str,
    ) -> Result<(WebSocket, Response), Error> {
        let target = Target::parse(url)?;
        let transport = stream.into();
        let peer_addr = match &transport {
            Transport::Tcp(tcp) => tcp.peer_addr().ok(),
            Transport::Other(_) => None,
        };
        match self.opening(&target, &self.headers)?.run(transport, peer_addr).await? {
            Outcome::Open(opened) => Ok(self.open(*opened)),
            Outcome::Redirect { status, location } => {
                let policy = RedirectPolicy::none();
                let refused = policy.follow(&target, status, &location_field(&location), 0);
                Err(refused.expect_err("a policy of none follows none").into())
            }
        }
    }

    fn opening<'a>(&self, target: &'a Target, headers: &[(String, Vec<u8>)]) -> Result<Opening<'a>, Error> {
        let request = self
            .request(target, headers)
            .map_err(|error| HandshakeFailure::new(target, HandshakeProblem::Request(error)))?;
        Ok(Opening { target, request, deflate: self.deflate, timeout: self.handshake_timeout })
    }

    fn request(
        &self,
        target: &Target,
        headers: &[(String, Vec<u8>)],
    ) -> Result<ClientRequest, HandshakeError> {
        // RFC 6455 section 4.1: "The nonce MUST be selected randomly for each connection." The thread's generator
        // is a cryptographic one, seeded by the system.
        let mut request = ClientRequest::new(target.host_header(), target.resource(), rand::random())?;
        if let Some(origin) = &self.origin {
            request.origin(origin)?;
        }
        for name in &self.subprotocols {
            request.subprotocol(name)?;
        }
        if let Some(deflate) = &self.deflate {
            request.extensions(&deflate.offer())?;
        }
        for (name, value) in headers {
            request.field(name, value)?;
        }
        let has_own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION.as_str()));
        if let (false, Some(value)) = (has_own, target.authorization()) {
            request.field("Authorization", value.as_bytes())?;
        }
        Ok(request)
    }

    fn open(&self, opened: Opened) -> (WebSocket, Response) {
        let Opened { transport, read_ahead, deflate, response } = opened;
        let socket = WebSocket::from_transport(transport, Role::Client, read_ahead, deflate, &self.config);
        (socket, response)
    }
}

fn location_field(location: &str) -> HeaderMap {
    HeaderValue::from_bytes(location.as_bytes()).map(|value| (LOCATION, value)).into_iter().collect()
}

impl fmt::Debug for Client {
    /// Without the values of headers: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Client")
            .field("headers", &names)
            .field("subprotocols", &self.subprotocols)
            .field("origin", &self.origin)
            .field("deflate", &self.deflate)
            .field("dial", &self.dial)
            .field("redirects", &self.redirects)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("config", &self.config)
            .finish()
    }
}
