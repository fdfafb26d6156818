//! `Origin` (RFC 6455 section 10.2, RFC 6454): which web pages may connect.
//!
//! A browser lets any page open a WebSocket to any host and sends the host's cookies along; only the server can
//! refuse. The policy compares what came with `Host` or with a list, and says in its refusal how to allow it.

use super::host::{Host, excerpt};
use std::{fmt, str::FromStr};

/// How the client reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS: `http`, `ws`.
    Http,
    /// With TLS: `https`, `wss`.
    Https,
    /// A proxy may have ended TLS: the scheme of the origin is believed, host and port are compared.
    Unknown,
}

/// What to do with requests that name no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nameless {
    Refuse,
    Allow,
}

/// Which origins may connect.
///
/// ```
/// use vaiven_proto::handshake::{OriginPolicy, Scheme};
///
/// let policy = OriginPolicy::same_origin().allow("https://app.example".parse()?);
/// assert!(policy.check(Some("http://localhost:8080"), "localhost:8080", Scheme::Http).is_ok());
/// assert!(policy.check(Some("https://app.example"), "localhost:8080", Scheme::Http).is_ok());
/// let refusal = policy.check(Some("https://evil.example"), "localhost:8080", Scheme::Http).unwrap_err();
/// assert!(refusal.to_string().contains(r#"origins = ["https://evil.example"]"#));
/// # Ok::<(), vaiven_proto::handshake::ParseOriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPolicy {
    base: Base,
    list: Vec<Origin>,
    null: Nameless,
    absent: Nameless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Any,
    SameOrigin,
    ListOnly,
}

impl Default for OriginPolicy {
    /// [`same_origin`](Self::same_origin), which is right for a page that is served with its socket.
    fn default() -> Self {
        Self::same_origin()
    }
}

impl OriginPolicy {
    /// Pages of the very host that they connect to. `null` and absent origins are refused.
    pub fn same_origin() -> Self {
        Self { base: Base::SameOrigin, list: Vec::new(), null: Nameless::Refuse, absent: Nameless::Refuse }
    }

    /// Pages of the listed origins and no others. `null` and absent origins are refused.
    pub fn list(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self { base: Base::ListOnly, list: origins.into_iter().collect(), ..Self::same_origin() }
    }

    /// Every page, `null` and absent origins too. Right only where a connection proves who it is by a token:
    /// with cookies, any page could act as the user who visits it.
    pub fn any() -> Self {
        Self { base: Base::Any, list: Vec::new(), null: Nameless::Allow, absent: Nameless::Allow }
    }

    /// Allows one more origin.
    pub fn allow(mut self, origin: Origin) -> Self {
        self.list.push(origin);
        self
    }

    /// Allows `Origin: null`, which sandboxed frames and local files send. Safe only with authentication by
    /// token: every page can make itself such a frame.
    pub fn allow_null(mut self) -> Self {
        self.null = Nameless::Allow;
        self
    }

    /// Allows requests without `Origin`, which come from programs and not from browsers. Safe unless a browser
    /// too old to send it is let in by a cookie.
    pub fn allow_absent(mut self) -> Self {
        self.absent = Nameless::Allow;
        self
    }

    /// Judges the `Origin` of a request by its `Host`.
    ///
    /// # Errors
    /// [`OriginRefusal`], which [`Refusal::forbidden_origin`](super::Refusal::forbidden_origin) makes a response of.
    pub fn check(&self, origin: Option<&str>, host: &str, scheme: Scheme) -> Result<(), OriginRefusal> {
        let refuse = |reason| Err(OriginRefusal::new(reason, origin, host));
        let Some(text) = origin else {
            return if self.absent == Nameless::Allow { Ok(()) } else { refuse(Reason::Absent) };
        };
        if self.base == Base::Any && text != "null" {
            return Ok(());
        }
        if text == "null" {
            return if self.null == Nameless::Allow { Ok(()) } else { refuse(Reason::Null) };
        }
        let Ok(parts) = Parts::parse(text) else { return refuse(Reason::Malformed) };
        let listed = self.list.iter().any(|allowed| allowed.parts() == parts);
        if listed || self.base == Base::SameOrigin && parts.is_of(host, scheme) {
            Ok(())
        } else {
            refuse(Reason::Foreign)
        }
    }
}

/// The origin of a page: scheme, host and port, in the form in which browsers send it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin as `https://app.example:8443`, in lower case and without the scheme's own port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> Parts<'_> {
        Parts::parse(&self.0).expect("an origin was parsed when it was made")
    }
}

impl FromStr for Origin {
    type Err = ParseOriginError;

    /// Reads an origin that someone configured. A slash at the end is ignored.
    fn from_str(text: &str) -> Result<Self, ParseOriginError> {
        let error = |reason| ParseOriginError { text: excerpt(text), reason };
        if text == "*" {
            return Err(error(ParseReason::Star));
        }
        let trimmed = text.strip_suffix('/').filter(|rest| !rest.ends_with('/')).unwrap_or(text);
        let parts = Parts::parse(trimmed).map_err(error)?;
        if parts.scheme.eq_ignore_ascii_case("ws") || parts.scheme.eq_ignore_ascii_case("wss") {
            return Err(error(ParseReason::SocketScheme));
        }
        Ok(Self(parts.to_string()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An origin taken apart, without a copy.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    scheme: &'a str,
    host: Host<'a>,
    port: Option<u16>,
}

impl<'a> Parts<'a> {
    fn parse(text: &'a str) -> Result<Self, ParseReason> {
        let (scheme, authority) = text.split_once("://").ok_or(ParseReason::NoScheme)?;
        let mut letters = scheme.bytes();
        let begins_well = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins_well
            || !letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        {
            return Err(ParseReason::NoScheme);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(ParseReason::Path);
        }
        if authority.contains('*') {
            return Err(ParseReason::Wildcard);
        }
        let (host, port) = Host::parse(authority).ok_or(ParseReason::Host)?;
        if host == Host::Name("") {
            return Err(ParseReason::Host);
        }
        Ok(Self { scheme, host, port: port.or(default_port(scheme)) })
    }

    /// Whether a page of this origin came from `host`, which is the value of the `Host` field.
    fn is_of(&self, host: &str, scheme: Scheme) -> bool {
        let is_web = ["http", "https"].iter().any(|web| self.scheme.eq_ignore_ascii_case(web));
        let is_scheme = match scheme {
            Scheme::Http => self.scheme.eq_ignore_ascii_case("http"),
            Scheme::Https => self.scheme.eq_ignore_ascii_case("https"),
            Scheme::Unknown => is_web,
        };
        is_scheme
            && Host::parse(host).is_some_and(|(host, port)| {
                host == self.host && port.or(default_port(self.scheme)) == self.port
            })
    }
}

impl PartialEq for Parts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.host == other.host && self.port == other.port
    }
}

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.to_ascii_lowercase())?;
        match self.host {
            Host::Name(name) => f.write_str(&name.to_ascii_lowercase())?,
            Host::Ipv6(address) => write!(f, "[{address}]")?,
        }
        match self.port {
            Some(port) if Some(port) != default_port(self.scheme) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// Why an origin was refused. Its text names what came, what it was compared with, and how to allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRefusal {
    reason: Reason,
    origin: String,
    host: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Absent,
    Null,
    Malformed,
    Foreign,
}

impl OriginRefusal {
    fn new(reason: Reason, origin: Option<&str>, host: &str) -> Self {
        Self { reason, origin: excerpt(origin.unwrap_or_default()), host: excerpt(host) }
    }

    /// The origin that came, escaped, at most its first 256 bytes; `None` when there was none.
    pub fn origin(&self) -> Option<&str> {
        (self.reason != Reason::Absent).then_some(&self.origin)
    }

    /// The host that it was compared with, escaped, at most its first 256 bytes.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for OriginRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, host, .. } = self;
        match self.reason {
            Reason::Absent => write!(
                f,
                "no Origin header came for host \"{host}\"; browsers always send one, and programs that are no \
                 browsers are allowed only where they authenticate with a token"
            ),
            Reason::Null => write!(
                f,
                "origin \"null\" is not allowed for host \"{host}\"; a page from a local file or a sandboxed \
                 frame sends it: serve the page over http or https"
            ),
            Reason::Malformed => write!(f, "origin \"{origin}\" for host \"{host}\" is not an origin"),
            Reason::Foreign => write!(
                f,
                "origin \"{origin}\" is not allowed for host \"{host}\"; if its pages may connect, allow it with \
                 origins = [\"{origin}\"]"
            ),
        }
    }
}

impl std::error::Error for OriginRefusal {}

/// Why a configured text is not an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseOriginError {
    text: String,
    reason: ParseReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParseReason {
    NoScheme,
    SocketScheme,
    Path,
    Wildcard,
    Star,
    Host,
}

impl fmt::Display for ParseOriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not an origin: ", self.text)?;
        f.write_str(match self.reason {
            ParseReason::NoScheme => "begin with the scheme of the page, as in https://app.example",
            ParseReason::SocketScheme => "name the page and not the socket: http:// or https:// for ws:// or wss://",
            ParseReason::Path => "leave out what comes after host and port",
            ParseReason::Wildcard => "name each host, wildcards match nothing",
            ParseReason::Star => "to allow every page, choose the policy that allows any origin",
            ParseReason::Host => {
                "the host must be a name, in Punycode where it is not ASCII, or an address, and the port a number \
                 up to 65535"
            }
        })
    }
}

impl std::error::Error for ParseOriginError {}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
