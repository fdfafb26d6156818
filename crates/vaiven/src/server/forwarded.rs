//! Who the client behind a proxy is: a request's fields to an address, believed only from configured networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use vaiven_proto::handshake::{RequestHead, Scheme};

/// Proxies whose word about the client counts, and the field in which they give it.
///
/// A proxy appends to the field what it saw, and clients can write whatever they like in front of that. So the field
/// is read from its end, past the addresses of trusted proxies; the first other address is the client's.
///
/// ```
/// use vaiven::server::{ForwardedField, TrustedProxies};
/// let proxies = TrustedProxies::new(["127.0.0.1".parse()?, "10.0.0.0/8".parse()?], ForwardedField::XForwardedFor);
/// assert!(proxies.trusts("10.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    field: ForwardedField,
}

/// The field in which the proxies name the client. Only the one that they write may be read: they pass on what a
/// client wrote in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedField {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` for the scheme.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TrustedProxies {
    /// Trusts nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Trusts the proxies of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNetwork>, field: ForwardedField) -> Self {
        Self { networks: networks.into_iter().collect(), field }
    }

    /// Whether this address is a trusted proxy's.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// The client's address, as the trusted proxies give it; `proxy`, the peer itself, where they give none.
    pub(super) fn client_ip(&self, request: &RequestHead, proxy: IpAddr) -> IpAddr {
        let name = match self.field {
            ForwardedField::XForwardedFor => "x-forwarded-for",
            ForwardedField::Forwarded => "forwarded",
        };
        let mut client = proxy;
        let lines: Vec<&[u8]> = request.fields().all(name).collect();
        for element in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let Some(ip) = self.address(element) else { break };
            client = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        client
    }

    fn address(&self, element: &[u8]) -> Option<IpAddr> {
        let element = std::str::from_utf8(element).ok()?;
        match self.field {
            ForwardedField::XForwardedFor => parse_node(element),
            ForwardedField::Forwarded => parse_node(parameter(element, "for")?),
        }
    }

    /// The scheme by which the client reached the outermost trusted proxy that says so last.
    pub(super) fn scheme(&self, request: &RequestHead) -> Scheme {
        let fields = request.fields();
        let scheme = match self.field {
            ForwardedField::XForwardedFor => fields.tokens("x-forwarded-proto").last(),
            ForwardedField::Forwarded => fields
                .tokens("forwarded")
                .last()
                .and_then(|element| std::str::from_utf8(element).ok())
                .and_then(|element| parameter(element, "proto"))
                .map(str::as_bytes),
        };
        let is = |names: [&str; 2]| {
            scheme.is_some_and(|scheme| names.iter().any(|name| scheme.eq_ignore_ascii_case(name.as_bytes())))
        };
        if is(["https", "wss"]) {
            Scheme::Https
        } else if is(["http", "ws"]) {
            Scheme::Http
        } else {
            Scheme::Unknown
        }
    }
}

/// The value of a parameter of an element of `Forwarded`, without its quotes.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// An address, with or without brackets and port.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let ip = text.parse().ok().or_else(bracketed).or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(ip.to_canonical())
}

/// A network of IP addresses, as `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u32,
}

impl IpNetwork {
    /// Whether the address is in the network. An IPv4 address in the form of IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - self.prefix).unwrap_or(0);
                (network.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - self.prefix).unwrap_or(0);
                (network.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        Self { address, prefix }
    }
}

impl FromStr for IpNetwork {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let error = || ParseNetworkError(text.chars().take(64).collect());
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| error());
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let longest = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix =
            prefix.parse().ok().filter(|prefix| is_number && *prefix <= longest).ok_or_else(error)?;
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetworkError(String);

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no network: write an address and a prefix, as 10.0.0.0/8 or fd00::/8", self.0)
    }
}

impl std::error::Error for ParseNetworkError {}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use vaiven_proto::handshake::{HeadLimits, HeadScanner};

    fn request(fields: &str) -> RequestHead {
        let mut head = BytesMut::from(&*format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        RequestHead::take(&mut HeadScanner::new(HeadLimits::default()), &mut head).unwrap().unwrap()
    }

    #[track_caller]
    fn check(field: ForwardedField, fields: &str, expected: &str) {
        let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()], field);
        let client = proxies.client_ip(&request(fields), "10.0.0.1".parse().unwrap());
        assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{fields}");
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxys_is_the_clients() {
        use ForwardedField::{Forwarded as F, XForwardedFor as X};
        check(X, "", "10.0.0.1");
        check(X, "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.9.9.9,::1\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 192.0.2.7\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1");
        check(X, "X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1");
        check(X, "X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7");
        check(X, "X-Forwarded-For: 192.0.2.7, unknown\r\n", "10.0.0.1");
        check(X, "X-Forwarded-For: 192.0.2.7, unknown, 10.3.3.3\r\n", "10.3.3.3");
        check(X, "X-Forwarded-For: \u{e9}\r\n", "10.0.0.1");
        check(X, "Forwarded: for=192.0.2.7\r\n", "10.0.0.1");
        check(F, "Forwarded: for=6.6.6.6, for=192.0.2.7;proto=https\r\n", "192.0.2.7");
        check(F, "Forwarded: proto=https ; FOR=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1");
        check(F, "Forwarded: for=\"a, for=192.0.2.7\r\n", "192.0.2.7");
        check(F, "Forwarded: for=_hidden\r\n", "10.0.0.1");
        check(F, "X-Forwarded-For: 6.6.6.6\r\n", "10.0.0.1");
    }

    #[test]
    fn the_scheme_is_what_the_last_proxy_says() {
        let x = TrustedProxies::default();
        assert_eq!(x.scheme(&request("")), Scheme::Unknown);
        assert_eq!(x.scheme(&request("X-Forwarded-Proto: http, HTTPS\r\n")), Scheme::Https);
        assert_eq!(x.scheme(&request("X-Forwarded-Proto: ws\r\n")), Scheme::Http);
        let forwarded = TrustedProxies::new([], ForwardedField::Forwarded);
        assert_eq!(forwarded.scheme(&request("Forwarded: proto=http, for=a;proto=https\r\n")), Scheme::Https);
        assert_eq!(forwarded.scheme(&request("X-Forwarded-Proto: https\r\n")), Scheme::Unknown);
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.6"),
            ("192.0.2.4", "192.0.2.4", "192.0.2.5"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let parsed: IpNetwork = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0/8", "a/8", "10.0.0.0/"] {
            assert!(text.parse::<IpNetwork>().is_err(), "{text}");
        }
    }
}
