//! Who a client is and what it may do: a token, or the word of the operator's backend, to an [`Identity`].
//!
//! In the order that data flows: a [`token`] is checked with the [`keys`] of the configuration or of a [`jwks`], by
//! the [`crypto`] that TLS uses too; the [`backend`] is asked over HTTP; [`grants`] are the patterns of channels that
//! either of them lists; a [`revocation`] ends what was granted.

mod backend;
mod crypto;
mod grants;
mod jwks;
mod keys;
mod revocation;
mod token;

pub(crate) use backend::Action;
pub(crate) use keys::read_public_key;

use crate::environment::WallClock;
use crate::settings::{Access, Anonymous, Settings};
use backend::Backend;
use bytes::Bytes;
use grants::Grants;
use revocation::Revocations;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use token::Tokens;

/// The longest token.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 << 10;

/// Who a client is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// The user, where the token or the backend names one.
    pub(crate) user: Option<Arc<str>>,
    /// What others may know about it: one JSON value.
    pub(crate) info: Option<Arc<RawValue>>,
    /// The token's own name, by which it can be revoked.
    pub(crate) token_id: Option<Arc<str>>,
    /// When it was issued, in seconds since 1970.
    pub(crate) issued_at: Option<u64>,
    /// When it ends, in seconds since 1970.
    pub(crate) expires_at: Option<u64>,
    /// It was shown by a token or vouched for by the backend.
    pub(crate) is_known: bool,
    /// The channels that it lists.
    grants: Grants,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// There is no token, or it is bad or has ended.
    Unauthorized(&'static str),
    /// It is a good one, and its bearer may not.
    Forbidden,
    /// It cannot be judged for now.
    Unavailable,
}

/// What decides about clients.
pub(crate) struct Auth {
    tokens: Option<Tokens>,
    backend: Option<Backend>,
    allows_anonymous: bool,
    pub(crate) revocations: Revocations,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("allows_anonymous", &self.allows_anonymous).finish_non_exhaustive()
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized(why) => f.write_str(why),
            Self::Forbidden => f.write_str("this user may not"),
            Self::Unavailable => f.write_str("tokens cannot be checked for now"),
        }
    }
}

impl Auth {
    /// What the settings ask for.
    ///
    /// # Errors
    /// A public key that cannot be read.
    pub(crate) fn new(settings: &Settings, clock: WallClock) -> Result<Self, String> {
        let backend = settings.auth_url.clone().map(|url| Backend::new(url, settings.auth_timeout, clock));
        let tokens = Tokens::new(settings, clock)?;
        let allows_anonymous = match settings.anonymous {
            Anonymous::Allowed => true,
            Anonymous::Refused => false,
            Anonymous::Auto => tokens.is_none() && backend.is_none(),
        };
        Ok(Self { tokens, backend, allows_anonymous, revocations: Revocations::new(clock) })
    }

    /// Whether a client that shows no token is let in.
    pub(crate) fn allows_anonymous(&self) -> bool {
        self.allows_anonymous
    }

    /// Fetches what may be needed soon.
    pub(crate) async fn prepare(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.prepare().await;
        }
    }

    /// Who shows this token, or none.
    ///
    /// # Errors
    /// [`AuthError`].
    pub(crate) async fn identify(&self, token: Option<&str>) -> Result<Identity, AuthError> {
        let identity = match (token, &self.tokens, &self.backend) {
            (None, _, _) if self.allows_anonymous => Identity::default(),
            (None, _, None) => return Err(AuthError::Unauthorized("a token is needed")),
            (Some(token), Some(tokens), _) => tokens.check(token).await?,
            (token, _, Some(backend)) => backend.connect(token).await?,
            // Nobody can say whether it is good; nor does anything depend on it.
            (Some(_), None, None) => Identity::default(),
        };
        if self.revocations.is_revoked(&identity) {
            return Err(AuthError::Unauthorized("the token was revoked"));
        }
        Ok(identity)
    }

    /// Whether somebody may do something in a channel whose rule is known.
    ///
    /// # Errors
    /// [`AuthError`].
    pub(crate) async fn authorize(
        &self,
        access: Access,
        action: Action,
        channel: &str,
        identity: &Identity,
        client: &str,
    ) -> Result<(), AuthError> {
        match decide(access, action, channel, identity) {
            Decision::Yes => Ok(()),
            Decision::No(error) => Err(error),
            Decision::AskBackend => match &self.backend {
                Some(backend) => backend.authorize(action, channel, identity, client).await,
                None => Err(AuthError::Unavailable),
            },
        }
    }
}

/// What a rule says by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Yes,
    No(AuthError),
    AskBackend,
}

/// What a rule says about somebody, without asking anyone.
pub(crate) fn decide(access: Access, action: Action, channel: &str, identity: &Identity) -> Decision {
    let known = |may: bool| match (may, identity.is_known) {
        (true, _) => Decision::Yes,
        (false, true) => Decision::No(AuthError::Forbidden),
        (false, false) => Decision::No(AuthError::Unauthorized("this channel needs a token")),
    };
    match access {
        Access::Anyone => Decision::Yes,
        Access::Users => known(identity.is_known),
        Access::Listed => known(identity.grants.lists(action, channel)),
        Access::Backend => Decision::AskBackend,
        Access::Nobody => Decision::No(AuthError::Forbidden),
    }
}

impl Identity {
    /// What others may know about it, as JSON.
    pub(crate) fn info_json(&self) -> Option<Bytes> {
        self.info.as_ref().map(|info| Bytes::copy_from_slice(info.get().as_bytes()))
    }

    /// How long it still holds, by this clock.
    pub(crate) fn remaining(&self, clock: WallClock) -> Option<Duration> {
        Some(Duration::from_secs(self.expires_at?).saturating_sub(clock.now()))
    }
}
