//! `vaiven.v1.json` without WebSockets: a response of Server-Sent Events for what the server says, requests for what the
//! client does. The session behind them is the same.

use crate::api::ApiError;
use crate::api::body::{self, MAX_BODY_BYTES};
use crate::app::App;
use crate::auth::{AuthError, Identity};
use crate::events::{EventBody, EventQueue};
use crate::http::{Answer, with_type};
use crate::identity::random_secret;
use crate::opening::Opening;
use crate::server::Peer;
use crate::session::{refuse, run_stream};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use url::form_urlencoded;
use vaiven::server::{Refusal, Scheme, refusal_response};
use vaiven::{Error, Message};

/// Messages of one request.
const MAX_MESSAGES: usize = 100;
/// Messages that may wait for a session. A request waits while there is no room.
const INLET_MESSAGES: usize = 128;
/// How long it waits.
const INLET_TIMEOUT: Duration = Duration::from_secs(30);
/// In which a client names its stream.
const STREAM: HeaderName = HeaderName::from_static("vaiven-stream");
/// In which a client names its session.
const SESSION: HeaderName = HeaderName::from_static("vaiven-session");
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// The streams that are open, by their secrets.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<String, mpsc::Sender<Message>>>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Message>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open. Dropped with its response, it is forgotten, and its session ends.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    secret: String,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.lock().remove(&self.secret);
    }
}

/// What a client sends, by requests.
struct Inlet(mpsc::Receiver<Message>);

impl Stream for Inlet {
    type Item = Result<Message, Error>;

    /// The end is that of a connection that was lost: a client has no way to close it on purpose.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|message| Some(message.ok_or(Error::Closing)))
    }
}

/// Answers a request for a stream, or one that brings messages.
pub(crate) async fn answer(app: &Arc<App>, request: Request<Incoming>, peer: Peer) -> Answer {
    let allowed = match allowed_origin(app, request.headers(), peer.scheme) {
        Ok(allowed) => allowed,
        Err(refusal) => return refused(app, &refusal),
    };
    let is_stream = request.uri().path() == "/v1/events";
    let method = if is_stream { Method::GET } else { Method::POST };
    let mut answer = if request.method() == Method::OPTIONS {
        preflight()
    } else if *request.method() != method {
        let why = format!("use the method {method}");
        let allow = if is_stream { "GET, OPTIONS" } else { "POST, OPTIONS" };
        let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why);
        error.with(header::ALLOW, allow).to_answer()
    } else if is_stream {
        open(app, &request, peer.ip).await.unwrap_or_else(|refusal| refused(app, &refusal))
    } else {
        match take(app, request).await {
            Ok(()) => {
                let mut answer = with_type("application/json", Bytes::new());
                *answer.status_mut() = StatusCode::ACCEPTED;
                answer
            }
            Err(error) => error.to_answer(),
        }
    };
    if let Some(origin) = allowed {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

fn refused(app: &App, refusal: &Refusal) -> Answer {
    app.metrics.refused(refusal.status(), refusal.code());
    let mut answer = refusal_response(refusal).map(Either::Left);
    answer.headers_mut().remove(header::CONNECTION);
    answer
}

/// The origin of the page that asks, which is told that it may, by the rules of WebSockets.
fn allowed_origin(app: &App, headers: &HeaderMap, scheme: Scheme) -> Result<Option<HeaderValue>, Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let host = headers.get(header::HOST).map(text).unwrap_or_default();
    let judged = app.config.origins.check(Some(&text(origin)), &host, scheme);
    judged.map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
    Ok(Some(origin.clone()))
}

/// What a browser asks before it lets a page of another origin send its header fields.
fn preflight() -> Answer {
    let mut answer = with_type("text/plain; charset=utf-8", Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Last-Event-ID, Vaiven-Session, Vaiven-Stream",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    answer.headers_mut().extend(fields.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}

/// Opens a stream, whose session is a task of its own.
async fn open<B>(app: &Arc<App>, request: &Request<B>, address: IpAddr) -> Result<Answer, Refusal> {
    app.check_room()?;
    let first = first_messages(request)?;
    let identity = identify(app, request).await?;
    let (sender, inlet) = mpsc::channel(INLET_MESSAGES);
    let secret = random_secret();
    let names_positions = first.len() > 1;
    for message in first {
        let queued = sender.try_send(Message::text(message.to_string()));
        debug_assert!(queued.is_ok(), "an empty inlet has room");
    }
    app.streams.lock().insert(secret.clone(), sender);
    let open = OpenStream { streams: Arc::clone(&app.streams), secret: secret.clone() };
    let queue = EventQueue::new(secret, app.settings.outbox_bytes, names_positions);
    let body = EventBody::new(Arc::clone(&queue), open);
    let session_app = Arc::clone(app);
    tokio::spawn(async move {
        run_stream(&session_app, &mut Inlet(inlet), queue, identity, address).await;
    });
    Ok(with_events(body))
}

/// The answer whose body these events are.
pub(crate) fn with_events(body: EventBody) -> Answer {
    let mut answer = Response::new(Either::Right(body));
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // nginx would hold events back until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    answer.headers_mut().extend(fields);
    answer
}

/// Who asks, where it may connect.
async fn identify<B>(app: &App, request: &Request<B>) -> Result<Identity, Refusal> {
    let opening = Opening::of(request);
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    match opening.identify(app, origin).await? {
        Some(identity) => Ok(identity),
        None => app.auth.identify(None).await.map_err(|error: AuthError| refuse(&error)),
    }
}

/// What a client says by its request: who it is, and the one channel that it wants to read.
fn first_messages<B>(request: &Request<B>) -> Result<Vec<Value>, Refusal> {
    let bad = |why: &'static str| Refusal::new(400, "bad_request", why);
    let session = request.headers().get(SESSION).and_then(|session| session.to_str().ok());
    let is_secret = crate::protocol::command::is_session;
    if session.is_some_and(|session| !is_secret(session)) {
        return Err(bad("Vaiven-Session must be 16 to 64 characters of A-Z a-z 0-9 - _"));
    }
    let mut messages = vec![json!({"type": "connect", "session": session})];
    let (mut channel, mut last) = (None, None);
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        match &*name {
            "channel" if channel.is_none() => channel = Some(value.into_owned()),
            "last" if last.is_none() => {
                last = Some(value.parse::<u32>().map_err(|_| bad("`last` must be a whole number"))?);
            }
            _ => return Err(bad("only `channel` and `last` can be asked for here, once each")),
        }
    }
    let Some(channel) = channel else { return Ok(messages) };
    let seen = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.rsplit_once(':'));
    let since =
        seen.and_then(|(epoch, offset)| Some(json!({"epoch": epoch, "offset": offset.parse::<u64>().ok()?})));
    messages.push(json!({"type": "subscribe", "channel": channel, "last": last, "since": since}));
    Ok(messages)
}

/// Takes the messages of a client.
async fn take(app: &App, request: Request<Incoming>) -> Result<(), ApiError> {
    let named = request.headers().get(STREAM).and_then(|name| name.to_str().ok());
    let inlet = named.and_then(|name| app.streams.lock().get(name).cloned());
    let gone =
        || ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such stream: begin a new one");
    let inlet = inlet.ok_or_else(gone)?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_binary = content_type.is_some_and(|value| value == "application/octet-stream");
    let messages = if is_binary {
        vec![Message::binary(body::read_bytes(app, request, MAX_BODY_BYTES).await?)]
    } else {
        texts(&body::read(app, request).await?)?
    };
    let longest = app.settings.max_message_bytes;
    if messages.iter().any(|message| message.len() > longest) {
        let message = format!("a message is at most {longest} bytes long");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    for message in messages {
        match tokio::time::timeout(INLET_TIMEOUT, inlet.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(gone()),
            Err(_) => {
                let message = "the stream takes nothing: its client does not read";
                return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message));
            }
        }
    }
    Ok(())
}

/// One message, or a list of them.
fn texts(body: &[u8]) -> Result<Vec<Message>, ApiError> {
    let bad = |error: serde_json::Error| ApiError::bad_request(error.to_string());
    let list: Vec<&RawValue> = if body.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice(body).map_err(bad)?
    } else {
        vec![serde_json::from_slice(body).map_err(bad)?]
    };
    if list.len() > MAX_MESSAGES {
        let message = format!("at most {MAX_MESSAGES} messages at once");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    Ok(list.into_iter().map(|message| Message::text(message.get())).collect())
}
