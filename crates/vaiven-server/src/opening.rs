//! The opening handshake of a WebSocket: who asks, and what the connection is to do.

use crate::app::App;
use crate::auth::{Identity, MAX_TOKEN_BYTES};
use crate::protocol::SUBPROTOCOL;
use crate::route::Route;
use crate::server::Peer;
use crate::session::{Plan, refuse};
use http::{Request, Version};
use std::sync::Arc;
use vaiven::server::{Acceptance, HttpVersion, Refusal, Upgrade};

/// The parts of a request, whoever parsed it.
#[derive(Clone, Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) method: &'a str,
    pub(crate) version: HttpVersion,
    pub(crate) fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Opening<'a> {
    /// Those of a request that hyper parsed.
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        let version = match request.version() {
            Version::HTTP_10 => HttpVersion::Http10,
            Version::HTTP_11 => HttpVersion::Http11,
            _ => HttpVersion::Other,
        };
        let fields =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        Self { method: request.method().as_str(), version, fields }
    }

    /// What the connection is to do, or why there can be none. Nothing is reserved, and nobody is asked, for a request
    /// that breaks a rule.
    pub(crate) async fn plan(&self, app: &Arc<App>, route: &Route, peer: Peer) -> Result<Plan, Refusal> {
        app.check_room()?;
        if *route == Route::Echo {
            return Plan::new(app, route, None, Some(peer.ip)).await;
        }
        let upgrade = Upgrade::check(self.method, self.version, self.fields.iter().copied())?;
        app.config.check_host(upgrade.host(), peer.scheme, Some(app.settings.listen.ip()))?;
        let judged = app.config.origins.check(upgrade.origin(), upgrade.host(), peer.scheme);
        judged.map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
        let identity = self.identify(app, upgrade.origin()).await?;
        Plan::new(app, route, identity, Some(peer.ip)).await
    }

    /// Whether the page that asks, if it is one, may: by the host that it names and its origin. For requests that need not
    /// be opening handshakes.
    pub(crate) fn check_page(&self, app: &App, peer: Peer) -> Result<(), Refusal> {
        let host = self.field("host").unwrap_or_default();
        app.config.check_host(host, peer.scheme, Some(app.settings.listen.ip()))?;
        let judged = app.config.origins.check(self.field("origin"), host, peer.scheme);
        judged.map_err(|refusal| Refusal::forbidden_origin(&refusal))
    }

    /// The value of a field, where it is text.
    fn field(&self, name: &str) -> Option<&'a str> {
        let value = self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?.1;
        std::str::from_utf8(value).ok()
    }

    /// Who shows a token in a header.
    pub(crate) async fn identify(
        &self,
        app: &App,
        origin: Option<&str>,
    ) -> Result<Option<Identity>, Refusal> {
        let bearer = self.field("authorization").and_then(bearer);
        let by_cookie = || cookie(self.field("cookie")?, app.settings.token_cookie.as_deref()?);
        let token = match (bearer, by_cookie()) {
            // A browser sends cookies with the requests of every page: only the origin says that this one may.
            (None, Some(_)) if origin.is_none_or(|origin| origin == "null") => {
                let message = "A token in a cookie counts only from an allowed Origin.";
                return Err(Refusal::new(403, "origin", message));
            }
            (Some(token), _) | (None, Some(token)) => token,
            (None, None) => return Ok(None),
        };
        check_length(token)?;
        app.auth.identify(Some(token)).await.map(Some).map_err(|error| refuse(&error))
    }
}

/// What is added to the answer.
pub(crate) fn accept(route: &Route, upgrade: &Upgrade<'_>, acceptance: &mut Acceptance<'_>) {
    if *route == Route::V1 && upgrade.subprotocols().contains(&SUBPROTOCOL) {
        acceptance.subprotocol(SUBPROTOCOL).expect("it is one of the offered");
    }
}

/// Refuses a token that is too long to be one.
pub(crate) fn check_length(token: &str) -> Result<(), Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::new(431, "token_length", "The token is longer than 8 KiB."));
    }
    Ok(())
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie (RFC 6265 section 4.2.1).
fn cookie<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(other, _)| *other == name).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_in_headers() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("bearer  a "), Some("a"));
        assert_eq!(bearer("Basic a"), None);
        assert_eq!(bearer("Bearer"), None);
        assert_eq!(cookie("a=1; token=x.y; b=2", "token"), Some("x.y"));
        assert_eq!(cookie("mytoken=1", "token"), None);
        assert_eq!(cookie("token=\"x\"", "token"), Some("x"));
        assert_eq!(cookie("", "token"), None);
    }
}
