//! `Host` (RFC 9110 section 7.2): the names by which a server may be reached.
//!
//! A page can let its own name lead to another machine once it is loaded, to that of its visitor too (DNS rebinding).
//! The browser then takes the server there for the page's own: `Origin` and `Host` agree, and only the name gives the
//! page away. The policy compares it with the names that the server has.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fmt, str::FromStr};

/// By which names a server may be reached.
///
/// ```
/// use vaiven_proto::handshake::HostPolicy;
///
/// let policy = HostPolicy::loopback().allow("app.test".parse()?);
/// assert!(policy.check("localhost:8080").is_ok());
/// assert!(policy.check("app.test:8080").is_ok());
/// let refusal = policy.check("evil.example:8080").unwrap_err();
/// assert!(refusal.to_string().contains(r#"allowed_hosts = ["evil.example"]"#));
/// # Ok::<(), vaiven_proto::handshake::ParseHostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPolicy {
    base: Base,
    list: Vec<AllowedHost>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Any,
    Loopback,
}

impl HostPolicy {
    /// Every name. Right where the server has names that it does not know, as behind a proxy, and nothing is given to
    /// a client for its address alone.
    pub fn any() -> Self {
        Self { base: Base::Any, list: Vec::new() }
    }

    /// `localhost`, names below it, and the loopback addresses 127.0.0.0/8 and ::1: no foreign page comes from these.
    pub fn loopback() -> Self {
        Self { base: Base::Loopback, list: Vec::new() }
    }

    /// Allows one more name, or a name with all names below it.
    pub fn allow(mut self, host: AllowedHost) -> Self {
        self.list.push(host);
        self
    }

    /// Judges the value of a `Host` field. Its port does not matter.
    ///
    /// # Errors
    /// [`HostRefusal`], which [`Refusal::host_not_allowed`](super::Refusal::host_not_allowed) makes a response of.
    pub fn check(&self, host: &str) -> Result<(), HostRefusal> {
        if self.base == Base::Any {
            return Ok(());
        }
        let Some((name, _)) = Host::parse(host) else {
            return Err(HostRefusal { host: excerpt(host) });
        };
        let name = name.normal();
        if is_loopback(&name) || self.list.iter().any(|allowed| allowed.matches(&name)) {
            Ok(())
        } else {
            Err(HostRefusal { host: excerpt(&name) })
        }
    }
}

fn is_loopback(name: &str) -> bool {
    let below = name.strip_suffix("localhost");
    below.is_some_and(|below| below.is_empty() || below.ends_with('.') && below.len() > 1)
        || address(name).is_some_and(|address| address.to_canonical().is_loopback())
}

/// The address that a host in its normal form is, if it is one.
fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A name or an address of a server: `app.example`, `192.0.2.7`, `[2001:db8::7]`; with a dot in front,
/// `.app.example`, the name and all names below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedHost(String);

impl AllowedHost {
    /// The name in lower case, an IPv6 address in brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, name: &str) -> bool {
        match self.0.strip_prefix('.') {
            None => self.0 == name,
            Some(parent) => name
                .strip_suffix(parent)
                .is_some_and(|below| below.is_empty() || below.ends_with('.') && below.len() > 1),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = ParseHostError;

    /// Reads a name that someone configured. An IPv6 address may stand without its brackets.
    fn from_str(text: &str) -> Result<Self, ParseHostError> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self(format!("[{address}]")));
        }
        let error = |reason| ParseHostError { text: excerpt(text), reason };
        if text.contains("://") {
            return Err(error(ParseReason::Scheme));
        }
        if text.contains('*') {
            return Err(error(ParseReason::Wildcard));
        }
        let (dot, rest) = match text.strip_prefix('.') {
            Some(rest) => (".", rest),
            None => ("", text),
        };
        match Host::parse(rest) {
            Some((_, Some(_))) => Err(error(ParseReason::Port)),
            Some((host, None)) => {
                let name = host.normal();
                if name.is_empty() || name.starts_with('.') || !dot.is_empty() && address(&name).is_some() {
                    return Err(error(ParseReason::Name));
                }
                Ok(Self(format!("{dot}{name}")))
            }
            None => Err(error(ParseReason::Name)),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host: names are compared without regard to case, IPv6 addresses by value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Host<'a> {
    Name(&'a str),
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Splits `host[:port]`.
    pub(super) fn parse(authority: &'a str) -> Option<(Self, Option<u16>)> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (Self::Ipv6(address.parse().ok()?), port)
        } else {
            let (name, port) = match authority.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (authority, None),
            };
            let is_name =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            if !name.bytes().all(is_name) {
                return None;
            }
            (Self::Name(name), port)
        };
        let Some(port) = port else { return Some((host, None)) };
        // `u16::from_str` would also take a plus sign.
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        Some((host, Some(port.parse().ok().filter(|_| is_number)?)))
    }

    /// In lower case, without the dot of the root (RFC 1034 section 3.1); an IPv6 address in its shortest form.
    fn normal(self) -> String {
        match self {
            Self::Name(name) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
            Self::Ipv6(address) => format!("[{address}]"),
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ipv6(a), Self::Ipv6(b)) => a == b,
            _ => false,
        }
    }
}

/// Enough of what came to recognise it in a log.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_BYTES: usize = 256;
    let shown = text.split_at(text.floor_char_boundary(MAX_BYTES)).0;
    shown.escape_debug().to_string()
}

/// Why a name was refused. Its text names what came, and how to allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRefusal {
    host: String,
}

impl HostRefusal {
    /// The name that came, without its port, escaped, at most its first 256 bytes.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for HostRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "host \"{0}\" is not a name that this server knows as its own, and a foreign page can let its name lead \
             here (DNS rebinding); if the name is the server's, allow it with allowed_hosts = [\"{0}\"]",
            self.host
        )
    }
}

impl std::error::Error for HostRefusal {}

/// Why a configured text is not a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseHostError {
    text: String,
    reason: ParseReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParseReason {
    Scheme,
    Port,
    Wildcard,
    Name,
}

impl fmt::Display for ParseHostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a host: ", self.text)?;
        f.write_str(match self.reason {
            ParseReason::Scheme => "leave out the scheme, as in app.example",
            ParseReason::Port => "leave out the port: a name counts at every port",
            ParseReason::Wildcard => "for a name and all names below it begin with a dot, as in .app.example",
            ParseReason::Name => {
                "write a name, in Punycode where it is not ASCII, or an address, as app.example or 192.0.2.7"
            }
        })
    }
}

impl std::error::Error for ParseHostError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: &HostPolicy, hosts: &[&str], allowed: bool) {
        for host in hosts {
            assert_eq!(policy.check(host).is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn names_of_this_machine_are_loopback() {
        let policy = HostPolicy::loopback();
        let ours =
            ["localhost", "LOCALHOST:1", "localhost.", "a.localhost", "a.b.LocalHost.:80", "127.0.0.1:8080"];
        check(&policy, &ours, true);
        check(&policy, &["127.255.0.1", "[::1]:8080", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"], true);
        let names = [
            "",
            "evil.example",
            "notlocalhost",
            ".localhost",
            "localhost.evil.example",
            "a.localhost..",
            "127.1",
        ];
        check(&policy, &names, false);
        check(
            &policy,
            &["127.0.0.1.evil.example", "128.0.0.1", "0.0.0.0", "192.168.0.1", "[::2]", "[::]"],
            false,
        );
        check(&policy, &["localhost:99999", "::1", "[::1", "a b", "evil.example/localhost"], false);
    }

    #[test]
    fn listed_names_are_allowed_whatever_their_case_and_port() {
        let list =
            ["App.Example", ".Team.Example.", "192.0.2.7", "2001:DB8::7"].map(|host| host.parse().unwrap());
        let policy = list.into_iter().fold(HostPolicy::loopback(), HostPolicy::allow);
        check(
            &policy,
            &["app.example", "APP.example.:443", "192.0.2.7:1", "[2001:db8:0::7]:1", "localhost"],
            true,
        );
        check(&policy, &["team.example", "a.team.example:1", "a.b.TEAM.example"], true);
        check(&policy, &["a.app.example", "app.example.evil.example", "192.0.2.70", "[2001:db8::8]"], false);
        check(&policy, &["steam.example", ".team.example", "team.example.evil.example"], false);
        check(&HostPolicy::any(), &["", "evil.example", "a b"], true);
    }

    #[test]
    fn a_refusal_names_the_host_without_its_port() {
        let refusal = HostPolicy::loopback().check("Evil.Example:8080").unwrap_err();
        assert_eq!(refusal.host(), "evil.example");
        assert!(refusal.to_string().contains(r#"allowed_hosts = ["evil.example"]"#), "{refusal}");
        let long = "x".repeat(1000);
        assert_eq!(HostPolicy::loopback().check(&long).unwrap_err().host().len(), 256);
    }

    #[test]
    fn what_is_no_host_is_refused_with_advice() {
        for (text, advice) in [
            ("https://app.example", "scheme"),
            ("app.example:443", "port"),
            ("[::1]:443", "port"),
            ("*.app.example", ".app.example"),
            ("*", "dot"),
            ("", "write a name"),
            (".", "write a name"),
            ("..a", "write a name"),
            (".127.0.0.1", "write a name"),
            ("a b", "write a name"),
            ("caf\u{e9}.example", "Punycode"),
        ] {
            let error = text.parse::<AllowedHost>().unwrap_err().to_string();
            assert!(error.contains(advice), "{text}: {error}");
        }
    }
}
