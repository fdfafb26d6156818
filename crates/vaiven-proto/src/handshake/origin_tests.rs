//! The rows H24 to H26, and what makes two origins the same.

use super::*;

fn policy() -> OriginPolicy {
    OriginPolicy::same_origin()
}

#[track_caller]
fn check(policy: &OriginPolicy, origin: &str, host: &str, scheme: Scheme, expected: Result<(), Reason>) {
    let outcome = policy.check(Some(origin), host, scheme).map_err(|refusal| refusal.reason);
    assert_eq!(outcome, expected, "{origin} at {host} over {scheme:?}");
}

#[test]
fn pages_of_the_same_origin_connect() {
    for (origin, host, scheme) in [
        ("http://localhost:8080", "localhost:8080", Scheme::Http),
        ("http://a.example", "a.example", Scheme::Http),
        ("http://a.example", "a.example:80", Scheme::Http),
        ("http://a.example:80", "a.example", Scheme::Http),
        ("https://a.example", "a.example", Scheme::Https),
        ("https://a.example", "a.example:443", Scheme::Https),
        ("HTTPS://A.Example", "a.eXAMPLE", Scheme::Https),
        ("http://[::1]:8080", "[::1]:8080", Scheme::Http),
        ("http://[::1]", "[0:0:0:0:0:0:0:1]:80", Scheme::Http),
        ("http://[FE80::A]", "[fe80::a]", Scheme::Http),
        ("http://127.0.0.1:9", "127.0.0.1:9", Scheme::Http),
        ("https://a.example", "a.example", Scheme::Unknown),
        ("http://a.example", "a.example", Scheme::Unknown),
    ] {
        check(&policy(), origin, host, scheme, Ok(()));
    }
}

#[test]
fn pages_of_a_foreign_origin_are_refused() {
    for (origin, host, scheme) in [
        ("http://evil.example", "a.example", Scheme::Http),
        ("http://a.example.evil", "a.example", Scheme::Http),
        ("http://evil-a.example", "a.example", Scheme::Http),
        ("http://sub.a.example", "a.example", Scheme::Http),
        ("http://localhost:3000", "localhost:8080", Scheme::Http),
        ("http://localhost", "127.0.0.1", Scheme::Http),
        ("http://a.example", "a.example", Scheme::Https),
        ("https://a.example", "a.example", Scheme::Http),
        ("http://a.example", "a.example:443", Scheme::Unknown),
        ("http://[::1]", "[::2]", Scheme::Http),
        ("http://[::1]", "::1", Scheme::Http),
        ("http://a.example", "", Scheme::Http),
        ("app://a.example", "a.example", Scheme::Unknown),
    ] {
        check(&policy(), origin, host, scheme, Err(Reason::Foreign));
    }
}

#[test]
fn what_is_not_an_origin_is_refused() {
    for origin in [
        "",
        "a.example",
        "://a.example",
        "http://",
        "http://a.example/",
        "http://a.example/path",
        "http://user@a.example",
        "http://a.example:",
        "http://a.example:+80",
        "http://a.example:65536",
        "http://a.example:80:80",
        "http://a.example, http://b.example",
        "http://[::1",
        "http://[::1]80",
        "http://[g]",
        "http://*.example",
        "1http://a.example",
        "NULL",
    ] {
        check(&policy(), origin, "a.example", Scheme::Http, Err(Reason::Malformed));
    }
}

#[test]
fn null_and_absent_origins_need_to_be_allowed() {
    let reason = |policy: &OriginPolicy, origin| {
        policy.check(origin, "a", Scheme::Http).map_err(|refusal| refusal.reason)
    };
    assert_eq!(reason(&policy(), None), Err(Reason::Absent));
    assert_eq!(reason(&policy(), Some("null")), Err(Reason::Null));
    assert_eq!(reason(&policy().allow_absent(), None), Ok(()));
    assert_eq!(reason(&policy().allow_absent(), Some("null")), Err(Reason::Null));
    assert_eq!(reason(&policy().allow_null(), Some("null")), Ok(()));
    assert_eq!(reason(&policy().allow_null(), None), Err(Reason::Absent));
    assert_eq!(reason(&OriginPolicy::any(), None), Ok(()));
    assert_eq!(reason(&OriginPolicy::any(), Some("null")), Ok(()));
    assert_eq!(reason(&OriginPolicy::any(), Some("http://evil.example")), Ok(()));
}

#[test]
fn a_list_allows_its_origins() {
    let listed = ["https://App.Example:443/", "http://localhost:3000", "capacitor://localhost"];
    let origins = listed.map(|origin| origin.parse::<Origin>().unwrap());
    assert_eq!(origins[0].as_str(), "https://app.example");
    let both = origins.iter().cloned().fold(policy(), OriginPolicy::allow);
    let only = OriginPolicy::list(origins);
    for policy in [&both, &only] {
        check(policy, "https://app.example", "a", Scheme::Http, Ok(()));
        check(policy, "http://localhost:3000", "a", Scheme::Http, Ok(()));
        check(policy, "capacitor://localhost", "a", Scheme::Http, Ok(()));
        check(policy, "https://evil.example", "a", Scheme::Http, Err(Reason::Foreign));
        check(policy, "http://app.example", "a", Scheme::Http, Err(Reason::Foreign));
        check(policy, "https://app.example:8443", "a", Scheme::Http, Err(Reason::Foreign));
    }
    check(&both, "http://a", "a", Scheme::Http, Ok(()));
    check(&only, "http://a", "a", Scheme::Http, Err(Reason::Foreign));
}

#[test]
fn a_refusal_says_what_came_and_how_to_allow_it() {
    let text = |origin| policy().check(origin, "app.example", Scheme::Http).unwrap_err().to_string();
    assert_eq!(
        text(Some("https://evil.example")),
        "origin \"https://evil.example\" is not allowed for host \"app.example\"; if its pages may connect, allow \
         it with origins = [\"https://evil.example\"]"
    );
    assert!(text(None).contains("no Origin header"));
    assert!(text(Some("null")).contains("\"null\""));
    let long = format!("http://{}\x1b\"", "a".repeat(5000));
    assert!(text(Some(&long)).len() < 400);
    assert!(text(Some("http://a\x1b[2J")).contains("\\u{1b}"), "escapes do not reach a terminal");
}

#[test]
fn configured_origins_get_errors_that_help() {
    for (text, hint) in [
        ("app.example", "begin with the scheme"),
        ("", "begin with the scheme"),
        ("wss://app.example", "http:// or https://"),
        ("https://app.example/chat", "after host and port"),
        ("https://*.app.example", "wildcards"),
        ("*", "any origin"),
        ("https://señal.example", "Punycode"),
        ("https://app.example:99999", "65535"),
        ("https://", "host"),
    ] {
        let error = text.parse::<Origin>().unwrap_err().to_string();
        assert!(error.contains(hint), "{text}: {error}");
    }
    assert_eq!("http://[0:0::1]:8080".parse::<Origin>().unwrap().as_str(), "http://[::1]:8080");
}
