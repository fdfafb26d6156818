//! What an engine asks of its clients, offers them, and bears at all.

use super::{Cors, Handshake, Rejection, Sid, Transport};
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use vaiven::DeflateConfig;
use vaiven::server::OriginPolicy;

/// Decides about a new session: gives the header fields to add to the answer, or the refusal.
pub type Admit = Arc<
    dyn Fn(Arc<Handshake>) -> Pin<Box<dyn Future<Output = Result<HeaderMap, Rejection>> + Send>>
        + Send
        + Sync,
>;

/// Settings of an [`Engine`](super::Engine).
///
/// ```
/// use std::time::Duration;
/// use vaiven_socketio::engine::{Cors, EngineConfig};
///
/// let mut config = EngineConfig::default();
/// config.ping_interval = Duration::from_secs(10);
/// config.cors = Some(Cors::list(["https://app.example".parse()?]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The path that [`serve`](super::serve) answers, with or without the slash at its end. `/engine.io/`, as clients have
    /// it.
    pub path: String,
    /// The transports that are offered. Both.
    pub transports: Vec<Transport>,
    /// Whether a session that polls may go on over a WebSocket. It may.
    pub allow_upgrades: bool,
    /// The time between a client's pong and the next ping. 25 s, below what proxies take for silence.
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping. 20 s, as clients expect.
    pub ping_timeout: Duration,
    /// How long a WebSocket may take to become a session's transport. 10 s.
    pub upgrade_timeout: Duration,
    /// How long the body of a request may take to arrive. 30 s.
    pub body_timeout: Duration,
    /// The longest message, and the longest body of a request, in bytes; clients are told. 1,000,000, as elsewhere.
    pub max_payload: usize,
    /// The most packets in the body of a request. 1,024.
    pub max_payload_packets: usize,
    /// Bytes that may wait for a client before nothing more is taken for it. 1 MiB. A message always fits where nothing
    /// waits.
    pub outbox_bytes: usize,
    /// Sessions at a time. 100,000: a listener's own limit is lower, and this one holds for sessions that poll, which have
    /// no connection of their own. More are refused with 503.
    pub max_sessions: usize,
    /// Sessions at a time that began by polling and come from one address, of IPv6 the 64 bits that one subscriber is given.
    /// 1,000: an office. More are refused with 503. Those that begin on a WebSocket are counted by the listener.
    pub max_polling_sessions_per_ip: usize,
    /// A cookie with the id of the session, for load balancers that go by one. None.
    pub cookie: Option<Cookie>,
    /// Foreign origins whose pages may connect. None: pages of the same origin may, and programs that are no browsers.
    pub cors: Option<Cors>,
    /// permessage-deflate of WebSockets. None, since it costs memory and time.
    pub deflate: Option<DeflateConfig>,
    /// Who decides about new sessions. Nobody: all are let in.
    pub admit: Option<Admit>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            path: "/engine.io/".to_owned(),
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            max_payload: 1_000_000,
            max_payload_packets: 1_024,
            outbox_bytes: 1 << 20,
            max_sessions: 100_000,
            max_polling_sessions_per_ip: 1_000,
            cookie: None,
            cors: None,
            deflate: None,
            admit: None,
        }
    }
}

impl EngineConfig {
    /// Asks `admit` about every new session, as [`admit`](Self::admit) says.
    pub fn admit_with<A, F>(&mut self, admit: A)
    where
        A: Fn(Arc<Handshake>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<HeaderMap, Rejection>> + Send + 'static,
    {
        self.admit = Some(Arc::new(move |handshake| Box::pin(admit(handshake))));
    }

    /// The origins whose pages may connect.
    pub(super) fn origins(&self) -> OriginPolicy {
        self.cors.as_ref().map_or_else(|| OriginPolicy::same_origin().allow_absent(), Cors::policy)
    }

    pub(super) fn offers(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Whether a session that begins with `transport` may go on over a WebSocket.
    pub(super) fn upgrades(&self, transport: Transport) -> bool {
        transport == Transport::Polling && self.allow_upgrades && self.offers(Transport::WebSocket)
    }

    /// The first packet of a session.
    pub(super) fn open_packet(&self, sid: &Sid, transport: Transport) -> String {
        let upgrades = if self.upgrades(transport) { r#"["websocket"]"# } else { "[]" };
        format!(
            r#"0{{"sid":"{sid}","upgrades":{upgrades},"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            self.ping_interval.as_millis(),
            self.ping_timeout.as_millis(),
            self.max_payload
        )
    }

    /// The fields that the cookie adds to the answer that opens a session.
    pub(super) fn add_cookie(&self, sid: &Sid, headers: &mut HeaderMap) {
        if let Some(cookie) = &self.cookie {
            headers.append(http::header::SET_COOKIE, cookie.value(sid));
        }
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("path", &self.path)
            .field("transports", &self.transports)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .field("outbox_bytes", &self.outbox_bytes)
            .field("max_sessions", &self.max_sessions)
            .field("cors", &self.cors)
            .finish_non_exhaustive()
    }
}

/// A cookie with the id of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    attributes: String,
}

impl Cookie {
    /// A cookie of this name for the whole site, which scripts do not see and other sites do not send.
    ///
    /// # Errors
    /// The name cannot stand in a header.
    pub fn new(name: &str) -> Result<Self, InvalidHeaderValue> {
        Self::with_attributes(name, "Path=/; HttpOnly; SameSite=Lax")
    }

    /// A cookie with these attributes (RFC 6265 section 4.1.1), as `Path=/; Secure`.
    ///
    /// # Errors
    /// Name or attributes cannot stand in a header.
    pub fn with_attributes(name: &str, attributes: &str) -> Result<Self, InvalidHeaderValue> {
        HeaderValue::from_str(name)?;
        HeaderValue::from_str(attributes)?;
        Ok(Self { name: name.to_owned(), attributes: attributes.to_owned() })
    }

    fn value(&self, sid: &Sid) -> HeaderValue {
        let separator = if self.attributes.is_empty() { "" } else { "; " };
        let text = format!("{}={sid}{separator}{}", self.name, self.attributes);
        HeaderValue::try_from(text).expect("its parts were checked when the cookie was made")
    }
}
