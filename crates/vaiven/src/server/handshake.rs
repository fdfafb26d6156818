//! One client's opening handshake on a stream: the request is read, looked at, and accepted or refused.

use super::ServerConfig;
use super::registry::Permit;
use crate::deadline;
use crate::transport::Transport;
use crate::{Deflate, Role, WebSocket};
use bytes::BytesMut;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::{fmt, io, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use vaiven_proto::handshake::{
    Acceptance, HeadLimits, HeadScanner, HttpVersion, Refusal, RequestHead, Scheme, Upgrade,
};

/// Room for a head of a browser in one read.
const READ_BYTES: usize = 2 << 10;
/// How long a refused client may take to read why.
const REFUSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take for the rest of its request when the server begins to drain.
const HURRY_TIMEOUT: Duration = Duration::from_secs(1);

/// A client's opening handshake, read and not answered. Dropped, it closes the stream without an answer.
///
/// A [`Server`](super::Server) gives one to its handler for each connection. On a stream from elsewhere:
///
/// ```no_run
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use vaiven::server::{Handshake, ServerConfig};
/// let config = Arc::new(ServerConfig::default());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// loop {
///     let (stream, _) = listener.accept().await?;
///     let config = Arc::clone(&config);
///     tokio::spawn(async move {
///         let handshake = Handshake::read(stream, config).await?;
///         let mut socket = handshake.accept().await?;
///         while let Some(message) = socket.recv().await? {
///             socket.send(message).await?;
///         }
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Handshake {
    /// On the heap: a handler keeps room for it while its connection lives.
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    request: RequestHead,
    transport: Transport,
    read_ahead: BytesMut,
    deadline: Instant,
    config: Arc<ServerConfig>,
    peer: Peer,
    permit: Option<Permit>,
}

/// Who is at the other end, and how it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: Option<SocketAddr>,
    pub(super) client_ip: Option<IpAddr>,
    pub(super) scheme: Scheme,
    /// The address that the server listens on.
    pub(super) listener: Option<IpAddr>,
}

impl Peer {
    /// On a stream or in a request from elsewhere.
    pub(super) fn unknown(scheme: Scheme) -> Self {
        Self { address: None, client_ip: None, scheme, listener: None }
    }
}

/// A [`Handshake`] taken apart, for another protocol on the same port.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandshakeParts {
    /// The request; [`RequestHead::as_bytes`] has it as it came.
    pub request: RequestHead,
    /// The stream.
    pub transport: Transport,
    /// What was read behind the head.
    pub read_ahead: BytesMut,
    /// The address of the peer, where a server accepted the connection.
    pub remote_addr: Option<SocketAddr>,
    /// The address of the client, which a trusted proxy may have named.
    pub client_ip: Option<IpAddr>,
    /// Whether TLS is in use.
    pub scheme: Scheme,
    /// Counts the connection with its server for as long as it lives; keep it beside the stream.
    pub permit: Option<Permit>,
}

/// Why no connection came of a handshake.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request was refused, and the client told why.
    Refused(Refusal),
    /// The client went away, or the transport failed.
    Io(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused with {}: {}", refusal.status(), refusal.message()),
            Self::Io(error) => write!(f, "the transport failed in the opening handshake: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Handshake {
    pub(super) fn new(
        request: RequestHead,
        transport: Transport,
        read_ahead: BytesMut,
        deadline: Instant,
        config: Arc<ServerConfig>,
        peer: Peer,
    ) -> Self {
        let inner = Inner { request, transport, read_ahead, deadline, config, peer, permit: None };
        Self { inner: Box::new(inner) }
    }

    /// Reads the head of a request, which need not be one for a WebSocket.
    ///
    /// # Errors
    /// [`AcceptError::Refused`], answered already, when the head is malformed, too large or too slow;
    /// [`AcceptError::Io`] when the client goes away.
    ///
    /// # Cancel safety
    /// Dropped, it closes the stream.
    ///
    /// # Limits
    /// `head_limits` and `handshake_timeout` of the config.
    pub async fn read(
        transport: impl Into<Transport>,
        config: impl Into<Arc<ServerConfig>>,
    ) -> Result<Self, AcceptError> {
        // On the heap, as the task of a connection keeps room for it as long as it lives.
        Box::pin(Self::read_first(transport.into(), config.into())).await
    }

    async fn read_first(mut transport: Transport, config: Arc<ServerConfig>) -> Result<Self, AcceptError> {
        let deadline = deadline::after(config.handshake_timeout);
        let never = std::future::pending();
        let (request, read_ahead) = match read_head(&mut transport, config.head_limits, deadline, never).await
        {
            Ok(read) => read,
            Err(AcceptError::Refused(refusal)) => return Err(write_refusal(transport, refusal).await),
            Err(error) => return Err(error),
        };
        let scheme = match &transport {
            Transport::Tcp(_) => Scheme::Http,
            Transport::Other(_) => Scheme::Unknown,
        };
        // The address is asked for when somebody wants it: that is a call of the system.
        let peer = Peer::unknown(scheme);
        Ok(Self::new(request, transport, read_ahead, deadline, config, peer))
    }

    /// The request.
    pub fn request(&self) -> &RequestHead {
        &self.inner.request
    }

    /// The address of the peer: the client's, or a proxy's. `None` on a stream that is no TCP socket and came from
    /// elsewhere.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr()
    }

    /// The address of the client: the peer's, or what a [trusted proxy](super::TrustedProxies) says it is.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.inner.client_ip()
    }

    /// Whether the client uses TLS, as far as that is known; the Origin is judged by it.
    pub fn scheme(&self) -> Scheme {
        self.inner.peer.scheme
    }

    /// Says whether the client uses TLS, on a stream from elsewhere.
    pub fn set_scheme(&mut self, scheme: Scheme) {
        self.inner.peer.scheme = scheme;
    }

    /// The settings by which the request will be judged.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.inner.config
    }

    /// Other settings for this connection, as its path asks for. Those of the listener are not read any more.
    pub fn set_config(&mut self, config: impl Into<Arc<ServerConfig>>) {
        self.inner.config = config.into();
    }

    pub(super) fn set_peer(&mut self, peer: Peer) {
        self.inner.peer = peer;
    }

    pub(super) fn set_permit(&mut self, permit: Permit) {
        self.inner.permit = Some(permit);
    }

    /// Accepts the request as the config says: by the rules of RFC 6455, the allowed hosts, the Origin policy, the
    /// subprotocols and the compression.
    ///
    /// # Errors
    /// [`AcceptError::Refused`], answered already, when the request breaks a rule, comes from a foreign origin, or
    /// the server drains; [`AcceptError::Io`] when the client is gone or the time for the handshake is over.
    ///
    /// # Cancel safety
    /// Dropped, it closes the stream.
    pub fn accept(self) -> impl Future<Output = Result<WebSocket, AcceptError>> + Send {
        self.accept_with(|_, _| Ok(()))
    }

    /// As [`accept`](Self::accept), after `decide` has seen the request, added header fields to the answer or
    /// refused it. `decide` is called at once, not when the future is polled.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and with what `decide` refuses.
    ///
    /// # Cancel safety
    /// As [`accept`](Self::accept).
    pub fn accept_with<D>(self, decide: D) -> impl Future<Output = Result<WebSocket, AcceptError>> + Send
    where
        D: FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
    {
        let answer = self.inner.answer(decide);
        // On the heap, so that a handler does not keep room for it while its connection lives.
        Box::pin(self.inner.finish(answer))
    }

    /// Refuses the request: writes the answer and closes the stream. Gives the refusal back as an error.
    pub fn refuse(self, refusal: Refusal) -> impl Future<Output = AcceptError> + Send {
        Box::pin(self.inner.refuse(refusal))
    }

    /// The request, the stream, and what was read behind the head: for another protocol on the same port.
    pub fn into_parts(self) -> HandshakeParts {
        let (remote_addr, client_ip) = (self.inner.remote_addr(), self.inner.client_ip());
        let Inner { request, transport, read_ahead, peer, permit, .. } = *self.inner;
        let scheme = peer.scheme;
        HandshakeParts { request, transport, read_ahead, remote_addr, client_ip, scheme, permit }
    }
}

/// The bytes of a 101, and the compression that it agrees to.
type Answer = (BytesMut, Option<Deflate>);

impl Inner {
    fn remote_addr(&self) -> Option<SocketAddr> {
        self.peer.address.or_else(|| match &self.transport {
            Transport::Tcp(stream) => stream.peer_addr().ok(),
            Transport::Other(_) => None,
        })
    }

    fn client_ip(&self) -> Option<IpAddr> {
        self.peer.client_ip.or_else(|| Some(self.remote_addr()?.ip().to_canonical()))
    }

    fn answer(
        &self,
        decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
    ) -> Result<Answer, Refusal> {
        if let Some(permit) = &self.permit
            && permit.shared().is_draining()
        {
            return Err(permit.shared().refusal_for_drain());
        }
        let write = |acceptance: &Acceptance<'_>| {
            let mut response = BytesMut::new();
            acceptance.write(&mut response);
            response
        };
        let request = &self.request;
        let fields = request.fields().iter();
        answer(request.method(), request.version(), fields, &self.config, self.peer, decide, write)
    }

    async fn finish(mut self: Box<Self>, answer: Result<Answer, Refusal>) -> Result<WebSocket, AcceptError> {
        let (response, deflate) = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        let written = timeout_at(self.deadline, async {
            self.transport.write_all(&response).await?;
            self.transport.flush().await
        });
        written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let Self { transport, read_ahead, config, permit, .. } = *self;
        // A copy of what came behind the head, so that it does not keep the head alive.
        let read_ahead = BytesMut::from(&read_ahead[..]);
        let socket =
            WebSocket::from_transport(transport, Role::Server, read_ahead, deflate, &config.connection);
        if let Some(permit) = permit {
            socket.set_permit(permit);
        }
        Ok(socket)
    }

    async fn refuse(self: Box<Self>, refusal: Refusal) -> AcceptError {
        let Self { transport, permit: _permit, .. } = *self;
        write_refusal(transport, refusal).await
    }
}

/// Reads a head, and what comes with it. A refusal is not written. When `hurry` is ready the client has a second
/// left.
pub(super) async fn read_head(
    transport: &mut Transport,
    limits: HeadLimits,
    mut deadline: Instant,
    hurry: impl Future<Output = ()>,
) -> Result<(RequestHead, BytesMut), AcceptError> {
    let mut scanner = HeadScanner::new(limits);
    let mut received = BytesMut::with_capacity(READ_BYTES);
    let mut hurry = pin!(hurry);
    let mut hurries = false;
    loop {
        let read = tokio::select! {
            biased;
            read = timeout_at(deadline, transport.read_buf(&mut received)) => read,
            () = &mut hurry, if !hurries => {
                hurries = true;
                deadline = deadline.min(Instant::now() + HURRY_TIMEOUT);
                continue;
            }
        };
        match read {
            Err(_) => return Err(AcceptError::Refused(Refusal::timeout())),
            Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(Ok(_)) => match RequestHead::take(&mut scanner, &mut received) {
                Ok(None) => {}
                Ok(Some(request)) => return Ok((request, received)),
                Err(error) => return Err(AcceptError::Refused(error.into())),
            },
            Ok(Err(error)) => return Err(error.into()),
        }
    }
}

/// Judges a request, whoever read it, and gives the answer to `write`: with the compression that it agrees to.
pub(super) fn answer<'a, R>(
    method: &str,
    version: HttpVersion,
    fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    config: &ServerConfig,
    peer: Peer,
    decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
    write: impl FnOnce(&Acceptance<'_>) -> R,
) -> Result<(R, Option<Deflate>), Refusal> {
    let upgrade = Upgrade::check(method, version, fields)?;
    config.check_host(upgrade.host(), peer.scheme, peer.listener)?;
    config
        .origins
        .check(upgrade.origin(), upgrade.host(), peer.scheme)
        .map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
    let mut acceptance = upgrade.accept();
    let ours = |name: &&&str| config.subprotocols.iter().any(|known| known == **name);
    if let Some(name) = upgrade.subprotocols().iter().find(ours) {
        acceptance.subprotocol(name).expect("it is one of the offered");
    }
    let mut deflate = None;
    if let Some(ours) = &config.deflate
        && let Some((params, answer)) = ours.accept(upgrade.extensions())
    {
        acceptance.extensions(answer).expect("it answers an offer");
        deflate = Some(Deflate { params, config: *ours });
    }
    decide(&upgrade, &mut acceptance)?;
    Ok((write(&acceptance), deflate))
}

/// Writes a refusal and lets the client read it before the stream is closed.
pub(super) async fn write_refusal(mut transport: Transport, refusal: Refusal) -> AcceptError {
    let mut response = BytesMut::new();
    refusal.write(&mut response);
    let told = async {
        transport.write_all(&response).await?;
        transport.shutdown().await?;
        // Bytes left unread would make the system reset the connection and lose the answer.
        response.clear();
        while transport.read_buf(&mut response).await? > 0 {
            response.clear();
        }
        Ok::<_, io::Error>(())
    };
    // The client may be gone, or in no hurry: neither changes the outcome.
    let _ = tokio::time::timeout(REFUSE_TIMEOUT, told).await;
    AcceptError::Refused(refusal)
}
