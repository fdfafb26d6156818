//! The environment's variables to a proxy, by curl's rules. A pure function of the URL and the variables.

use super::{DialError, Proxy, Target};
use std::net::IpAddr;

/// See [`Proxy::from_env`].
pub(super) fn choose(
    target: &Target,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, DialError> {
    let for_scheme: &[&str] = if target.is_secure() {
        &["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY"]
    } else {
        &["ws_proxy", "WS_PROXY", "http_proxy"]
    };
    let found =
        for_scheme.iter().chain(&["all_proxy", "ALL_PROXY"]).find_map(|name| Some((name, lookup(name)?)));
    let Some((name, value)) = found.filter(|(_, value)| !value.trim().is_empty()) else { return Ok(None) };
    let exceptions = lookup("no_proxy").or_else(|| lookup("NO_PROXY")).unwrap_or_default();
    if is_exempt(target, &exceptions) {
        return Ok(None);
    }
    match Proxy::parse(&value) {
        Ok(proxy) => Ok(Some(proxy)),
        Err(DialError::InvalidConfig { reason }) => {
            Err(DialError::invalid_config(format!("the environment variable {name}: {reason}")))
        }
        Err(other) => Err(other),
    }
}

fn is_exempt(target: &Target, exceptions: &str) -> bool {
    let host = target.host().trim_end_matches('.');
    exceptions
        .split(|char: char| char == ',' || char.is_whitespace())
        .filter(|exception| !exception.is_empty())
        .any(|exception| {
            exception == "*"
                || match target.ip() {
                    Some(ip) => is_in_block(ip, exception),
                    None => is_at_or_below(host, exception),
                }
        })
}

/// `example.com` and `.example.com` stand for that name and every name below it.
fn is_at_or_below(host: &str, exception: &str) -> bool {
    let name = exception.trim_start_matches('.').trim_end_matches('.');
    let Some(start) = host.len().checked_sub(name.len()) else { return false };
    let (below, tail) = host.as_bytes().split_at(start);
    !name.is_empty() && tail.eq_ignore_ascii_case(name.as_bytes()) && matches!(below, [] | [.., b'.'])
}

/// An address, with or without brackets, or a block of them.
fn is_in_block(ip: IpAddr, exception: &str) -> bool {
    let (base, bits) = match exception.split_once('/') {
        Some((base, bits)) => (base, Some(bits)),
        None => (exception, None),
    };
    let base = base.strip_prefix('[').and_then(|base| base.strip_suffix(']')).unwrap_or(base);
    let Ok(base) = base.parse() else { return false };
    // Both families as numbers whose first bit is the address's first bit.
    let (ip, base, width) = match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => {
            (u128::from(ip.to_bits()) << 96, u128::from(base.to_bits()) << 96, 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(base)) => (ip.to_bits(), base.to_bits(), 128),
        _ => return false,
    };
    let Ok(bits) = bits.map_or(Ok(width), str::parse::<u32>) else { return false };
    bits <= width && (ip ^ base).checked_shr(128 - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let lookup = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        choose(&Target::parse(url).unwrap(), lookup).unwrap().map(|proxy| proxy.to_string())
    }

    #[track_caller]
    fn check(url: &str, variables: &[(&str, &str)], expected: Option<&str>) {
        let expected = expected.map(|host| format!("http://{host}:80"));
        assert_eq!(chosen(url, variables), expected, "{url} {variables:?}");
    }

    #[test]
    fn the_variables_of_the_scheme_count_before_those_for_all() {
        check("ws://a.example", &[], None);
        check("ws://a.example", &[("http_proxy", "p"), ("https_proxy", "s"), ("all_proxy", "a")], Some("p"));
        check("wss://a.example", &[("http_proxy", "p"), ("https_proxy", "s"), ("all_proxy", "a")], Some("s"));
        check("wss://a.example", &[("HTTPS_PROXY", "s"), ("ALL_PROXY", "a")], Some("s"));
        check("wss://a.example", &[("HTTPS_PROXY", "S"), ("https_proxy", "s")], Some("s"));
        check("ws://a.example", &[("ws_proxy", "w"), ("http_proxy", "p")], Some("w"));
        check("wss://a.example", &[("WSS_PROXY", "w"), ("https_proxy", "s")], Some("w"));
        check("ws://a.example", &[("all_proxy", "a"), ("ALL_PROXY", "b")], Some("a"));
        check("wss://a.example", &[("ALL_PROXY", "b")], Some("b"));
        check("wss://a.example", &[("http_proxy", "p")], None);
        check("ws://a.example", &[("https_proxy", "s")], None);
    }

    #[test]
    fn http_proxy_in_capitals_is_not_read() {
        check("ws://a.example", &[("HTTP_PROXY", "p")], None);
    }

    #[test]
    fn an_empty_variable_means_no_proxy() {
        check("ws://a.example", &[("http_proxy", ""), ("all_proxy", "a")], None);
        check("ws://a.example", &[("http_proxy", " ")], None);
    }

    #[track_caller]
    fn check_exempt(exceptions: &str, url: &str, expected: bool) {
        let variables = [("all_proxy", "p"), ("no_proxy", exceptions)];
        assert_eq!(chosen(url, &variables).is_none(), expected, "no_proxy={exceptions} {url}");
    }

    #[test]
    fn names_in_no_proxy_include_the_names_below_them() {
        for exceptions in ["example.com", ".example.com", "EXAMPLE.com.", "x, example.com", "x example.com"] {
            check_exempt(exceptions, "ws://example.com", true);
            check_exempt(exceptions, "ws://a.b.example.com:8080", true);
            check_exempt(exceptions, "ws://example.com./", true);
            check_exempt(exceptions, "ws://badexample.com", false);
            check_exempt(exceptions, "ws://example.com.evil.test", false);
        }
        check_exempt("*", "wss://a.example", true);
        check_exempt("*", "ws://[::1]", true);
        check_exempt("", "ws://a.example", false);
        check_exempt(".", "ws://a.example", false);
        check_exempt(",,", "ws://a.example", false);
    }

    #[test]
    fn addresses_and_blocks_in_no_proxy_are_compared_as_numbers() {
        check_exempt("127.0.0.1", "ws://127.1:81", true);
        check_exempt("127.0.0.1", "ws://127.0.0.2", false);
        check_exempt("10.0.0.0/8", "ws://10.255.0.1", true);
        check_exempt("10.0.0.0/8", "ws://11.0.0.0", false);
        check_exempt("10.1.2.3/32", "ws://10.1.2.3", true);
        check_exempt("10.1.2.3/31", "ws://10.1.2.2", true);
        check_exempt("0.0.0.0/0", "ws://203.0.113.9", true);
        check_exempt("0.0.0.0/0", "ws://[2001:db8::1]", false);
        check_exempt("10.0.0.0/33", "ws://10.0.0.0", false);
        check_exempt("10.0.0.0/x", "ws://10.0.0.0", false);
        check_exempt("::1", "ws://[::1]", true);
        check_exempt("[::1]", "ws://[0:0::1]", true);
        check_exempt("2001:db8::/32", "ws://[2001:db8:ffff::1]", true);
        check_exempt("2001:db8::/32", "ws://[2001:db9::1]", false);
        check_exempt("::/0", "ws://[2001:db9::1]", true);
        check_exempt("0.1", "ws://10.0.0.1", false);
    }

    #[test]
    fn the_lower_case_no_proxy_counts_before_the_capitals() {
        let variables = [("all_proxy", "p"), ("NO_PROXY", "a.example")];
        check("ws://a.example", &variables, None);
        check("ws://a.example", &[variables[0], variables[1], ("no_proxy", "b.example")], Some("p"));
    }

    #[test]
    fn an_unusable_variable_is_named_and_its_credentials_are_not() {
        let lookup = |name: &str| (name == "http_proxy").then(|| "socks4://ana:secret@p".to_owned());
        let message = choose(&Target::parse("ws://a.example").unwrap(), lookup).unwrap_err().to_string();
        assert!(message.contains("environment variable http_proxy"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
