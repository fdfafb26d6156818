//! One client's opening handshake on a stream: the request is read, looked at, and accepted or refused.

use super::ServerConfig;
use crate::transport::Transport;
use crate::{Deflate, Role, WebSocket};
use bytes::BytesMut;
use std::{fmt, io, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use vaiven_proto::handshake::{Acceptance, HeadScanner, Refusal, RequestHead, Scheme, Upgrade};

/// Room for a head of a browser in one read.
const READ_BYTES: usize = 2 << 10;
/// How long a refused client may take to read why.
const REFUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A client's opening handshake, read and not answered. Dropped, it closes the stream without an answer.
///
/// ```no_run
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// use vaiven::server::{Handshake, ServerConfig};
/// let config = ServerConfig::default();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// loop {
///     let (stream, _) = listener.accept().await?;
///     let config = config.clone();
///     tokio::spawn(async move {
///         let handshake = Handshake::read(stream, &config).await?;
///         let mut socket = handshake.accept(&config).await?;
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
    request: RequestHead,
    transport: Transport,
    read_ahead: BytesMut,
    deadline: Instant,
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
    pub async fn read(transport: impl Into<Transport>, config: &ServerConfig) -> Result<Self, AcceptError> {
        // Boxed, so that the task of a connection does not keep room for its handshake as long as it lives.
        Box::pin(Self::read_head(transport.into(), config)).await
    }

    async fn read_head(mut transport: Transport, config: &ServerConfig) -> Result<Self, AcceptError> {
        let deadline = Instant::now() + config.handshake_timeout;
        let mut scanner = HeadScanner::new(config.head_limits);
        let mut received = BytesMut::with_capacity(READ_BYTES);
        loop {
            let refusal = match timeout_at(deadline, transport.read_buf(&mut received)).await {
                Err(_) => Refusal::timeout(),
                Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(_)) => match RequestHead::take(&mut scanner, &mut received) {
                    Ok(None) => continue,
                    Ok(Some(request)) => {
                        return Ok(Self { request, transport, read_ahead: received, deadline });
                    }
                    Err(error) => error.into(),
                },
            };
            return Err(write_refusal(transport, refusal).await);
        }
    }

    /// The request.
    pub fn request(&self) -> &RequestHead {
        &self.request
    }

    /// Accepts the request as the config says: by the rules of RFC 6455, the Origin policy, the subprotocols and
    /// the compression.
    ///
    /// # Errors
    /// [`AcceptError::Refused`], answered already, when the request breaks a rule or comes from a foreign origin.
    pub async fn accept(self, config: &ServerConfig) -> Result<WebSocket, AcceptError> {
        self.accept_with(config, |_, _| Ok(())).await
    }

    /// As [`accept`](Self::accept), after `decide` has seen the request, added header fields to the answer or
    /// refused it.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and with what `decide` refuses.
    pub async fn accept_with(
        self,
        config: &ServerConfig,
        decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
    ) -> Result<WebSocket, AcceptError> {
        Box::pin(self.answer_with(config, decide)).await
    }

    async fn answer_with(
        mut self,
        config: &ServerConfig,
        decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
    ) -> Result<WebSocket, AcceptError> {
        let secure = matches!(self.transport, Transport::Other(_));
        let answer = answer(&self.request, config, secure, decide);
        let (response, deflate) = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        let written = timeout_at(self.deadline, async {
            self.transport.write_all(&response).await?;
            self.transport.flush().await
        });
        written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(WebSocket::from_transport(
            self.transport,
            Role::Server,
            self.read_ahead,
            deflate,
            &config.connection,
        ))
    }

    /// Refuses the request: writes the answer and closes the stream. Gives the refusal back as an error.
    pub async fn refuse(self, refusal: Refusal) -> AcceptError {
        Box::pin(write_refusal(self.transport, refusal)).await
    }

    /// The request, the stream, and what was read behind the head: for another protocol on the same port.
    pub fn into_parts(self) -> (RequestHead, Transport, BytesMut) {
        (self.request, self.transport, self.read_ahead)
    }
}

/// The bytes of the 101, and the compression that it agrees to.
fn answer(
    request: &RequestHead,
    config: &ServerConfig,
    secure: bool,
    decide: impl FnOnce(&Upgrade<'_>, &mut Acceptance<'_>) -> Result<(), Refusal>,
) -> Result<(BytesMut, Option<Deflate>), Refusal> {
    let upgrade = request.upgrade()?;
    let scheme = if secure { Scheme::Https } else { Scheme::Http };
    config
        .origins
        .check(upgrade.origin(), upgrade.host(), scheme)
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
    let mut response = BytesMut::new();
    acceptance.write(&mut response);
    Ok((response, deflate))
}

/// Writes a refusal and lets the client read it before the stream is closed.
async fn write_refusal(mut transport: Transport, refusal: Refusal) -> AcceptError {
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
