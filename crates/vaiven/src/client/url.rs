//! The URL of a WebSocket: text to where to connect, what to ask for, and as whom.
//!
//! Parsing is the WHATWG URL standard's; which URLs are accepted is the WHATWG WebSockets standard's: `ws` and
//! `wss`, with `http` and `https` as other spellings of them, and no fragment, not even an empty one (the constructor
//! throws a SyntaxError; RFC 6455 section 3 forbids it too). Ports that the Fetch standard blocks are refused. This
//! file knows nothing of sockets.

use super::credentials::Credentials;
use super::error::DialError;
use http::HeaderValue;
use std::fmt;
use std::net::IpAddr;
use url::{Host, ParseError, Position, Url};

/// Ports of services that a WebSocket handshake could be smuggled into: the Fetch standard's "bad ports".
const BLOCKED_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Where a WebSocket connects to: a parsed `ws:` or `wss:` URL.
///
/// Credentials in the URL become [`authorization`](Self::authorization) and leave the rest: neither the `Host`
/// header, nor `Display`, nor `Debug` shows them.
///
/// ```
/// use vaiven::client::Target;
///
/// let target = Target::parse("wss://ana:secret@chat.example/sala?lang=es")?;
/// assert!(target.is_secure());
/// assert_eq!((target.host(), target.port()), ("chat.example", 443));
/// assert_eq!(target.host_header(), "chat.example");
/// assert_eq!(target.resource(), "/sala?lang=es");
/// assert_eq!(target.to_string(), "wss://chat.example/sala");
/// # Ok::<(), vaiven::client::DialError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Without userinfo and fragment; the scheme is `ws` or `wss`.
    url: Url,
    host: String,
    port: u16,
    resource: String,
    authorization: Option<HeaderValue>,
}

impl Target {
    /// Reads an absolute URL: `ws://`, `wss://`, or `http://` and `https://`, which mean the same.
    ///
    /// # Errors
    /// [`DialError::InvalidUrl`] for everything that is no such URL, for a fragment, for a port on the Fetch
    /// standard's list of blocked ports, and for a user name that the Basic scheme cannot carry.
    pub fn parse(url: &str) -> Result<Self, DialError> {
        let parsed = Url::parse(url).map_err(|error| unparsable(url, error))?;
        if !is_web_scheme(parsed.scheme()) {
            return Err(wrong_scheme(url, &parsed));
        }
        if parsed.fragment().is_some() {
            return Err(DialError::invalid_url(
                "a fragment (`#` and what follows) has no meaning for a WebSocket; remove it, or write %23",
            ));
        }
        Self::from_url(parsed)
    }

    /// Resolves the `Location` of a redirect against this URL. Its fragment and its credentials are dropped: they
    /// are not for the server that sent it to choose.
    pub(super) fn join(&self, location: &str) -> Result<Self, DialError> {
        let mut url = self.url.join(location).map_err(|error| unparsable(location, error))?;
        if !is_web_scheme(url.scheme()) {
            return Err(wrong_scheme(location, &url));
        }
        url.set_fragment(None);
        strip_userinfo(&mut url);
        Self::from_url(url)
    }

    fn from_url(mut url: Url) -> Result<Self, DialError> {
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            _ => "wss",
        };
        url.set_scheme(scheme).expect("the web's schemes can be exchanged for each other");
        let authorization = match Credentials::from_url(&url) {
            Some(credentials) => Some(credentials.basic()?),
            None => None,
        };
        strip_userinfo(&mut url);
        let port = url.port_or_known_default().expect("ws and wss have default ports");
        if BLOCKED_PORTS.binary_search(&port).is_ok() {
            return Err(DialError::invalid_url(format!(
                "port {port} is blocked, as in browsers: another protocol lives there; serve on another port"
            )));
        }
        let host = match url.host().expect("ws and wss URLs have a host") {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let mut resource = url.path().to_owned();
        if let Some(query) = url.query().filter(|query| !query.is_empty()) {
            resource.push('?');
            resource.push_str(query);
        }
        debug_assert!(resource.starts_with('/'), "the path of a web URL is absolute");
        Ok(Self { url, host, port, resource, authorization })
    }

    /// Whether the connection is over TLS: the scheme is `wss`.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// The host: a name in ASCII (punycode where needed), or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's default where the URL names none: 80 or 443.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: an IPv6 address in brackets, and the port only where it is not the default.
    pub fn host_header(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The path and the query, for the request line; `/` at least.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The value of the `Authorization` header, from the credentials in the URL. It is marked as sensitive.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The URL with its query and without credentials. The query may hold secrets: log `Display` instead.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whether both have the same scheme, host and port.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.is_secure() == other.is_secure() && self.host == other.host && self.port == other.port
    }

    /// Takes over the credentials of the URL that redirected here.
    pub(super) fn with_authorization_of(self, other: &Self) -> Self {
        Self { authorization: other.authorization.clone(), ..self }
    }

    /// Host and port as messages and proxies name them: `chat.example:443`, `[::1]:80`.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", &self.url[Position::BeforeHost..Position::AfterHost], self.port)
    }

    /// The address, where the host is one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        }
    }
}

/// The URL up to its path.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..Position::AfterPath])
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&format_args!("{self}")).finish()
    }
}

impl std::str::FromStr for Target {
    type Err = DialError;

    fn from_str(url: &str) -> Result<Self, DialError> {
        Self::parse(url)
    }
}

fn is_web_scheme(scheme: &str) -> bool {
    matches!(scheme, "ws" | "wss" | "http" | "https")
}

fn strip_userinfo(url: &mut Url) {
    url.set_username("").expect("a web URL can have a user name");
    url.set_password(None).expect("a web URL can have a password");
}

fn unparsable(url: &str, error: ParseError) -> DialError {
    match error {
        ParseError::RelativeUrlWithoutBase if url.trim().is_empty() => DialError::invalid_url("it is empty"),
        ParseError::RelativeUrlWithoutBase => {
            DialError::invalid_url("it is not absolute; write ws:// or wss:// and the host before it")
        }
        other => DialError::invalid_url(other.to_string()),
    }
}

/// `localhost:8080` and `ana:secret@host` parse as URLs, with what stands before the colon as their scheme: only
/// what is followed by `//` is called one, and repeated in a message.
fn wrong_scheme(text: &str, url: &Url) -> DialError {
    let scheme = url.scheme();
    if text.trim_start().get(scheme.len()..).is_some_and(|rest| rest.starts_with("://")) {
        return DialError::invalid_url(format!("the scheme `{scheme}` is not supported; use ws or wss"));
    }
    DialError::invalid_url("it names no scheme; write ws:// or wss:// before the host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, secure: bool, host: &str, port: u16, host_header: &str, resource: &str) {
        let target = Target::parse(url).unwrap();
        assert_eq!(
            (target.is_secure(), target.host(), target.port(), target.host_header(), target.resource()),
            (secure, host, port, host_header, resource),
            "{url}"
        );
    }

    #[test]
    fn urls_are_read_as_the_standard_says() {
        check("ws://a.example", false, "a.example", 80, "a.example", "/");
        check("wss://a.example/", true, "a.example", 443, "a.example", "/");
        check("http://a.example/x", false, "a.example", 80, "a.example", "/x");
        check("https://a.example:8443/x?y=1", true, "a.example", 8443, "a.example:8443", "/x?y=1");
        check("WS://A.Example:80/X", false, "a.example", 80, "a.example", "/X");
        check("ws://a.example:443", false, "a.example", 443, "a.example:443", "/");
        check("wss://a.example:80", true, "a.example", 80, "a.example:80", "/");
        check("http://a.example:443", false, "a.example", 443, "a.example:443", "/");
        check("https://a.example:443", true, "a.example", 443, "a.example", "/");
        check("ws://a.example?q", false, "a.example", 80, "a.example", "/?q");
        check("ws://a.example/?", false, "a.example", 80, "a.example", "/");
        check("ws://a.example/a b/é?ñ=%20 ", false, "a.example", 80, "a.example", "/a%20b/%C3%A9?%C3%B1=%20");
        check("ws://a.example/a/../b/./c", false, "a.example", 80, "a.example", "/b/c");
        check(" ws://a.exa\nmple\t/x ", false, "a.example", 80, "a.example", "/x");
    }

    #[test]
    fn hosts_are_read_as_the_standard_says() {
        check("ws://[::1]/", false, "::1", 80, "[::1]", "/");
        check("wss://[2001:DB8::1]:8443", true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/");
        check("ws://127.1:8080", false, "127.0.0.1", 8080, "127.0.0.1:8080", "/");
        check("ws://0x7f.1", false, "127.0.0.1", 80, "127.0.0.1", "/");
        check("ws://españa.example", false, "xn--espaa-rta.example", 80, "xn--espaa-rta.example", "/");
        check("ws://a.example.", false, "a.example.", 80, "a.example.", "/");
    }

    #[test]
    fn messages_and_proxies_always_name_the_port() {
        for (url, authority) in [
            ("ws://a.example/x", "a.example:80"),
            ("wss://ana:pw@a.example", "a.example:443"),
            ("wss://[::1]", "[::1]:443"),
            ("ws://127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(Target::parse(url).unwrap().authority(), authority);
        }
    }

    #[test]
    fn credentials_become_a_basic_authorization_and_appear_nowhere_else() {
        let target = Target::parse("ws://ana:s%20%C3%B1%3A@a.example/x?token=t").unwrap();
        let value = target.authorization().unwrap();
        assert_eq!(value, &format!("Basic {}", "YW5hOnMgw7E6"));
        assert!(value.is_sensitive());
        assert_eq!(target.host_header(), "a.example");
        assert_eq!(target.as_str(), "ws://a.example/x?token=t");
        for text in [target.to_string(), format!("{target:?}")] {
            assert!(!text.contains("ana") && !text.contains("YW5h") && !text.contains("token"), "{text}");
        }
    }

    #[test]
    fn either_half_of_the_credentials_may_be_empty_but_not_both() {
        let authorization = |url: &str| {
            Target::parse(url).unwrap().authorization().map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(authorization("ws://ana@a.example").as_deref(), Some("Basic YW5hOg=="));
        assert_eq!(authorization("ws://:pw@a.example").as_deref(), Some("Basic OnB3"));
        assert_eq!(authorization("ws://:@a.example"), None);
        assert_eq!(authorization("ws://@a.example"), None);
    }

    #[track_caller]
    fn check_refused(url: &str, expected: &str) {
        let message = Target::parse(url).unwrap_err().to_string();
        assert!(message.contains(expected), "{url}: {message}");
        assert!(!message.contains("secret"), "{url}: {message}");
    }

    #[test]
    fn other_urls_are_refused_with_what_would_be_right() {
        check_refused("ftp://a.example/", "`ftp` is not supported; use ws or wss");
        check_refused("localhost:8080", "names no scheme; write ws:// or wss://");
        check_refused("secret:secret@a.example", "names no scheme");
        check_refused("127.0.0.1:8080", "not absolute; write ws:// or wss://");
        check_refused("/chat", "not absolute");
        check_refused("  ", "empty");
        check_refused("mailto:ana@a.example", "names no scheme");
        check_refused("ws://", "empty host");
        check_refused("ws://a.example:65536", "invalid port");
        check_refused("ws://[::1", "invalid IPv6");
        check_refused("ws://a b", "invalid");
        check_refused("ws://a.example/#x", "fragment");
        check_refused("ws://a.example/#", "fragment");
        check_refused("ws://secret%3Aa:secret@a.example/", "colon");
        check_refused("ws://ana:secret@a.example:x/", "invalid port");
    }

    #[test]
    fn ports_that_fetch_blocks_are_refused() {
        assert!(BLOCKED_PORTS.is_sorted());
        for port in [0, 22, 25, 6000, 6667, 10080] {
            check_refused(&format!("ws://a.example:{port}"), "is blocked");
        }
        for port in [81, 443, 3000, 8080, 10081, 65535] {
            assert!(Target::parse(&format!("ws://a.example:{port}")).is_ok());
        }
    }

    #[test]
    fn every_byte_in_a_url_is_an_answer_and_never_a_panic() {
        for byte in 0..=255_u8 {
            for template in ["ws://a?b/c", "ws://?", "ws://a:?", "ws://?@a", "?ws://a", "ws?//a"] {
                let text = template.replace('?', &char::from(byte).to_string());
                if let Ok(target) = Target::parse(&text) {
                    let line = [target.resource(), target.host_header()].concat();
                    assert!(line.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{text:?} gives {line:?}");
                }
            }
        }
    }
}
