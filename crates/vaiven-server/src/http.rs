//! What is not a WebSocket: pages, health and metrics, by hyper. A later request of the same connection may still
//! ask for an upgrade.

use crate::admin;
use crate::api;
use crate::app::App;
use crate::drain::Stage;
use crate::events::EventBody;
use crate::metrics::{self, RequestLabels};
use crate::opening::{Opening, accept};
use crate::pages::{CONTENT_SECURITY_POLICY, entity_tag};
use crate::route::Route;
use crate::server::{Peer, log_refusal};
use crate::{stream, traces};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use vaiven::server::{
    Acceptance, HandshakeParts, Place, Refusal, Replay, Scheme, Upgrade, refusal_response, upgrade_with,
};
use vaiven_demos::File;

/// The longest time that hyper is told to wait for a request.
const MAX_READ_TIMEOUT: Duration = Duration::from_hours(24);

pub(crate) type Answer = Response<Either<Full<Bytes>, EventBody>>;

/// A year, as browsers ask for it. Only where a [public name](has_public_name) is served.
const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Serves the requests of a connection, whose first head was read already, until the client or a drain ends it.
pub(crate) async fn serve(app: Arc<App>, parts: HandshakeParts, peer: Peer) {
    let stream = Replay::new(parts, app.settings.write_timeout);
    let place = stream.place();
    let limits = app.config.head_limits;
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        // hyper counts on from now, which must stay within the clock.
        .header_read_timeout(app.config.handshake_timeout.min(MAX_READ_TIMEOUT))
        .max_headers(limits.max_fields)
        // hyper takes no less than 8 KiB.
        .max_buf_size(limits.max_bytes.max(8 << 10));
    let ending = Arc::clone(&app);
    let service = service_fn(move |request| {
        let (app, place) = (Arc::clone(&app), place.clone());
        async move {
            let route = Route::of(request.uri().path());
            let span = traces::request(&app, &request, route.as_ref().map_or("none", Route::pattern));
            let answer = answer(&app, request, route, peer, &place).instrument(span.clone()).await;
            traces::answered(&span, answer.status().as_u16());
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
    // A client that breaks off is no news.
    tokio::select! {
        _ = &mut connection => {}
        () = ending.reached(Stage::Closing) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    app: &Arc<App>,
    mut request: Request<Incoming>,
    route: Option<Route>,
    peer: Peer,
    place: &Place,
) -> Answer {
    let pattern = route.as_ref().map_or("none", Route::pattern);
    let headers = request.headers();
    let is_public = peer.scheme == Scheme::Https && has_public_name(headers);
    let wants_websocket =
        headers.contains_key(header::SEC_WEBSOCKET_KEY) || headers.contains_key(header::UPGRADE);
    let mut answer = match route {
        Some(route) if route.is_websocket() => upgrade(app, &mut request, &route, peer, place)
            .await
            .unwrap_or_else(|refusal| refused(app, &refusal, peer, pattern)),
        None if wants_websocket => refused(app, &Refusal::not_found(), peer, pattern),
        route => plain(app, request, route.as_ref(), peer, place).await,
    };
    if is_public {
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
    if app.is_stopping() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // What the client asks next is for another server.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let labels = RequestLabels { route: pattern, status: answer.status().as_u16() };
    app.metrics.requests.get_or_create(&labels).inc();
    answer
}

/// Whether the host that a request names is one to be reached by TLS alone from now on. A browser would hold every other
/// server of the same machine, whatever its port, to what one says at localhost; and RFC 6797 section 8.1.1 gives an
/// IP address no such policy.
fn has_public_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_loopback = name == "localhost" || name.ends_with(".localhost");
    !name.is_empty() && !is_loopback && !name.starts_with('[') && name.parse::<Ipv4Addr>().is_err()
}

/// The answer to a request that is no upgrade.
async fn plain(
    app: &Arc<App>,
    request: Request<Incoming>,
    route: Option<&Route>,
    peer: Peer,
    place: &Place,
) -> Answer {
    // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
    // message that lacks a Host header field and to any request message that contains more than one".
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return text(StatusCode::BAD_REQUEST, "The request must have one Host header.\n");
    }
    // A request of HTTP/1.0 without the field comes from no page.
    let host = request.headers().get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    let listener = Some(app.settings.listen.ip());
    if let Some(Err(refusal)) = host.map(|host| app.config.check_host(&host, peer.scheme, listener)) {
        return refused(app, &refusal, peer, route.map_or("none", Route::pattern));
    }
    let route = route.filter(|route| !matches!(route, Route::Admin(_)) || app.settings.admin_key.is_some());
    let Some(route) = route else {
        return text(
            StatusCode::NOT_FOUND,
            "Nothing is served at this path. The chat is at /, the game at /arena\n",
        );
    };
    if let Route::Api(path) = route {
        return api::answer(app, path, request).await;
    }
    if let Route::Admin(part) = route {
        return admin::answer(app, *part, request, peer).await;
    }
    if matches!(route, Route::Events | Route::Commands) {
        return stream::answer(app, request, peer).await;
    }
    if *route == Route::SocketIo {
        return socketio(app, request, peer, place).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "Use the method GET.\n");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match route {
        Route::Page(page) => file(&request, page),
        Route::Metrics => figures(app, &request, peer),
        Route::Ready if app.is_stopping() => text(StatusCode::SERVICE_UNAVAILABLE, "the server stops\n"),
        _ => text(StatusCode::OK, "ok\n"),
    }
}

/// A request of Socket.IO's: a poll, or an upgrade.
async fn socketio(app: &App, mut request: Request<Incoming>, peer: Peer, place: &Place) -> Answer {
    if let Err(refusal) = Opening::of(&request).check_page(app, peer) {
        return refused(app, &refusal, peer, Route::SocketIo.pattern());
    }
    let is_new =
        !request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sid=")));
    if let Some(Err(refusal)) = is_new.then(|| app.check_room()) {
        return refused(app, &refusal, peer, Route::SocketIo.pattern());
    }
    let extensions = request.extensions_mut();
    extensions.insert(Arc::clone(&app.socketio_config));
    extensions.insert(peer.ip);
    extensions.insert(peer.scheme);
    extensions.insert(place.clone());
    app.socketio.engine().handle(request).await.map(|body| Either::Left(body.into()))
}

pub(crate) fn file(request: &Request<Incoming>, file: &File) -> Answer {
    let tag = entity_tag(file);
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .to_str()
            .is_ok_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
    });
    let mut answer = if is_known {
        let mut answer = with_type(file.content_type, Bytes::new());
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        with_type(file.content_type, Bytes::from_static(file.body))
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
    if app.settings.metrics_from.admits(peer.ip, is_forwarded(request.headers())) {
        return with_type(metrics::CONTENT_TYPE, Bytes::from(app.metrics.text()));
    }
    let why =
        "Metrics are for this machine only. To open them to every address, set metrics_from = \"anywhere\"\n";
    text(StatusCode::FORBIDDEN, why)
}

/// Whether a proxy passed a request on: behind one on the same machine everybody seems to be local.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    let fields = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"];
    fields.iter().any(|name| headers.contains_key(*name))
}

pub(crate) fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = with_type("text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = status;
    answer
}

pub(crate) fn with_type(content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body)));
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
    log_refusal(app, refusal, peer.ip, pattern);
    refusal_response::<Full<Bytes>>(refusal).map(Either::Left)
}

/// Accepts an upgrade: answers 101, and a task goes on with the connection.
async fn upgrade(
    app: &Arc<App>,
    request: &mut Request<Incoming>,
    route: &Route,
    peer: Peer,
    place: &Place,
) -> Result<Answer, Refusal> {
    let mut plan = Opening::of(request).plan(app, route, peer).await?;
    let decide = |upgrade: &Upgrade<'_>, acceptance: &mut Acceptance<'_>| {
        // hyper knows neither where the server listens nor whether TLS is in use.
        app.config.check_host(upgrade.host(), peer.scheme, Some(app.settings.listen.ip()))?;
        let judged = app.config.origins.check(upgrade.origin(), upgrade.host(), peer.scheme);
        judged.map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
        accept(route, upgrade, acceptance);
        Ok(())
    };
    let (answer, upgrading) = upgrade_with::<_, Full<Bytes>>(request, &app.config, decide)?;
    let place = place.clone();
    tokio::spawn(async move {
        // A client that is gone by now is no news.
        let Ok(mut socket) = upgrading.await else { return };
        place.pass_to(&socket);
        plan.run(&mut socket).await;
    });
    Ok(answer.map(Either::Left))
}
