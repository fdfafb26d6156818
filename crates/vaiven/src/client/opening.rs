//! The client's opening handshake on a connected stream (RFC 6455 section 4.1): the request goes out, the answer is
//! read, and what follows it is kept for the connection.

use super::body;
use super::connect::Deadline;
use super::failure::{HandshakeFailure, HandshakeProblem, Refused};
use super::response::{Response, header_map};
#[cfg(feature = "tls")]
use super::tls::{self, TlsProblem};
use super::url::Target;
use crate::{Deflate, DeflateConfig, Error, Transport};
use bytes::BytesMut;
use http::StatusCode;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;
use vaiven_proto::handshake::{Accepted, ClientRequest, HandshakeError, HeadLimits};

/// Room that every read of the answer has: most answers are shorter.
const READ_BYTES: usize = 1 << 10;
/// The name of the extension, for errors about its parameters.
const DEFLATE: &str = "permessage-deflate";

/// One opening handshake, written and not sent.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) target: &'a Target,
    pub(super) request: ClientRequest,
    pub(super) deflate: Option<DeflateConfig>,
    pub(super) timeout: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Open(Box<Opened>),
    Redirect { status: StatusCode, location: String },
}

/// A stream on which frames follow.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) transport: Transport,
    pub(super) read_ahead: BytesMut,
    pub(super) deflate: Option<Deflate>,
    pub(super) response: Response,
}

impl Opening<'_> {
    /// Sends the request and reads the answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub(super) async fn run(
        self,
        mut transport: Transport,
        peer_addr: Option<SocketAddr>,
    ) -> Result<Outcome, Error> {
        let deadline = Deadline::after(self.timeout).at();
        let mut received = BytesMut::new();
        let answered = timeout_at(deadline, self.exchange(&mut transport, &mut received)).await;
        let accepted = match answered {
            Err(_) => return Err(self.failed(HandshakeProblem::Timeout(self.timeout))),
            Ok(Err(Exchange::Io(error))) => return Err(self.broken(error)),
            Ok(Err(Exchange::Answer(error))) => match error {
                HandshakeError::Redirect { status, location } => {
                    let status = StatusCode::from_u16(status).expect("only statuses of redirects are one");
                    return Ok(Outcome::Redirect { status, location });
                }
                HandshakeError::Status(head) => {
                    let body = body::read(&mut transport, &head, received, deadline).await;
                    let summary = HandshakeError::Status(head.clone()).to_string();
                    return Err(self.failed(HandshakeProblem::Refused(Refused::new(&head, summary, body))));
                }
                error => return Err(self.failed(HandshakeProblem::Response(error))),
            },
            Ok(Ok(accepted)) => accepted,
        };
        let deflate =
            self.agreed(&accepted).map_err(|error| self.failed(HandshakeProblem::Response(error)))?;
        let response = Response {
            target: self.target.clone(),
            peer_addr,
            subprotocol: accepted.subprotocol().map(ToOwned::to_owned),
            headers: header_map(accepted.head().fields()),
            deflate: deflate.map(|deflate| deflate.params),
        };
        Ok(Outcome::Open(Box::new(Opened { transport, read_ahead: received, deflate, response })))
    }

    async fn exchange(
        &self,
        transport: &mut Transport,
        received: &mut BytesMut,
    ) -> Result<Accepted, Exchange> {
        let mut request = BytesMut::new();
        self.request.write(&mut request);
        transport.write_all(&request).await?;
        transport.flush().await?;
        let mut reader = self.request.response_reader(HeadLimits::default());
        loop {
            received.reserve(READ_BYTES);
            if transport.read_buf(received).await? == 0 {
                return Err(Exchange::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(accepted) = reader.take(received)? {
                return Ok(accepted);
            }
        }
    }

    /// The compression that the answer agrees to, if its parameters fit the offer.
    fn agreed(&self, accepted: &Accepted) -> Result<Option<Deflate>, HandshakeError> {
        // Without an offer an answer is refused before this: the extension was not offered.
        let Some(config) = self.deflate else { return Ok(None) };
        match config.confirm(&accepted.extensions()) {
            Ok(params) => Ok(params.map(|params| Deflate { params, config })),
            Err(error) => {
                Err(HandshakeError::InvalidExtension { name: DEFLATE.to_owned(), reason: error.to_string() })
            }
        }
    }

    fn failed(&self, problem: HandshakeProblem) -> Error {
        HandshakeFailure::new(self.target, problem).into()
    }

    /// The transport failed. In TLS 1.3 a server refuses a client certificate only now.
    fn broken(&self, error: io::Error) -> Error {
        #[cfg(feature = "tls")]
        if TlsProblem::of(&error).is_some() {
            return tls::failure(self.target.authority(), error).into();
        }
        self.failed(match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                HandshakeProblem::Disconnected
            }
            _ => HandshakeProblem::Io(error),
        })
    }
}

/// Why request and answer were not exchanged.
enum Exchange {
    Io(io::Error),
    Answer(HandshakeError),
}

impl From<io::Error> for Exchange {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for Exchange {
    fn from(error: HandshakeError) -> Self {
        Self::Answer(error)
    }
}
