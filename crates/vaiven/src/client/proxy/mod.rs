//! A proxy between the client and the host: HTTP CONNECT (RFC 9110 section 9.3.6) or SOCKS5 (RFC 1928).
//!
//! RFC 6455 section 4.1 has the client ask its proxy "to open a TCP connection to the host", so `ws://` goes through
//! a tunnel like `wss://` does. A tunnel takes exactly the bytes of the proxy's answer off the connection: what
//! follows is the host's.

mod environment;
mod http_connect;
mod socks5;

use super::credentials::Credentials;
use super::error::DialError;
use super::url::Target;
use crate::Stream;
use http::{HeaderValue, StatusCode};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// A proxy, and the credentials for it.
///
/// Neither `Display` nor `Debug` shows the credentials.
///
/// ```
/// use vaiven::client::Proxy;
///
/// let proxy = Proxy::parse("http://ana:secret@proxy.example:3128")?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), vaiven::client::DialError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    pub(super) host: String,
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
    credentials: Option<Credentials>,
    /// What the credentials are in HTTP; made while parsing, so that an unusable user name is an error of that.
    authorization: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// HTTP CONNECT.
    Http,
    /// HTTP CONNECT, over TLS to the proxy.
    Https,
    /// SOCKS5, the host's addresses looked up here.
    Socks5,
    /// SOCKS5, the host's name given to the proxy.
    Socks5h,
}

impl Kind {
    const ALL: [(Self, &str, u16); 4] = [
        (Self::Http, "http", 80),
        (Self::Https, "https", 443),
        (Self::Socks5, "socks5", 1080),
        (Self::Socks5h, "socks5h", 1080),
    ];

    fn row(self) -> (&'static str, u16) {
        let row = Self::ALL.iter().find(|(kind, ..)| *kind == self).expect("the table has every kind");
        (row.1, row.2)
    }
}

impl Proxy {
    /// Reads `http://`, `https://`, `socks5://` (names are looked up here) or `socks5h://` (names are looked up by
    /// the proxy), with or without `user:password@` and port. The default ports are 80, 443 and 1080; no scheme
    /// means `http`. User name and password are percent-decoded.
    ///
    /// # Errors
    /// [`DialError::InvalidConfig`], without the credentials.
    pub fn parse(text: &str) -> Result<Self, DialError> {
        let invalid =
            |reason: &str| DialError::invalid_config(format!("the proxy's url is unusable: {reason}"));
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        let Some(&(kind, _, default_port)) = Kind::ALL.iter().find(|(_, name, _)| *name == scheme) else {
            return Err(invalid("its scheme is none of http, https, socks5, socks5h"));
        };
        // The URL standard treats `socks5` like any scheme that it does not know: hosts are not normalised. Port 1 is
        // nobody's default, so a port that is written is told from one that is not.
        let url = Url::parse(&format!("proxy://{rest}")).map_err(|error| invalid(&error.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid("it has no host"))?;
        let host = Host::parse(host).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("something follows the host and port"));
        }
        let (host, ip) = match host {
            Host::Domain(name) => (name, None),
            Host::Ipv4(ip) => (ip.to_string(), Some(IpAddr::V4(ip))),
            Host::Ipv6(ip) => (ip.to_string(), Some(IpAddr::V6(ip))),
        };
        let port = match url.port() {
            Some(0) => return Err(invalid("port 0 cannot be connected to")),
            Some(port) => port,
            None => default_port,
        };
        let credentials = Credentials::from_url(&url);
        let authorization = match (&credentials, kind) {
            (Some(credentials), Kind::Http | Kind::Https) => {
                Some(credentials.basic().map_err(|_| invalid("a user name for Basic cannot have a colon"))?)
            }
            _ => None,
        };
        if matches!(kind, Kind::Socks5 | Kind::Socks5h) {
            socks5::check(credentials.as_ref()).map_err(invalid)?;
        }
        Ok(Self { kind, host, ip, port, credentials, authorization })
    }

    /// The proxy that the environment names for this URL; `None` means to connect directly.
    ///
    /// For `ws://` the variables are `ws_proxy`, `WS_PROXY` and `http_proxy`, for `wss://` they are `wss_proxy`,
    /// `WSS_PROXY`, `https_proxy` and `HTTPS_PROXY`; then, for both, `all_proxy` and `ALL_PROXY`. The first that is
    /// set counts, and an empty one means none. `HTTP_PROXY` in capitals is not read, as in curl: in a CGI program it
    /// is set by whoever sends a header named `Proxy`.
    ///
    /// `no_proxy`, or else `NO_PROXY`, lists the hosts that are connected to directly, separated by commas or spaces:
    /// names, which include the names below them (with or without a dot before), addresses, blocks of addresses
    /// (`10.0.0.0/8`), or `*` for all.
    ///
    /// # Errors
    /// [`DialError::InvalidConfig`] where the variable that counts holds no usable proxy.
    pub fn from_env(target: &Target) -> Result<Option<Self>, DialError> {
        Self::from_variables(target, |name| std::env::var(name).ok())
    }

    /// [`from_env`](Self::from_env), with the variables from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        target: &Target,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, DialError> {
        environment::choose(target, lookup)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Asks the proxy for the way to the host. On success the stream is the host's from the next byte on.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection to the proxy, if `io` is owned by it.
    pub(super) async fn open_tunnel(
        &self,
        io: &mut (impl Stream + Unpin),
        target: &Target,
        address: Option<SocketAddr>,
    ) -> Result<(), DialError> {
        let opened = match self.kind {
            Kind::Http | Kind::Https => {
                http_connect::open(io, &target.authority(), self.authorization.as_ref()).await
            }
            Kind::Socks5 | Kind::Socks5h => {
                let destination = match address.map(|address| address.ip()).or(target.ip()) {
                    Some(ip) => socks5::Destination::Ip(ip),
                    None => socks5::Destination::Name(target.host()),
                };
                socks5::open(io, destination, target.port(), self.credentials.as_ref()).await
            }
        };
        opened.map_err(|problem| self.failed(target, problem))
    }

    /// An error of this proxy on the way to this host.
    pub(super) fn failed(&self, target: &Target, problem: ProxyProblem) -> DialError {
        DialError::Proxy { proxy: self.to_string(), host: target.authority(), problem }
    }
}

/// The proxy's URL without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.row().0, super::authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&format_args!("{self}")).finish()
    }
}

impl std::str::FromStr for Proxy {
    type Err = DialError;

    fn from_str(text: &str) -> Result<Self, DialError> {
        Self::parse(text)
    }
}

/// What is wrong with a proxy. Its `Display` says it in a sentence, with what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyProblem {
    /// The proxy itself could not be reached.
    Unreachable(Box<DialError>),
    /// An HTTP proxy answered with this status instead of 2xx.
    Status(StatusCode),
    /// A SOCKS5 proxy wants credentials, and was given none or others.
    Unauthorized,
    /// A SOCKS5 proxy answered with this reply code (RFC 1928 section 6) instead of 0.
    Reply(u8),
    /// The answer is not of the proxy's protocol: the port or the scheme may be wrong.
    InvalidAnswer(&'static str),
    /// The host's name exceeds the 255 bytes that SOCKS5 has for it. Nothing was asked.
    HostTooLong,
    /// The head of an HTTP proxy's answer is longer than 16 KiB, or has more than 100 fields.
    AnswerTooLarge,
    /// The proxy closed the connection, or it broke.
    Io(io::Error),
}

impl ProxyProblem {
    /// Whether the proxy may still reach the host at another of its addresses.
    pub(super) fn is_about_the_address(&self) -> bool {
        matches!(self, Self::Reply(code) if socks5::is_about_the_address(*code))
    }

    /// Whether the same may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.is_transient(),
            Self::Status(status) => status.is_server_error(),
            Self::Reply(code) => socks5::is_transient(*code),
            Self::Io(_) => true,
            Self::Unauthorized | Self::HostTooLong | Self::InvalidAnswer(_) | Self::AnswerTooLarge => false,
        }
    }

    pub(super) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(&**error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ProxyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Status(status) if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                write!(f, "it answered {status}; check the user name and password in the proxy's url")
            }
            Self::Status(status) => {
                write!(f, "it answered {status}; check that the proxy allows CONNECT to this host and port")
            }
            Self::Unauthorized => f.write_str(
                "it does not accept the user name and password, or requires them; check the proxy's url",
            ),
            Self::Reply(code) => {
                write!(f, "it answered {} (reply code {code})", socks5::reply_text(*code))
            }
            Self::InvalidAnswer(what) => {
                write!(
                    f,
                    "its answer is not what it should be: {what}; check the scheme and port of the proxy's url"
                )
            }
            Self::HostTooLong => f.write_str("the host's name is too long for SOCKS5; dial it by address"),
            Self::AnswerTooLarge => f.write_str("the head of its answer exceeds 16 KiB or 100 fields"),
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("it closed the connection before it answered")
            }
            Self::Io(error) => write!(f, "the connection to it broke: {error}"),
        }
    }
}

impl From<io::Error> for ProxyProblem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: Kind, host: &str, port: u16, shown: &str) {
        let proxy = Proxy::parse(text).unwrap();
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (kind, host, port), "{text}");
        assert_eq!(proxy.to_string(), shown, "{text}");
    }

    #[test]
    fn proxies_are_read_with_their_default_ports() {
        check("http://p.example:3128", Kind::Http, "p.example", 3128, "http://p.example:3128");
        check("http://p.example/", Kind::Http, "p.example", 80, "http://p.example:80");
        check("p.example:3128", Kind::Http, "p.example", 3128, "http://p.example:3128");
        check("HTTPS://P.Example", Kind::Https, "p.example", 443, "https://p.example:443");
        check("https://p.example:80", Kind::Https, "p.example", 80, "https://p.example:80");
        check("socks5://p.example", Kind::Socks5, "p.example", 1080, "socks5://p.example:1080");
        check("socks5h://[::1]:80", Kind::Socks5h, "::1", 80, "socks5h://[::1]:80");
        check("http://127.1:8080", Kind::Http, "127.0.0.1", 8080, "http://127.0.0.1:8080");
        check(
            " http://españa.example ",
            Kind::Http,
            "xn--espaa-rta.example",
            80,
            "http://xn--espaa-rta.example:80",
        );
    }

    #[test]
    fn credentials_of_a_proxy_are_decoded_and_never_shown() {
        let proxy = Proxy::parse("ana:secr%40t@p.example:3128").unwrap();
        let credentials = proxy.credentials.as_ref().unwrap();
        assert_eq!((&credentials.user[..], &credentials.password[..]), (&b"ana"[..], &b"secr@t"[..]));
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic YW5hOnNlY3JAdA==");
        for text in [format!("{proxy}"), format!("{proxy:?}"), format!("{credentials:?}")] {
            assert!(!text.contains("ana") && !text.contains("secr") && !text.contains("YW5h"), "{text}");
        }
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let message = Proxy::parse(text).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{text}: {message}");
    }

    #[test]
    fn unusable_proxies_are_refused_without_their_credentials() {
        check_refused("", "no host");
        check_refused("http://", "no host");
        check_refused("socks4://ana:secret@p.example", "none of http, https, socks5, socks5h");
        check_refused("http://ana:secret@p.example:x", "port");
        check_refused("http://ana:secret@p.example:0", "port 0");
        check_refused("http://ana:secret@p.example/path", "follows");
        check_refused("http://ana:secret@p.example?q", "follows");
        check_refused("http://secret%3Aana:secret@p.example", "colon");
        check_refused("http://ana:secret@a b", "invalid");
        check_refused("http://[::1", "IPv6");
    }

    #[test]
    fn socks5_credentials_have_one_to_255_bytes_each() {
        for (length, fits) in [(0, false), (254, true), (255, true), (256, false)] {
            let part = "x".repeat(length);
            assert_eq!(
                Proxy::parse(&format!("socks5://{part}:pw@p.example")).is_ok(),
                fits,
                "user of {length}"
            );
            assert_eq!(
                Proxy::parse(&format!("socks5://u:{part}@p.example")).is_ok(),
                fits,
                "password of {length}"
            );
        }
    }
}
