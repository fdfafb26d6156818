//! A request of hyper to a [`WebSocket`]: the same rules as everywhere, on a connection that another server accepted.
//!
//! After the upgrade the TCP socket itself is taken back out of hyper where there is one, so that the connection is as
//! fast as one of [`Server`](super::Server).

use super::handshake::{Peer, answer};
use super::{AcceptError, Acceptance, Refusal, ServerConfig, Upgrade};
use crate::transport::Transport;
use crate::{Config, Deflate, Role, WebSocket};
use bytes::BytesMut;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::timeout;
use vaiven_proto::handshake::{HttpVersion, Scheme};

/// Answers a request for a WebSocket: gives the response to return from the service, and the connection that comes
/// of it once the response is written. A refusal becomes a response with [`refusal_response`].
///
/// Serve the connection with upgrades: hyper's `with_upgrades()`, hyper-util's `serve_connection_with_upgrades`.
/// Whether TLS is in use is not known here, so the Origin is judged by host and port.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use vaiven::server::{ServerConfig, refusal_response, upgrade};
///
/// async fn serve<B>(mut request: Request<B>) -> Response<Full<Bytes>> {
///     let (response, socket) = match upgrade(&mut request, &ServerConfig::default()) {
///         Ok(answer) => answer,
///         Err(refusal) => return refusal_response(&refusal),
///     };
///     tokio::spawn(async move {
///         let mut socket = socket.await?;
///         while let Some(message) = socket.recv().await? {
///             socket.send(message).await?;
///         }
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     response
/// }
/// ```
///
/// # Errors
/// The [`Refusal`] to answer with.
pub fn upgrade<B, R: Default>(
    request: &mut Request<B>,
    config: &ServerConfig,
) -> Result<(Response<R>, Upgrading), Refusal> {
    upgrade_with(request, config, |_, _| Ok(()))
}

/// As [`upgrade`], after `decide` has seen the request, added header fields to the answer or refused it.
///
/// # Errors
/// As [`upgrade`], and with what `decide` refuses.
pub fn upgrade_with<B, R: Default>(
    request: &mut Request<B>,
    config: &ServerConfig,
    decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
) -> Result<(Response<R>, Upgrading), Refusal> {
    let on_upgrade = take_upgrade(request.extensions_mut());
    answer_parts(request.method(), request.version(), request.headers(), on_upgrade, config, decide)
}

/// The right to the connection, which hyper leaves with the request.
pub(super) fn take_upgrade(extensions: &mut Extensions) -> Option<OnUpgrade> {
    extensions.remove()
}

pub(super) fn answer_parts<R: Default>(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    on_upgrade: Option<OnUpgrade>,
    config: &ServerConfig,
    decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
) -> Result<(Response<R>, Upgrading), Refusal> {
    let write = |acceptance: &Acceptance<'_>| {
        let mut response = Response::new(R::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        append(response.headers_mut(), acceptance.fields());
        response
    };
    let fields = fields(headers);
    let fields = fields.iter().copied();
    let version = http_version(version);
    let (response, deflate) =
        answer(method.as_str(), version, fields, config, Peer::unknown(Scheme::Unknown), decide, write)?;
    let Some(on_upgrade) = on_upgrade else {
        return Err(Refusal::new(
            500,
            "no_upgrade",
            "The HTTP server does not let go of its connections. Serve them with upgrades.",
        ));
    };
    let (connection, patience) = (config.connection.clone(), config.handshake_timeout);
    let socket = async move {
        let upgraded =
            timeout(patience, on_upgrade).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        Ok(connected(upgraded.map_err(io::Error::other)?, deflate, &connection))
    };
    Ok((response, Upgrading { socket: Box::pin(socket) }))
}

/// Checks what can be checked without a config.
#[cfg(feature = "axum")]
pub(super) fn check(method: &Method, version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let fields = fields(headers);
    Upgrade::check(method.as_str(), http_version(version), fields.iter().copied()).map(drop)
}

fn fields(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn http_version(version: Version) -> HttpVersion {
    match version {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Other,
    }
}

fn connected(upgraded: Upgraded, deflate: Option<Deflate>, config: &Config) -> WebSocket {
    let (transport, read_ahead) = take_transport(upgraded);
    WebSocket::from_transport(transport, Role::Server, read_ahead, deflate, config)
}

/// Takes the TCP socket out of what hyper, or hyper-util's server for both versions, made of it.
fn take_transport(upgraded: Upgraded) -> (Transport, BytesMut) {
    let (stream, read_ahead) = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => (parts.io.into_inner(), parts.read_buf),
        Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (parts.io.into_inner(), parts.read_buf),
            Err(upgraded) => return (Transport::other(TokioIo::new(upgraded)), BytesMut::new()),
        },
    };
    // Small messages must not wait for the acknowledgement of those before; a socket that is gone says so later.
    let _ = stream.set_nodelay(true);
    (Transport::Tcp(stream), BytesMut::from(&read_ahead[..]))
}

/// The response that a refusal is, with the same text as everywhere.
pub fn refusal_response<R: From<String>>(refusal: &Refusal) -> Response<R> {
    let mut response = Response::new(R::from(format!("{}\n", refusal.message())));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    append(response.headers_mut(), refusal.fields().map(|(name, value)| (name, value.as_bytes())));
    response
}

fn append<'a>(headers: &mut HeaderMap, fields: impl Iterator<Item = (&'a str, &'a [u8])>) {
    for (name, value) in fields {
        let name = http::HeaderName::try_from(name).expect("the handshake's names are checked");
        headers.append(name, HeaderValue::from_bytes(value).expect("the handshake's values are checked"));
    }
}

/// A WebSocket that comes once the response of its [`upgrade`] is written.
///
/// # Errors
/// [`AcceptError::Io`] where the client is gone, or the response was not written within `handshake_timeout`.
#[must_use = "the connection ends when this is dropped"]
pub struct Upgrading {
    socket: Pin<Box<dyn Future<Output = Result<WebSocket, AcceptError>> + Send>>,
}

impl Future for Upgrading {
    type Output = Result<WebSocket, AcceptError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.socket.as_mut().poll(cx)
    }
}

impl fmt::Debug for Upgrading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrading")
    }
}
