//! axum: an extractor that becomes a [`WebSocket`].

use super::upgrade::{answer_parts, check, refusal_response, take_upgrade};
use super::{Acceptance, Refusal, ServerConfig, Upgrade};
use crate::WebSocket;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

/// Extracts a request for a WebSocket; any other request is answered with what is wrong with it.
///
/// ```
/// use axum::{Router, response::Response, routing::any};
/// use vaiven::server::axum::WebSocketUpgrade;
///
/// async fn echo(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(async |mut socket| {
///         while let Ok(Some(message)) = socket.recv().await {
///             if socket.send(message).await.is_err() {
///                 break;
///             }
///         }
///     })
/// }
///
/// let router: Router = Router::new().route("/echo", any(echo));
/// # let _ = router;
/// ```
#[derive(Debug)]
#[must_use = "the request is answered by `on_upgrade`"]
pub struct WebSocketUpgrade {
    method: Method,
    version: Version,
    headers: HeaderMap,
    on_upgrade: Option<OnUpgrade>,
    config: Arc<ServerConfig>,
}

impl WebSocketUpgrade {
    /// Settings other than the defaults: limits, origins, subprotocols, compression. Those of a listener are not
    /// read.
    pub fn config(mut self, config: impl Into<Arc<ServerConfig>>) -> Self {
        self.config = config.into();
        self
    }

    /// Answers the request, and runs `callback` with the connection in a task of its own. Where the Origin is not
    /// allowed, the answer is the refusal. `callback` is not called when the client is gone before it has the answer.
    pub fn on_upgrade<C, F>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.on_upgrade_with(|_, _| Ok(()), callback)
    }

    /// As [`on_upgrade`](Self::on_upgrade), after `decide` has seen the request, added header fields to the answer or
    /// refused it.
    pub fn on_upgrade_with<C, F>(
        self,
        decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
        callback: C,
    ) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { method, version, headers, on_upgrade, config } = self;
        match answer_parts(&method, version, &headers, on_upgrade, &config, decide) {
            Ok((response, socket)) => {
                tokio::spawn(async move {
                    if let Ok(socket) = socket.await {
                        callback(socket).await;
                    }
                });
                response
            }
            Err(refusal) => Rejection(refusal).into_response(),
        }
    }
}

/// A request is none for a WebSocket.
#[derive(Clone, Debug)]
pub struct Rejection(pub Refusal);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        refusal_response(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        check(&parts.method, parts.version, &parts.headers).map_err(Rejection)?;
        Ok(Self {
            method: parts.method.clone(),
            version: parts.version,
            headers: parts.headers.clone(),
            on_upgrade: take_upgrade(&mut parts.extensions),
            config: Arc::default(),
        })
    }
}
