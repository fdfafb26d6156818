//! Cross-origin requests: which foreign pages may connect, and what browsers are told about it (Fetch, section 3.2).

use super::Head;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use vaiven::server::{Origin, OriginPolicy};

/// A day, the longest time for which browsers remember the answer to a preflight request.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
const METHODS: HeaderValue = HeaderValue::from_static("GET,POST");

/// Foreign origins whose pages may connect, besides those of the same origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    policy: OriginPolicy,
    /// Whether browsers send cookies along.
    credentials: bool,
}

impl Cors {
    /// Pages of these origins. Their cookies are sent only with [`allow_credentials`](Self::allow_credentials).
    pub fn list(origins: impl IntoIterator<Item = Origin>) -> Self {
        let same_origin = OriginPolicy::same_origin().allow_absent();
        let policy = origins.into_iter().fold(same_origin, OriginPolicy::allow);
        Self { policy, credentials: false }
    }

    /// Every page. Right where a session proves who it is by a token, and not by a cookie.
    pub fn any() -> Self {
        Self { policy: OriginPolicy::any(), credentials: false }
    }

    /// Lets the pages send their cookies with requests.
    pub fn allow_credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    pub(super) fn policy(&self) -> OriginPolicy {
        self.policy.clone()
    }

    /// Tells a browser that the page may read the answer. Only for an origin that the policy allows:
    /// `false` where it may not.
    pub(super) fn add_fields(&self, head: &Head<'_>, headers: &mut HeaderMap) -> bool {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = head.field("origin") else { return false };
        let allowed = self.policy.check(Some(origin), head.host(), head.scheme).is_ok();
        let Some(origin) = HeaderValue::from_str(origin).ok().filter(|_| allowed) else { return false };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }

    /// Answers the question that a browser asks before a request.
    pub(super) fn add_preflight_fields(head: &Head<'_>, headers: &mut HeaderMap) {
        let mut fields: Vec<(HeaderName, HeaderValue)> =
            vec![(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS), (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)];
        let asked = head.field("access-control-request-headers");
        if let Some(asked) = asked.and_then(|asked| HeaderValue::from_str(asked).ok()) {
            fields.push((header::ACCESS_CONTROL_ALLOW_HEADERS, asked));
        }
        headers.extend(fields);
    }
}
