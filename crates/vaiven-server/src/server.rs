//! A listening socket to served connections, until the server is told to stop.

use crate::app::App;
use crate::replay::Replay;
use crate::route::Route;
use crate::session::Plan;
use crate::{Settings, http};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use vaiven::server::{AcceptError, Acceptance, Handshake, Refusal, Upgrade};
use vaiven::{CloseCode, CloseFrame};

/// How long accepting pauses when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens. [`run`](Self::run) serves.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    app: Arc<App>,
}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: another program listens there already; stop it, or choose \
                           another address with --listen"
                )
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) => Some(error),
        }
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not closed in time and were dropped.
    pub dropped: usize,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether it came by TLS.
    pub(crate) secure: bool,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub async fn bind(settings: Settings) -> Result<Self, StartError> {
        let address = settings.listen;
        let refused = |error| StartError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let local = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, local, app: App::new(settings) })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address of the chat page, as a browser on this machine opens it.
    pub fn url(&self) -> String {
        let mut shown = self.local;
        if shown.ip().is_unspecified() {
            shown.set_ip(if shown.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        format!("http://{shown}/")
    }

    /// Serves until `stop` is ready, then closes every connection with the code that it gave and waits for them,
    /// for `drain_timeout` at most.
    pub async fn run(self, stop: impl Future<Output = CloseCode>) -> Drained {
        let mut stop = std::pin::pin!(stop);
        let code = loop {
            tokio::select! {
                code = &mut stop => break code,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        let _ = stream.set_nodelay(true);
                        let peer = Peer { address, secure: false };
                        tokio::spawn(serve(Arc::clone(&self.app), stream, peer));
                    }
                    Err(error) => pause(&error).await,
                }
            }
        };
        drop(self.listener);
        let deadline = Instant::now() + self.app.settings.drain_timeout;
        self.app.connections.close_all(&CloseFrame::new(code, "the server stops")).await;
        Drained { dropped: self.app.connections.all_gone(deadline).await }
    }
}

/// A client that was gone before it was accepted is nothing; a lack of descriptors needs time.
async fn pause(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::error!(%error, "cannot accept connections for now");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Reads the first request: a WebSocket is accepted here, everything else is hyper's.
async fn serve(app: Arc<App>, stream: TcpStream, peer: Peer) {
    let handshake = match Handshake::read(stream, Arc::clone(&app.handshake)).await {
        Ok(handshake) => handshake,
        Err(error) => return ended(&app, &error, peer, "none"),
    };
    match Route::of(handshake.request().path()) {
        Some(route) if route.is_websocket() => {
            let mut plan = None;
            let decide = |_: &Upgrade<'_>, _: &mut Acceptance<'_>| {
                plan = Some(Plan::new(&app, &route)?);
                Ok(())
            };
            match handshake.accept_with(decide).await {
                Ok(socket) => plan.expect("it was made before the answer").run(socket).await,
                Err(error) => ended(&app, &error, peer, route.pattern()),
            }
        }
        None if handshake.request().wants_websocket() => {
            let error = handshake.refuse(Refusal::not_found()).await;
            ended(&app, &error, peer, "none");
        }
        _ => {
            let parts = handshake.into_parts();
            let stream = Replay::new(parts.request.as_bytes().clone(), parts.read_ahead, parts.transport);
            http::serve(app, stream, peer).await;
        }
    }
}

/// Counts and logs a handshake of which nothing came.
fn ended(app: &App, error: &AcceptError, peer: Peer, route: &str) {
    if let AcceptError::Refused(refusal) = error {
        app.metrics.refused(refusal.status(), refusal.code());
        log_refusal(refusal, peer, route);
    }
}

/// One line for whoever runs the server. A refused origin is what people search for.
pub(crate) fn log_refusal(refusal: &Refusal, peer: Peer, route: &str) {
    let (status, code, peer) = (refusal.status(), refusal.code(), peer.address);
    if code == "origin" {
        tracing::warn!(%peer, route, status, "{}", refusal.message());
    } else {
        tracing::debug!(%peer, route, status, code, "refused: {}", refusal.message());
    }
}
