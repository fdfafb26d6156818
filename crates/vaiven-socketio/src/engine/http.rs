//! Requests of an HTTP server to answers: the opening of a session, its polls, and upgrades to WebSocket.

use super::cors::Cors;
use super::head::{Asked, Head};
use super::{Engine, Opening, Rejection, Transport, polling};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use vaiven::server::{Acceptance, Place, ServerConfig, Upgrade, refusal_response, upgrade_with};

/// The body of an answer.
#[derive(Clone, Debug, Default)]
pub struct EngineBody(Full<Bytes>);

impl Body for EngineBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl From<EngineBody> for Full<Bytes> {
    fn from(body: EngineBody) -> Self {
        body.0
    }
}

impl From<String> for EngineBody {
    fn from(text: String) -> Self {
        Self(Full::from(text))
    }
}

impl Engine {
    /// Answers a request, whatever its path: polls, and WebSockets where the server serves connections with upgrades, as
    /// hyper's `with_upgrades()` does. A WebSocket is served by a task of its own.
    ///
    /// # Cancel safety
    /// A request that is dropped before it is answered is a client that went away: its session ends.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<EngineBody>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Send,
    {
        let (parts, body) = request.into_parts();
        let mut fields = HeaderMap::new();
        if let Some(cors) = &self.config().cors {
            let head = Head::of_parts(&parts);
            let is_allowed = cors.add_fields(&head, &mut fields);
            if parts.method == Method::OPTIONS {
                if is_allowed {
                    Cors::add_preflight_fields(&head, &mut fields);
                }
                let mut response = Response::new(EngineBody::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response.headers_mut().extend(fields);
                return response;
            }
        }
        let answered = self.answer(parts, body).await;
        let mut response = answered.unwrap_or_else(|rejection| rejected(&rejection));
        response.headers_mut().extend(fields);
        response
    }

    async fn answer<B>(&self, parts: Parts, body: B) -> Result<Response<EngineBody>, Rejection>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Send,
    {
        let head = Head::of_parts(&parts);
        match head.judge(self.config())? {
            Asked::Open(Transport::Polling) => self.open_polling(&head).await,
            Asked::Of(sid, Transport::Polling) => {
                let session = self.sessions.find(&sid)?;
                match parts.method {
                    Method::GET => polling::poll(session).await.map(text),
                    Method::POST => polling::post(session, &head, body).await.map(|()| text("ok".to_owned())),
                    _ => Err(Rejection::BAD_REQUEST),
                }
            }
            Asked::Open(Transport::WebSocket) | Asked::Of(_, Transport::WebSocket) => {
                let opening = self.open_websocket(&head).await?;
                Ok(self.upgrade(opening, parts))
            }
        }
    }

    async fn open_polling(&self, head: &Head<'_>) -> Result<Response<EngineBody>, Rejection> {
        let (handshake, headers) = self.sessions.admit(head).await?;
        let packet = self.config().open_packet(handshake.sid(), Transport::Polling);
        self.sessions.open_polling(handshake)?;
        let mut response = text(packet);
        response.headers_mut().extend(headers);
        Ok(response)
    }

    fn upgrade(&self, opening: Opening, parts: Parts) -> Response<EngineBody> {
        let place = parts.extensions.get::<Place>().cloned();
        let mut request = Request::from_parts(parts, ());
        // The settings of the listener, where it told them.
        let base = request.extensions().get::<Arc<ServerConfig>>().cloned().unwrap_or_default();
        let config = self.server_config(&base);
        let decide = |_: &Upgrade<'_>, acceptance: &mut Acceptance<'_>| {
            opening.accept(acceptance);
            Ok(())
        };
        let (response, upgrading) = match upgrade_with(&mut request, &config, decide) {
            Ok(accepted) => accepted,
            Err(refusal) => return refusal_response(&refusal),
        };
        tokio::spawn(async move {
            // A client that is gone by now is no news.
            let Ok(socket) = upgrading.await else { return };
            if let Some(place) = place {
                place.pass_to(&socket);
            }
            opening.run(socket).await;
        });
        response
    }
}

fn with_type(content_type: &'static str, body: String) -> Response<EngineBody> {
    let mut response = Response::new(EngineBody::from(body));
    let fields: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    response.headers_mut().extend(fields);
    response
}

fn text(body: String) -> Response<EngineBody> {
    with_type("text/plain; charset=UTF-8", body)
}

fn rejected(rejection: &Rejection) -> Response<EngineBody> {
    // Clients show the answer to their applications, which know that to a body that is too large as empty.
    let is_empty = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
    let body = if is_empty { String::new() } else { rejection.to_json() };
    let mut response = with_type("application/json", body);
    *response.status_mut() = rejection.status();
    response
}
