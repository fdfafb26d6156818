//! Who opened a session: its id, and the request that it began with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use url::form_urlencoded;

/// The request that a session began with.
pub struct Handshake {
    pub(super) sid: Sid,
    pub(super) target: Box<str>,
    pub(super) headers: Headers,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) is_secure: bool,
    pub(super) opened_at: SystemTime,
    pub(super) noted: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("sid", &self.sid)
            .field("headers", &self.headers)
            .field("client_ip", &self.client_ip)
            .finish_non_exhaustive()
    }
}

impl Handshake {
    /// The id of the session.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Path and query, as they came.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The query, decoded, in its order.
    pub fn query(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes())
    }

    /// Whether the client takes only text: it says so with `b64` in the query.
    pub(super) fn takes_only_text(&self) -> bool {
        self.target.contains("b64") && self.query().any(|(key, value)| key == "b64" && !value.is_empty())
    }

    /// A value of the application's that lives as long as the session, made when it is first asked for; `None` where one of
    /// another type was made.
    pub fn note<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        Arc::clone(self.noted.get_or_init(|| Arc::new(make()))).downcast().ok()
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The address of the client, where it is known and the session began by polling: such a one has no connection by which
    /// a listener could count it.
    pub(super) fn polling_ip(&self) -> Option<IpAddr> {
        self.client_ip.filter(|_| self.query().any(|(key, value)| key == "transport" && value == "polling"))
    }

    /// The address of the client, where it is known.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// Whether the client is known to use TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// When the request came.
    pub fn opened_at(&self) -> SystemTime {
        self.opened_at
    }
}

/// The header fields of a request in one allocation, since every session keeps them.
#[derive(Clone, PartialEq, Eq)]
pub struct Headers {
    /// A line per field: its name in lower case, a colon, its value. No value holds the end of a line.
    lines: Box<[u8]>,
}

impl Headers {
    pub(super) fn new(fields: &[(&str, &[u8])]) -> Self {
        let mut lines =
            Vec::with_capacity(fields.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
        for (name, value) in fields {
            lines.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            lines.push(b':');
            lines.extend_from_slice(value);
            lines.push(b'\n');
        }
        Self { lines: lines.into() }
    }

    /// Names, in lower case, and values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            Some((std::str::from_utf8(name).ok()?, value.get(1..)?))
        })
    }

    /// The value of the first field of this name, where it is text. Case does not matter.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

impl fmt::Debug for Headers {
    /// Names only: cookies and tokens stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// The id of a session: 120 random bits as 20 characters. Whoever knows it can act for the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; Self::LEN]);

impl Sid {
    const LEN: usize = 20;

    /// A new one.
    pub(super) fn random() -> Self {
        let mut sid = [0; Self::LEN];
        let random: [u8; 15] = rand::random();
        let written = URL_SAFE_NO_PAD.encode_slice(random, &mut sid);
        debug_assert_eq!(written, Ok(Self::LEN), "15 bytes are 20 characters");
        Self(sid)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is ASCII")
    }
}

impl FromStr for Sid {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.as_bytes().try_into().map(Self).map_err(drop)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sid {
    /// The beginning only, which is enough to tell sessions apart in a log and too little to act for one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", self.as_str().get(..4).unwrap_or_default())
    }
}
