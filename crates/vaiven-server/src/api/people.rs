//! Clients through the HTTP API: who is connected, send away, revoke; and what the server is.

use super::body::{parse, read};
use super::query::Parameters;
use super::{ApiError, Result, json};
use crate::app::App;
use crate::http::Answer;
use crate::session::{Farewell, SENT_AWAY, SessionInfo, Which};
use http::Request;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vaiven::CloseCode;

/// The most clients that are listed at once.
const MAX_CLIENTS: usize = 1000;
/// How long a revocation is remembered where nothing else is said: a day, as no token should hold longer.
const REMEMBERED: u32 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisconnectRequest {
    client: Option<String>,
    user: Option<String>,
    /// Whether it may come back at once; otherwise it is told to stay away.
    #[serde(default)]
    reconnect: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    user: Option<String>,
    token_id: Option<String>,
    /// Seconds, as long as such tokens hold.
    seconds: Option<u32>,
}

#[derive(Serialize)]
struct SentAway {
    disconnected: usize,
}

#[derive(Serialize)]
struct Clients<'a> {
    count: usize,
    clients: Vec<ClientInfo<'a>>,
}

#[derive(Serialize)]
struct ClientInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    route: &'static str,
    channels: usize,
    seconds: u64,
}

#[derive(Serialize)]
struct Info {
    version: &'static str,
    connections: usize,
    clients: usize,
    channels: u64,
    subscriptions: u64,
    publications: u64,
    deliveries: u64,
}

pub(super) fn list<B>(app: &App, request: &Request<B>) -> Result<Answer> {
    let limit = Parameters::of(request, &["limit"])?.limit(MAX_CLIENTS)?;
    let listed = app.sessions.list(limit);
    let clients = listed.iter().map(|info: &SessionInfo| ClientInfo {
        client: info.client.as_deref(),
        user: info.user.as_deref(),
        route: info.route,
        channels: info.channels.len(),
        seconds: info.since.elapsed().as_secs(),
    });
    Ok(json(&Clients { count: app.sessions.len(), clients: clients.collect() }))
}

pub(super) async fn disconnect(app: &App, request: Request<Incoming>) -> Result<Answer> {
    let body = read(app, request).await?;
    let DisconnectRequest { client, user, reconnect } = parse(&body)?;
    let which = match (&client, &user) {
        (Some(client), None) => Which::Client(client),
        (None, Some(user)) => Which::User(user),
        _ => return Err(ApiError::bad_request("either `client` or `user` is needed")),
    };
    let farewell = if reconnect {
        let retry = Some(crate::session::retry_after(Duration::from_secs(1)));
        Farewell { code: CloseCode::RESTART, reason: "asked to come back", retry }
    } else {
        SENT_AWAY
    };
    Ok(json(&SentAway { disconnected: app.sessions.send_away(&which, &farewell) }))
}

pub(super) async fn revoke(app: &App, request: Request<Incoming>) -> Result<Answer> {
    let body = read(app, request).await?;
    let RevokeRequest { user, token_id, seconds } = parse(&body)?;
    let remember = Duration::from_secs(seconds.unwrap_or(REMEMBERED).into());
    let which = match (&user, &token_id) {
        (Some(user), None) => {
            app.auth.revocations.revoke_user(user, remember);
            Which::User(user)
        }
        (None, Some(id)) => {
            app.auth.revocations.revoke_token(id, remember);
            Which::Token(id)
        }
        _ => return Err(ApiError::bad_request("either `user` or `token_id` is needed")),
    };
    let farewell = Farewell { code: CloseCode::new(3000), reason: "the token was revoked", retry: None };
    Ok(json(&SentAway { disconnected: app.sessions.send_away(&which, &farewell) }))
}

pub(super) fn info(app: &App) -> Answer {
    let figures = app.hub.figures();
    json(&Info {
        version: env!("CARGO_PKG_VERSION"),
        connections: app.handle.counts().connections,
        clients: app.sessions.len(),
        channels: figures.channels,
        subscriptions: figures.subscribers,
        publications: figures.publications,
        deliveries: figures.deliveries,
    })
}
