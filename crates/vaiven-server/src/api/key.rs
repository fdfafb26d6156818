//! Keys of the HTTP API: a header that is compared in the same time whatever it holds.

use super::ApiError;
use crate::opening::bearer;
use crate::settings::Secret;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use ring::hmac;
use std::fmt;

/// The keys that let a request in. What is kept of each is its hash under a key of this run, whose comparison says
/// nothing about how much of it was right.
pub(crate) struct ApiKeys {
    hash: hmac::Key,
    tags: Vec<hmac::Tag>,
}

impl ApiKeys {
    pub(crate) fn new(keys: &[Secret]) -> Self {
        let hash = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        let tags = keys.iter().map(|key| hmac::sign(&hash, key.0.as_bytes())).collect();
        Self { hash, tags }
    }

    /// Lets in a request with one of the keys, in `Authorization: Bearer` or in `X-API-Key`. A key in the URL counts
    /// for nothing, since URLs are logged.
    ///
    /// # Errors
    /// The answer to any other.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let shown = text("x-api-key").or_else(|| text(AUTHORIZATION.as_str()).and_then(bearer));
        let is_right = |tag: &hmac::Tag| {
            shown.is_some_and(|key| hmac::verify(&self.hash, key.as_bytes(), tag.as_ref()).is_ok())
        };
        // All of them are compared, so that the time does not say which one it was either.
        if self.tags.iter().filter(|tag| is_right(tag)).count() > 0 {
            return Ok(());
        }
        let why = if self.tags.is_empty() {
            "the HTTP API is closed: set api_keys to open it"
        } else {
            "a key is needed: Authorization: Bearer, or X-API-Key"
        };
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", why).with(WWW_AUTHENTICATE, "Bearer"))
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("count", &self.tags.len()).finish_non_exhaustive()
    }
}
