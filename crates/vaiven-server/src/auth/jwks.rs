//! The public keys of an issuer (RFC 7517), fetched when they are needed and no more than once a minute.

use super::AuthError;
use super::keys::{self, Key};
use crate::fetch::Fetcher;
use jsonwebtoken::Algorithm;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// The least time between two fetches, whatever tokens name.
const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// After this time keys are fetched again, so that one that was withdrawn counts no longer.
const MAX_AGE: Duration = Duration::from_hours(1);
/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest JWKS.
const MAX_BYTES: usize = 256 << 10;

/// Keys at a URL.
pub(super) struct Jwks {
    url: Url,
    fetcher: Fetcher,
    keys: RwLock<Arc<[Key]>>,
    /// When the last fetch began. Held while one is under way, so that there is never a second beside it.
    fetched: Mutex<Option<Instant>>,
}

impl Jwks {
    pub(super) fn new(url: Url) -> Self {
        let keys = RwLock::new(Arc::from(Vec::new()));
        Self { url, fetcher: Fetcher::new(TIMEOUT, MAX_BYTES), keys, fetched: Mutex::new(None) }
    }

    /// Fetches the keys for the first time.
    pub(super) async fn prepare(&self) {
        self.refresh().await;
    }

    /// The keys that a token of this header may be signed with.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<Key>, AuthError> {
        let found = self.known(id, algorithm);
        if !found.is_empty() && !self.is_old().await {
            return Ok(found);
        }
        self.refresh().await;
        if self.current().is_empty() {
            // The issuer cannot be reached: that says nothing about the token.
            return Err(AuthError::Unavailable);
        }
        Ok(self.known(id, algorithm))
    }

    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Key> {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        self.current().iter().filter(named).filter(|key| key.checks(algorithm)).cloned().collect()
    }

    fn current(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn is_old(&self) -> bool {
        self.fetched.lock().await.is_none_or(|fetched| fetched.elapsed() > MAX_AGE)
    }

    async fn refresh(&self) {
        let mut fetched = self.fetched.lock().await;
        if fetched.is_some_and(|fetched| fetched.elapsed() < MIN_INTERVAL) {
            return;
        }
        *fetched = Some(Instant::now());
        let answer = self.fetcher.get(&self.url).await;
        let keys = answer
            .ok()
            .filter(|answer| answer.status == 200)
            .and_then(|answer| keys::from_jwks(&answer.body));
        match keys {
            Some(keys) => {
                tracing::debug!(keys = keys.len(), "the keys of tokens were fetched");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
            }
            None => {
                tracing::warn!(url = %self.url, "token_jwks_url gives no keys; those that are known stay");
            }
        }
    }
}
