//! What dialling gives: a connected stream of bytes, on which the opening handshake can begin.
//!
//! Where nothing but TCP is in use, the caller gets the `TcpStream` itself: through a tunnel too, as the exchange with
//! the proxy leaves no byte behind.

#[cfg(feature = "tls")]
use crate::progress::Progress;
use crate::{Stream, Transport};
#[cfg(feature = "tls")]
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connected stream: bare TCP, or TLS.
///
/// Dropping it closes the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Dialled {
    /// TCP and nothing else: `ws://`, directly or through a proxy that is itself spoken to in the clear.
    Tcp(TcpStream),
    /// TLS to the host (`wss://`), to the proxy, or both.
    #[cfg(feature = "tls")]
    Tls(TlsStream),
}

impl Dialled {
    /// The bare TCP stream, or the stream unchanged where TLS is in use.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self {
            Self::Tcp(tcp) => Ok(tcp),
            #[cfg(feature = "tls")]
            tls @ Self::Tls(_) => Err(tls),
        }
    }

    /// The address of the other end of the TCP connection: the host's, or the proxy's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Ok(tls.peer_addr),
        }
    }
}

/// A stream over TLS, its handshake done and the other side's certificate verified.
#[cfg(feature = "tls")]
pub struct TlsStream {
    io: Pin<Box<dyn Stream>>,
    /// What the TCP stream at the bottom has taken.
    progress: Progress,
    peer_addr: SocketAddr,
}

#[cfg(feature = "tls")]
impl TlsStream {
    pub(super) fn new(io: impl Stream, progress: Progress, peer_addr: SocketAddr) -> Self {
        Self { io: Box::pin(io), progress, peer_addr }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }
}

#[cfg(feature = "tls")]
impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("peer_addr", &self.peer_addr).finish_non_exhaustive()
    }
}

impl From<Dialled> for Transport {
    fn from(stream: Dialled) -> Self {
        match stream {
            Dialled::Tcp(tcp) => Self::Tcp(tcp),
            #[cfg(feature = "tls")]
            Dialled::Tls(tls) => Self::secured(tls.io, tls.progress),
        }
    }
}

impl Dialled {
    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Stream> {
        match self.get_mut() {
            Self::Tcp(tcp) => {
                let tcp: Pin<&mut TcpStream> = Pin::new(tcp);
                tcp
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.io.as_mut(),
        }
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(context, buffer)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.io.is_write_vectored(),
        }
    }
}
