//! What is not a WebSocket: pages, health and metrics, by hyper. A later request of the same connection may still
//! ask for an upgrade.

use crate::app::App;
use crate::metrics::{self, RequestLabels};
use crate::pages::{CONTENT_SECURITY_POLICY, Page};
use crate::replay::Replay;
use crate::route::Route;
use crate::server::{Peer, log_refusal};
use crate::session::Plan;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use vaiven::server::{Refusal, Upgrade};
use vaiven::{Deflate, Role, WebSocket};
use vaiven_proto::handshake::{HttpVersion, Scheme};

type Answer = Response<Full<Bytes>>;

/// A year, as browsers ask for it.
const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Serves the requests of a connection, whose first head comes from the replay.
pub(crate) async fn serve(app: Arc<App>, stream: Replay, peer: Peer) {
    let limits = app.handshake.head_limits;
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(app.handshake.handshake_timeout)
        .max_headers(limits.max_fields)
        // hyper takes no less than 8 KiB.
        .max_buf_size(limits.max_bytes.max(8 << 10));
    let service = service_fn(move |request| {
        let answer = answer(&app, request, peer);
        async { Ok::<_, Infallible>(answer) }
    });
    // A client that breaks off is no news.
    let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

fn answer(app: &Arc<App>, request: Request<Incoming>, peer: Peer) -> Answer {
    let route = Route::of(request.uri().path());
    let pattern = route.as_ref().map_or("none", Route::pattern);
    let wants_websocket = request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
        || request.headers().get(header::UPGRADE).is_some();
    let mut answer = match route {
        Some(route) if route.is_websocket() => upgrade(app, request, &route, peer)
            .unwrap_or_else(|refusal| refused(app, &refusal, peer, pattern)),
        None if wants_websocket => refused(app, &Refusal::not_found(), peer, pattern),
        route => plain(app, &request, route.as_ref(), peer),
    };
    if peer.secure {
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
    let labels = RequestLabels { route: pattern, status: answer.status().as_u16() };
    app.metrics.requests.get_or_create(&labels).inc();
    answer
}

/// The answer to a request that is no upgrade.
fn plain(app: &App, request: &Request<Incoming>, route: Option<&Route>, peer: Peer) -> Answer {
    // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
    // message that lacks a Host header field and to any request message that contains more than one".
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return text(StatusCode::BAD_REQUEST, "The request must have one Host header.\n");
    }
    let Some(route) = route else {
        return text(StatusCode::NOT_FOUND, "Nothing is served at this path. The chat page is at /\n");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "Use the method GET.\n");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match route {
        Route::Page(page) => file(request, page),
        Route::Metrics => figures(app, request, peer),
        Route::Health | Route::Room(_) | Route::Echo => text(StatusCode::OK, "ok\n"),
    }
}

fn file(request: &Request<Incoming>, page: &Page) -> Answer {
    let tag = page.entity_tag();
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .to_str()
            .is_ok_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
    });
    let mut answer = if is_known {
        let mut answer = with_type(page.content_type, Bytes::new());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        with_type(page.content_type, Bytes::from_static(page.body))
    };
    let fields: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::ETAG, HeaderValue::try_from(tag).expect("a tag is hexadecimal")),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// The metrics, for whoever may see them.
fn figures(app: &App, request: &Request<Incoming>, peer: Peer) -> Answer {
    // Behind a proxy on the same machine everybody seems to be local.
    let is_forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if app.settings.metrics_from.admits(peer.address.ip(), is_forwarded) {
        return with_type(metrics::CONTENT_TYPE, Bytes::from(app.metrics.text()));
    }
    let why =
        "Metrics are for this machine only. To open them to every address, set metrics_from = \"anywhere\"\n";
    text(StatusCode::FORBIDDEN, why)
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = with_type("text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = status;
    answer
}

fn with_type(content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    answer.headers_mut().extend(fields);
    answer
}

/// A refused upgrade; its `Connection: close` makes hyper close behind it.
fn refused(app: &App, refusal: &Refusal, peer: Peer, pattern: &'static str) -> Answer {
    app.metrics.refused(refusal.status(), refusal.code());
    log_refusal(refusal, peer, pattern);
    let mut answer = Response::new(Full::new(Bytes::from(format!("{}\n", refusal.message()))));
    *answer.status_mut() = StatusCode::from_u16(refusal.status()).expect("a refusal is from 400 to 599");
    let fields = refusal.fields().map(|(name, value)| {
        let name = HeaderName::try_from(name).expect("the name of a refusal's field was checked");
        (name, HeaderValue::try_from(value).expect("the value of a refusal's field was checked"))
    });
    answer.headers_mut().extend(fields);
    answer
}

/// Accepts an upgrade: answers 101, and a task goes on with the connection.
fn upgrade(
    app: &Arc<App>,
    mut request: Request<Incoming>,
    route: &Route,
    peer: Peer,
) -> Result<Answer, Refusal> {
    let on_upgrade = hyper::upgrade::on(&mut request);
    let version = match request.version() {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Other,
    };
    let fields = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let fields: Vec<_> = fields.collect();
    let upgrade = Upgrade::check(request.method().as_str(), version, fields.iter().copied())?;
    let scheme = if peer.secure { Scheme::Https } else { Scheme::Http };
    let judged = app.handshake.origins.check(upgrade.origin(), upgrade.host(), scheme);
    judged.map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
    let plan = Plan::new(app, route)?;
    let mut acceptance = upgrade.accept();
    let mut deflate = None;
    if let Some(ours) = &app.handshake.deflate
        && let Some((params, answer)) = ours.accept(upgrade.extensions())
    {
        acceptance.extensions(answer).expect("it answers an offer");
        deflate = Some(Deflate { params, config: *ours });
    }
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = acceptance.fields().map(|(name, value)| {
        let name = HeaderName::try_from(name).expect("the name of an acceptance's field was checked");
        (name, HeaderValue::from_bytes(value).expect("the value of an acceptance's field was checked"))
    });
    answer.headers_mut().extend(fields);
    let config = app.handshake.connection.clone();
    tokio::spawn(async move {
        let Ok(upgraded) = on_upgrade.await else { return };
        let parts = upgraded.downcast::<TokioIo<Replay>>().expect("the connection was served over a Replay");
        let (transport, read_ahead) =
            (parts.io.into_inner().into_transport(), BytesMut::from(parts.read_buf));
        plan.run(WebSocket::from_transport(transport, Role::Server, read_ahead, deflate, &config)).await;
    });
    Ok(answer)
}
