//! The operator's backend, asked over HTTP: who a client is, and whether it may subscribe or publish.
//!
//! It gets a POST with `{"type":"connect","token":…}`, or with
//! `{"type":"subscribe"|"publish","client":…,"user":…,"channel":…}`. With 200 it says yes; its answer to `connect` may be
//! an object with `user`, `info`, `expires` (seconds from now) and `channels`. With 401 it says that the token is bad,
//! with 403 no. Anything else is no answer.

use super::grants::Grants;
use super::{AuthError, Identity};
use crate::environment::WallClock;
use crate::fetch::Fetcher;
use crate::protocol::reply::to_json;
use crate::traces;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::Instrument;
use url::Url;

/// The most questions at a time; who comes later waits for its turn, within the timeout.
const MAX_QUESTIONS: usize = 64;
/// The longest answer.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What a client does in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Subscribe,
    Publish,
}

pub(super) struct Backend {
    url: Url,
    fetcher: Fetcher,
    turns: Semaphore,
    timeout: Duration,
    clock: WallClock,
}

#[derive(Serialize)]
struct ConnectQuestion<'a> {
    r#type: &'static str,
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct ChannelQuestion<'a> {
    r#type: Action,
    client: &'a str,
    user: Option<&'a str>,
    channel: &'a str,
}

#[derive(Default, Deserialize)]
struct ConnectAnswer {
    user: Option<String>,
    info: Option<Box<RawValue>>,
    expires: Option<u32>,
    #[serde(default)]
    channels: Grants,
}

impl Backend {
    pub(super) fn new(url: Url, timeout: Duration, clock: WallClock) -> Self {
        let fetcher = Fetcher::new(timeout, MAX_ANSWER_BYTES);
        Self { url, fetcher, turns: Semaphore::new(MAX_QUESTIONS), timeout, clock }
    }

    /// Who a client is.
    pub(super) async fn connect(&self, token: Option<&str>) -> Result<Identity, AuthError> {
        let body = self.ask(to_json(&ConnectQuestion { r#type: "connect", token })).await?;
        let answer: ConnectAnswer = if body.trim_ascii().is_empty() {
            ConnectAnswer::default()
        } else {
            serde_json::from_slice(&body).map_err(|error| {
                tracing::warn!(%error, "auth_url answers with something else than is understood");
                AuthError::Unavailable
            })?
        };
        let ConnectAnswer { user, info, expires, channels } = answer;
        let now = self.clock.now().as_secs();
        Ok(Identity {
            user: user.filter(|user| !user.is_empty()).map(Arc::from),
            info: info.map(Arc::from),
            token_id: None,
            issued_at: Some(now),
            expires_at: expires.map(|expires| now + u64::from(expires)),
            is_known: true,
            grants: channels,
        })
    }

    /// Whether a client may do something in a channel.
    pub(super) async fn authorize(
        &self,
        action: Action,
        channel: &str,
        identity: &Identity,
        client: &str,
    ) -> Result<(), AuthError> {
        let question = ChannelQuestion { r#type: action, client, user: identity.user.as_deref(), channel };
        self.ask(to_json(&question)).await.map(drop)
    }

    async fn ask(&self, question: String) -> Result<bytes::Bytes, AuthError> {
        let asked = async {
            let _turn = self.turns.acquire().await;
            self.fetcher.post(&self.url, question).instrument(traces::ask_backend()).await
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(answer)) => match answer.status {
                200..=299 => Ok(answer.body),
                401 => Err(AuthError::Unauthorized("the token is none that this server takes")),
                403 => Err(AuthError::Forbidden),
                status => {
                    tracing::warn!(status, "auth_url gives no answer");
                    Err(AuthError::Unavailable)
                }
            },
            Ok(Err(error)) => {
                tracing::warn!(%error, "auth_url cannot be asked");
                Err(AuthError::Unavailable)
            }
            Err(_) => {
                tracing::warn!("auth_url does not answer in time");
                Err(AuthError::Unavailable)
            }
        }
    }
}
