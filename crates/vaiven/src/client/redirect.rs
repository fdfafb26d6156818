//! Where a redirect leads, and what may go there. Pure: whoever runs the opening handshake asks.
//!
//! Following is opt-in, and at most five times. It never leads from `wss` to `ws`; and what proves who the user is
//! stays with the origin that it was meant for.

use super::error::DialError;
use super::url::Target;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The fields that prove who the user is.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// How many redirects a client follows when asked to.
///
/// The default is [`RedirectPolicy::none`]: the WHATWG constructor follows none either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedirectPolicy {
    max_redirects: u8,
}

/// The next URL to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// Where to. It carries the credentials of the first URL only within their origin.
    pub target: Target,
    /// Whether the new URL has another origin: the request's own headers must go through
    /// [`strip_credentials`](Self::strip_credentials) before they are sent there.
    pub is_cross_origin: bool,
}

impl RedirectPolicy {
    /// The most redirects that can be allowed: a chain of more is a mistake, or a trap.
    pub const MAX_REDIRECTS: u8 = 5;

    /// Follows none.
    pub const fn none() -> Self {
        Self { max_redirects: 0 }
    }

    /// Follows up to this many, and never more than [`MAX_REDIRECTS`](Self::MAX_REDIRECTS).
    pub const fn limited(max_redirects: u8) -> Self {
        let most = Self::MAX_REDIRECTS;
        Self { max_redirects: if max_redirects < most { max_redirects } else { most } }
    }

    /// Whether this status is one that redirects: 301, 302, 303, 307 or 308.
    pub fn is_redirect(status: StatusCode) -> bool {
        matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }

    /// Where an answer with this status and these header fields leads, after `followed` redirects so far.
    ///
    /// # Errors
    /// [`DialError::Redirect`] where it leads nowhere that may be followed: the policy's limit is reached, there is
    /// no one usable `Location`, or the way leads from `wss` to `ws`. [`DialError::InvalidUrl`] where the
    /// `Location` is no URL for a WebSocket.
    pub fn follow(
        self,
        current: &Target,
        status: StatusCode,
        headers: &HeaderMap,
        followed: u8,
    ) -> Result<Redirect, DialError> {
        if !Self::is_redirect(status) {
            return Err(DialError::redirect(format!("{status} is no redirect")));
        }
        let mut locations = headers.get_all(http::header::LOCATION).iter();
        let location = match (locations.next(), locations.next()) {
            (Some(one), None) => one.to_str().map_err(|_| ()),
            _ => Err(()),
        };
        let location = location.map_err(|()| {
            DialError::redirect(format!("{current} answered {status} without one usable Location field"))
        })?;
        let target = current.join(location)?;
        if followed >= self.max_redirects {
            return Err(DialError::redirect(match self.max_redirects {
                0 => {
                    format!("{current} answered {status} to {target}; dial that, or allow redirects")
                }
                max => format!(
                    "{current} answered {status} to {target} after {max} redirects, which is the limit"
                ),
            }));
        }
        if current.is_secure() && !target.is_secure() {
            return Err(DialError::redirect(format!(
                "{current} answered {status} to an unencrypted url; it must name https:// or wss://"
            )));
        }
        let is_cross_origin = !current.is_same_origin(&target);
        let target = if is_cross_origin { target } else { target.with_authorization_of(current) };
        Ok(Redirect { target, is_cross_origin })
    }
}

impl Redirect {
    /// Removes from the request's own headers what must not reach another origin: `Authorization`, `Cookie` and
    /// `Proxy-Authorization`. Does nothing within the origin.
    ///
    /// Once removed they stay removed, even when a later redirect leads back.
    pub fn strip_credentials(&self, headers: &mut HeaderMap<HeaderValue>) {
        if self.is_cross_origin {
            for name in CREDENTIALS {
                headers.remove(name);
            }
        }
    }

    /// Whether a request's own header field of this name may be sent to the new URL.
    pub(super) fn keeps(&self, name: &str) -> bool {
        !self.is_cross_origin || !CREDENTIALS.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{LOCATION, USER_AGENT};

    fn follow(from: &str, location: &str) -> Result<Redirect, DialError> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        let current = Target::parse(from).unwrap();
        RedirectPolicy::limited(5).follow(&current, StatusCode::FOUND, &headers, 0)
    }

    #[track_caller]
    fn check(from: &str, location: &str, expected: &str, is_cross_origin: bool, keeps_credentials: bool) {
        let redirect = follow(from, location).unwrap();
        assert_eq!(redirect.target.as_str(), expected, "{from} -> {location}");
        assert_eq!(redirect.is_cross_origin, is_cross_origin, "{from} -> {location}");
        assert_eq!(redirect.target.authorization().is_some(), keeps_credentials, "{from} -> {location}");
    }

    #[test]
    fn credentials_stay_within_their_origin() {
        let from = "wss://ana:secret@a.example/x/y?q";
        check(from, "/z", "wss://a.example/z", false, true);
        check(from, "z?r#part", "wss://a.example/x/z?r", false, true);
        check(from, "https://a.example:443/z", "wss://a.example/z", false, true);
        check(from, "//b.example/z", "wss://b.example/z", true, false);
        check(from, "wss://a.example:8443/z", "wss://a.example:8443/z", true, false);
        check(from, "wss://sub.a.example/z", "wss://sub.a.example/z", true, false);
        check("ws://ana:secret@a.example/", "https://a.example/", "wss://a.example/", true, false);
    }

    #[test]
    fn credentials_in_a_location_are_dropped() {
        check("wss://a.example/", "wss://eve:pw@b.example/", "wss://b.example/", true, false);
        check("wss://a.example/", "wss://eve:pw@a.example/", "wss://a.example/", false, false);
        let redirect = follow("wss://ana:secret@a.example/", "wss://eve:pw@a.example/").unwrap();
        assert_eq!(redirect.target.authorization().unwrap(), "Basic YW5hOnNlY3JldA==");
    }

    #[track_caller]
    fn check_refused(from: &str, location: &str, expected: &str) {
        let message = follow(from, location).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{from} -> {location}: {message}");
    }

    #[test]
    fn a_redirect_never_leads_out_of_tls_or_out_of_the_web() {
        check_refused("wss://ana:secret@a.example/?t=secret", "ws://a.example/", "unencrypted");
        check_refused("wss://a.example/", "http://a.example/", "unencrypted");
        check_refused("wss://a.example/", "ftp://a.example/", "`ftp` is not supported");
        check_refused("wss://a.example/", "javascript:alert(1)", "names no scheme");
        check_refused("wss://a.example/", "wss://a.example:22/", "blocked");
        check_refused("wss://a.example/", "wss://[::1", "IPv6");
    }

    #[test]
    fn one_usable_location_is_required() {
        let current = Target::parse("ws://a.example").unwrap();
        let policy = RedirectPolicy::limited(5);
        let mut headers = HeaderMap::new();
        assert!(policy.follow(&current, StatusCode::FOUND, &headers, 0).is_err());
        headers.append(LOCATION, HeaderValue::from_static("/x"));
        assert!(policy.follow(&current, StatusCode::FOUND, &headers, 0).is_ok());
        headers.append(LOCATION, HeaderValue::from_static("/y"));
        assert!(policy.follow(&current, StatusCode::FOUND, &headers, 0).is_err());
        assert!(follow("ws://a.example", "/\u{e9}").is_err());
    }

    #[test]
    fn no_more_redirects_are_followed_than_allowed_and_never_more_than_five() {
        let current = Target::parse("ws://a.example").unwrap();
        let mut headers = HeaderMap::new();
        headers.append(LOCATION, HeaderValue::from_static("/x"));
        for (policy, allowed) in [
            (RedirectPolicy::default(), 0),
            (RedirectPolicy::none(), 0),
            (RedirectPolicy::limited(1), 1),
            (RedirectPolicy::limited(4), 4),
            (RedirectPolicy::limited(5), 5),
            (RedirectPolicy::limited(6), 5),
            (RedirectPolicy::limited(255), 5),
        ] {
            for followed in 0..=6 {
                let result = policy.follow(&current, StatusCode::FOUND, &headers, followed);
                assert_eq!(result.is_ok(), followed < allowed, "{policy:?} after {followed}");
            }
        }
    }

    #[test]
    fn only_five_statuses_redirect() {
        for code in 100..=599 {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(
                RedirectPolicy::is_redirect(status),
                [301, 302, 303, 307, 308].contains(&code),
                "{code}"
            );
        }
    }

    #[test]
    fn headers_with_credentials_are_removed_across_origins_only() {
        let own = || {
            HeaderMap::from_iter([
                (AUTHORIZATION, HeaderValue::from_static("Bearer x")),
                (COOKIE, HeaderValue::from_static("a=b")),
                (PROXY_AUTHORIZATION, HeaderValue::from_static("Basic x")),
                (USER_AGENT, HeaderValue::from_static("me")),
            ])
        };
        let mut headers = own();
        follow("ws://a.example/", "/x").unwrap().strip_credentials(&mut headers);
        assert_eq!(headers, own());
        follow("ws://a.example/", "//b.example/x").unwrap().strip_credentials(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [USER_AGENT]);
    }
}
