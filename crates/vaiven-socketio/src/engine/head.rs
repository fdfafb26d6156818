//! A request's head, whoever parsed it, to what it asks of the engine.

use super::{EngineConfig, Handshake, Headers, Rejection, Sid, Transport};
use http::Method;
use http::request::Parts;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use url::form_urlencoded;
use vaiven::server::Scheme;

/// The head of a request, borrowed from whoever parsed it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The host of a request that names it elsewhere than in a field, as one over HTTP/2 does.
    pub authority: Option<&'a str>,
    /// The header fields, in their order.
    pub fields: Vec<(&'a str, &'a [u8])>,
    /// The address of the client, where it is known.
    pub client_ip: Option<IpAddr>,
    /// Whether the client uses TLS, as far as that is known.
    pub scheme: Scheme,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new session.
    Open(Transport),
    /// Something of a session that there is, over a transport.
    Of(Sid, Transport),
}

impl<'a> Head<'a> {
    /// The head of a request that hyper parsed. Whose it is stands in its extensions, where [`serve`](super::serve) or a
    /// mount put it: an [`IpAddr`] and a [`Scheme`].
    pub fn of_parts(parts: &'a Parts) -> Self {
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Self {
            method: parts.method.as_str(),
            target,
            authority: parts.uri.authority().map(http::uri::Authority::as_str),
            fields: parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
            client_ip: parts.extensions.get().copied(),
            scheme: parts.extensions.get().copied().unwrap_or(Scheme::Unknown),
        }
    }

    /// The head of an opening handshake.
    pub fn of_handshake(handshake: &'a vaiven::server::Handshake) -> Self {
        let request = handshake.request();
        Self {
            method: request.method(),
            target: request.target(),
            authority: None,
            fields: request.fields().iter().collect(),
            client_ip: handshake.client_ip(),
            scheme: handshake.scheme(),
        }
    }

    /// The value of the first field of this name, where it is text.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    pub(super) fn host(&self) -> &'a str {
        self.field("host").or(self.authority).unwrap_or_default()
    }

    /// Whether it asks for a WebSocket.
    pub(super) fn wants_websocket(&self) -> bool {
        let names_websocket =
            |value: &str| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("websocket"));
        self.field("upgrade").is_some_and(names_websocket) || self.field("sec-websocket-key").is_some()
    }

    /// Judges everything that can be judged without looking at sessions.
    pub(super) fn judge(&self, config: &EngineConfig) -> Result<Asked, Rejection> {
        let query = Query::parse(self.query());
        let transport = match query.transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Rejection::UNKNOWN_TRANSPORT),
        };
        if !config.offers(transport) {
            return Err(Rejection::UNKNOWN_TRANSPORT);
        }
        let origin = self.field("origin");
        if config.origins().check(origin, self.host(), self.scheme).is_err() {
            return Err(Rejection::FORBIDDEN);
        }
        let is_version_4 = query.version.as_deref() == Some("4");
        let is_right_way = self.wants_websocket() == (transport == Transport::WebSocket);
        if let Some(sid) = query.sid {
            let sid = sid.parse().map_err(|()| Rejection::UNKNOWN_SID)?;
            return if is_version_4 && is_right_way {
                Ok(Asked::Of(sid, transport))
            } else {
                Err(Rejection::BAD_REQUEST)
            };
        }
        if self.method != Method::GET.as_str() {
            return Err(Rejection::BAD_METHOD);
        }
        if !is_right_way {
            return Err(Rejection::BAD_REQUEST);
        }
        if !is_version_4 {
            return Err(Rejection::UNSUPPORTED_VERSION);
        }
        Ok(Asked::Open(transport))
    }

    fn query(&self) -> &'a str {
        let without_fragment = self.target.split('#').next().unwrap_or_default();
        without_fragment.split_once('?').map_or("", |(_, query)| query)
    }

    /// Who asks for a new session.
    pub(super) fn handshake(&self) -> Arc<Handshake> {
        Arc::new(Handshake {
            sid: Sid::random(),
            target: self.target.into(),
            headers: Headers::new(&self.fields),
            client_ip: self.client_ip,
            is_secure: self.scheme == Scheme::Https,
            opened_at: SystemTime::now(),
            noted: OnceLock::new(),
        })
    }
}

/// What the engine reads of a query. Of a key that is repeated the first counts.
#[derive(Default)]
struct Query {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

impl Query {
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*key {
                "EIO" => &mut parsed.version,
                "transport" => &mut parsed.transport,
                "sid" => &mut parsed.sid,
                _ => continue,
            };
            slot.get_or_insert_with(|| value.into_owned());
        }
        parsed
    }
}
