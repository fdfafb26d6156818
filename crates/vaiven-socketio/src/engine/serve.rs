//! A listener's connections to an engine: WebSockets are accepted here, at once; all other requests are hyper's.

use super::{Engine, EngineBody, Head, Opening};
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vaiven::WebSocket;
use vaiven::server::{Acceptance, Handshake, Replay, Scheme, Server, ServerConfig, ServerHandle, Upgrade};

/// The longest time that hyper is told to wait for a request.
const MAX_READ_TIMEOUT: Duration = Duration::from_hours(24);

/// Serves an engine on a listener until the listener drains. Requests for other paths than the engine's are answered with
/// 404; a program that has more to serve mounts the engine in its own server.
pub async fn serve(listener: Server, engine: Engine) {
    let shared = Arc::new(Shared {
        engine,
        listener: listener.local_addr().ok().map(|address| address.ip()),
        handle: listener.handle(),
        config: OnceLock::new(),
    });
    listener.serve(move |handshake| connection(Arc::clone(&shared), handshake)).await;
}

struct Shared {
    engine: Engine,
    /// The address that it listens on.
    listener: Option<IpAddr>,
    handle: ServerHandle,
    /// The listener's settings with the engine's.
    config: OnceLock<Arc<ServerConfig>>,
}

/// Serves a connection. Its beginning is boxed, so that it takes no room while the WebSocket lives.
async fn connection(shared: Arc<Shared>, handshake: Handshake) {
    if let Some((opening, socket)) = Box::pin(open(shared, handshake)).await {
        opening.run(socket).await;
    }
}

/// Accepts a WebSocket; everything else is hyper's, until its end, and refusals too.
async fn open(shared: Arc<Shared>, mut handshake: Handshake) -> Option<(Opening, WebSocket)> {
    let engine = &shared.engine;
    let given = Arc::clone(handshake.config());
    let config = shared.config.get_or_init(|| Arc::new(engine.server_config(&given)));
    handshake.set_config(Arc::clone(config));
    if handshake.request().wants_websocket() && is_path(engine, handshake.request().path()) {
        let opening = engine.open_websocket(&Head::of_handshake(&handshake)).await;
        if let Ok(opening) = opening {
            let decide = |_: &Upgrade<'_>, acceptance: &mut Acceptance<'_>| {
                opening.accept(acceptance);
                Ok(())
            };
            let socket = handshake.accept_with(decide).await.ok()?;
            return Some((opening, socket));
        }
    }
    Box::pin(requests(&shared, config, handshake)).await;
    None
}

fn is_path(engine: &Engine, path: &str) -> bool {
    path.trim_end_matches('/') == engine.config().path.trim_end_matches('/')
}

/// Serves the requests of a connection, whose first head was read already, until the client or a drain ends it.
async fn requests(shared: &Shared, config: &ServerConfig, handshake: Handshake) {
    let scheme = handshake.scheme();
    let client_ip = handshake.client_ip();
    let stream = Replay::new(handshake.into_parts(), config.connection.write_timeout);
    let place = stream.place();
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        // hyper counts on from now, which must stay within the clock.
        .header_read_timeout(config.handshake_timeout.min(MAX_READ_TIMEOUT))
        .max_headers(config.head_limits.max_fields)
        // hyper takes no less than 8 KiB.
        .max_buf_size(config.head_limits.max_bytes.max(8 << 10));
    let service = service_fn(async |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(scheme);
        extensions.insert(place.clone());
        if let Some(ip) = client_ip {
            extensions.insert(ip);
        }
        Ok::<_, Infallible>(answer(shared, config, request, scheme).await)
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
    // A client that breaks off is no news.
    tokio::select! {
        _ = &mut connection => {}
        () = shared.handle.draining() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    shared: &Shared,
    config: &ServerConfig,
    request: Request<Incoming>,
    scheme: Scheme,
) -> Response<EngineBody> {
    let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    let [host] = hosts[..] else {
        return text(StatusCode::BAD_REQUEST, "The request must have one Host header.\n");
    };
    let host = String::from_utf8_lossy(host.as_bytes());
    if let Err(refusal) = config.check_host(&host, scheme, shared.listener) {
        return vaiven::server::refusal_response(&refusal);
    }
    if !is_path(&shared.engine, request.uri().path()) {
        return text(StatusCode::NOT_FOUND, "Nothing is served at this path.\n");
    }
    shared.engine.handle(request).await
}

fn text(status: StatusCode, body: &str) -> Response<EngineBody> {
    let mut response = Response::new(EngineBody::from(body.to_owned()));
    *response.status_mut() = status;
    response
}
