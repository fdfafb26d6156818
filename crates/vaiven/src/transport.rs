//! The bytes below a connection: a TCP socket on the fast path, any other stream behind a box.

use bytes::Buf;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
use vaiven_proto::Outbox;

/// A stream that a connection can run over: TLS, a pipe, a tunnel.
pub trait Stream: AsyncRead + AsyncWrite + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + 'static> Stream for T {}

type Boxed = Pin<Box<dyn Stream>>;

/// The stream of a connection before it is split.
pub enum Transport {
    /// A TCP socket without TLS.
    Tcp(TcpStream),
    /// Anything else.
    Other(Boxed),
}

impl Transport {
    /// A transport over any stream.
    pub fn other(stream: impl Stream) -> Self {
        Self::Other(Box::pin(stream))
    }

    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Self::Other(stream) => {
                let (read, write) = tokio::io::split(stream);
                (ReadHalf::Other(read), WriteHalf::Other(write))
            }
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Other(_) => "Other",
        })
    }
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Other(stream) => stream.as_mut().poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Other(stream) => stream.as_mut().poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Other(stream) => stream.as_mut().poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Other(stream) => stream.as_mut().poll_shutdown(cx),
        }
    }
}

/// The half that is read.
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Other(tokio::io::ReadHalf<Boxed>),
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(read) => Pin::new(read).poll_read(cx, buf),
            Self::Other(read) => Pin::new(read).poll_read(cx, buf),
        }
    }
}

/// The half that is written.
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Other(tokio::io::WriteHalf<Boxed>),
    /// Given up.
    Gone,
}

/// Pieces that one system call writes at most.
const MAX_SLICES: usize = 64;

impl WriteHalf {
    /// Writes from the front of the outbox, as much as the stream takes at once.
    #[inline]
    pub(crate) fn poll_write_outbox(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &mut Outbox,
    ) -> Poll<io::Result<()>> {
        let chunk = outbox.chunk();
        let written = if chunk.len() == outbox.remaining() {
            match self {
                Self::Tcp(write) => ready!(Pin::new(write).poll_write(cx, chunk))?,
                Self::Other(write) => ready!(Pin::new(write).poll_write(cx, chunk))?,
                Self::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        } else {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = outbox.chunks_vectored(&mut slices);
            let (slices, _) = slices.split_at(filled);
            match self {
                Self::Tcp(write) => ready!(Pin::new(write).poll_write_vectored(cx, slices))?,
                Self::Other(write) => ready!(Pin::new(write).poll_write_vectored(cx, slices))?,
                Self::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        outbox.advance(written);
        Poll::Ready(Ok(()))
    }

    /// Pushes what the stream itself buffers, as TLS does; a socket buffers nothing that could be flushed.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Gone => Poll::Ready(Ok(())),
            Self::Other(write) => Pin::new(write).poll_flush(cx),
        }
    }

    /// Ends the outgoing direction: FIN, after close_notify where there is TLS.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(write) => Pin::new(write).poll_shutdown(cx),
            Self::Other(write) => Pin::new(write).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
