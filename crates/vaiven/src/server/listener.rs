//! A listening socket to handshakes: who connects is counted, limited, given TLS, read, and handed to a handler in a
//! task of its own.

use super::connection;
use super::drain::ServerHandle;
use super::registry::{Shared, Tally, TurnedAway};
use super::{Handshake, Refusal, ServerConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};

/// How long accepting pauses when the system has no file or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens.
///
/// ```no_run
/// use vaiven::server::{Handshake, Server, ServerConfig};
///
/// async fn echo(handshake: Handshake) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let mut socket = handshake.accept().await?;
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
///
/// # async fn run() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:9001", ServerConfig::default()).await?;
/// server
///     .serve(async |handshake| {
///         if let Err(error) = echo(handshake).await {
///             eprintln!("{error}");
///         }
///     })
///     .await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    observer: Observer,
}

/// Whom the server tells what no handler gets to see.
pub(super) type Observer = Arc<dyn Fn(ServerEvent<'_>) + Send + Sync>;

/// What happened to a connection that no handler gets to see, or to its handler: for logs.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A client was refused before a handler saw it.
    Refused(SocketAddr, &'a Refusal),
    /// A client was refused and not told: too many were being refused, or it exceeds the rate of handshakes of a server
    /// with TLS, and an answer would be one more.
    Dropped(SocketAddr, &'a Refusal),
    /// A TLS handshake failed or took too long.
    TlsFailed(SocketAddr, &'a io::Error),
    /// The system could not accept a connection. Accepting goes on after a pause.
    AcceptFailed(&'a io::Error),
}

impl Server {
    /// Listens at an address.
    ///
    /// # Errors
    /// The system's, as that the address is in use, with the address.
    pub async fn bind(address: impl ToSocketAddrs, config: impl Into<Arc<ServerConfig>>) -> io::Result<Self> {
        let config = config.into();
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "the name to listen at has no address");
        for address in lookup_host(address).await? {
            match listen(address, config.backlog) {
                Ok(listener) => return Ok(Self::from_listener(listener, config)),
                Err(error) => {
                    failure = io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
                }
            }
        }
        Err(failure)
    }

    /// Accepts from a socket that listens already.
    pub fn from_listener(listener: TcpListener, config: impl Into<Arc<ServerConfig>>) -> Self {
        let local = listener.local_addr().ok().map(|local| local.ip());
        Self { listener, shared: Shared::new(config.into(), local), observer: Arc::new(|_| {}) }
    }

    /// Accepts from a socket that listens already, as one that a service manager hands over.
    ///
    /// # Errors
    /// The system's.
    pub fn from_std(
        listener: std::net::TcpListener,
        config: impl Into<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::from_listener(TcpListener::from_std(listener)?, config))
    }

    /// Tells `observer` what no handler gets to see. It runs between connections and must not block.
    pub fn observe(mut self, observer: impl Fn(ServerEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Where the server listens: with port 0 in [`bind`](Self::bind), the port that the system chose.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Counts and drains the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Accepts connections and gives each opening handshake to `handler`, in a task of its own. A panic in it ends
    /// its connection alone, with 1011. Ready when a [drain](ServerHandle::drain) is over.
    ///
    /// # Cancel safety
    /// Dropped, it accepts nobody any more; connections go on.
    pub async fn serve<H, F>(self, handler: H)
    where
        H: Fn(Handshake) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { listener, shared, observer } = self;
        let handler = Arc::new(handler);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.draining() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => begin(&shared, &observer, &handler, stream, address),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    Tally::add(&shared.tally.accept_errors);
                    observer(ServerEvent::AcceptFailed(&error));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        shared.drained().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// Lets a connection in, or refuses it.
fn begin<H, F>(
    shared: &Arc<Shared>,
    observer: &Observer,
    handler: &Arc<H>,
    stream: TcpStream,
    address: SocketAddr,
) where
    H: Fn(Handshake) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // Small messages must not wait for the acknowledgement of those before; a socket that is gone says so later.
    let _ = stream.set_nodelay(true);
    let is_proxy = shared.config.trusted_proxies.trusts(address.ip());
    match shared.admit((!is_proxy).then(|| address.ip())) {
        Ok(permit) => {
            let (hold, task_hold) = (permit.hold(), permit.hold().for_task());
            let opening = Box::pin(connection::open(stream, address, permit, Arc::clone(observer)));
            let task = tokio::spawn(connection::run(task_hold, opening, Arc::clone(handler)));
            hold.set_task(task.abort_handle());
        }
        Err(turned_away) => refuse(shared, observer, stream, address, turned_away),
    }
}

/// Tells a client why it is not let in, as far as there is room for that.
fn refuse(
    shared: &Arc<Shared>,
    observer: &Observer,
    stream: TcpStream,
    address: SocketAddr,
    turned_away: TurnedAway,
) {
    let TurnedAway { refusal, refusing } = turned_away;
    let Some(place) = refusing else {
        Tally::add(&shared.tally.dropped);
        observer(ServerEvent::Dropped(address, &refusal));
        return;
    };
    Tally::add(&shared.tally.refused);
    observer(ServerEvent::Refused(address, &refusal));
    let config = Arc::clone(&shared.config);
    tokio::spawn(async move {
        connection::refuse_unread(stream, &config, refusal).await;
        drop(place);
    });
}

/// Whether accepting failed because of one client, which is no reason to pause.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, PermissionDenied,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | PermissionDenied
    )
}

/// A socket that listens.
fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that restarts must not wait for the last connections of the one before. On Windows the option would
    // let others take the port away.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}
