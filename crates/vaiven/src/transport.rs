//! The bytes below a connection: a TCP socket on the fast path, any other stream behind a box.

use crate::progress::Progress;
use bytes::Buf;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
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
    Other(OtherStream),
}

/// A stream that is no bare TCP socket, as [`Transport::other`] makes it.
pub struct OtherStream {
    io: Boxed,
    /// What is below TLS, where we have made it.
    progress: Option<Progress>,
}

impl Transport {
    /// A transport over any stream.
    pub fn other(stream: impl Stream) -> Self {
        Self::Other(OtherStream { io: Box::pin(stream), progress: None })
    }

    /// A transport over TLS, and what the stream below it has taken.
    #[cfg(feature = "tls")]
    pub(crate) fn secured(stream: impl Stream, progress: Progress) -> Self {
        Self::Other(OtherStream { io: Box::pin(stream), progress: Some(progress) })
    }

    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Self::Other(OtherStream { io, progress }) => {
                let (read, write) = tokio::io::split(io);
                (ReadHalf::Other(read), WriteHalf::Other(Box::new(OtherHalf { io: write, progress })))
            }
        }
    }
}

impl std::fmt::Debug for OtherStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtherStream").field("progress", &self.progress).finish_non_exhaustive()
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
            Self::Other(stream) => stream.io.as_mut().poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Other(stream) => stream.io.as_mut().poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Other(stream) => stream.io.as_mut().poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Other(stream) => stream.io.as_mut().poll_shutdown(cx),
        }
    }
}

/// The half that is read.
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Other(tokio::io::ReadHalf<Boxed>),
}

impl ReadHalf {
    /// Whether there may be something to read: asked first, it spares a connection that waits a buffer to read into.
    #[inline]
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(read) => read.as_ref().poll_read_ready(cx),
            Self::Other(_) => Poll::Ready(Ok(())),
        }
    }
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
    Other(Box<OtherHalf>),
    /// Given up.
    Gone,
}

pub(crate) struct OtherHalf {
    io: tokio::io::WriteHalf<Boxed>,
    progress: Option<Progress>,
}

/// Pieces that one system call writes at most.
const MAX_SLICES: usize = 64;

/// Whether a write may wait.
pub(crate) enum Attempt<'a, 'b> {
    /// Write what the stream takes now; nobody is woken when it takes more.
    Once,
    /// Wake this task when it takes more.
    Until(&'a mut Context<'b>),
}

impl WriteHalf {
    /// Writes from the front of the outbox, as much as the stream takes at once.
    #[inline]
    pub(crate) fn poll_write_outbox(
        &mut self,
        attempt: &mut Attempt<'_, '_>,
        outbox: &mut Outbox,
    ) -> Poll<io::Result<()>> {
        let chunk = outbox.chunk();
        let polled = if chunk.len() == outbox.remaining() {
            self.poll_write(attempt, &[IoSlice::new(chunk)])
        } else {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = outbox.chunks_vectored(&mut slices);
            self.poll_write(attempt, slices.split_at(filled).0)
        };
        let written = ready!(polled)?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        outbox.advance(written);
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        attempt: &mut Attempt<'_, '_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, attempt) {
            (Self::Tcp(write), Attempt::Once) => {
                let written = match slices {
                    [slice] => write.try_write(slice),
                    slices => write.try_write_vectored(slices),
                };
                match written {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                    written => Poll::Ready(written),
                }
            }
            (Self::Tcp(write), Attempt::Until(cx)) => Pin::new(write).poll_write_vectored(cx, slices),
            (Self::Other(write), attempt) => {
                attempt.with(|cx| Pin::new(&mut write.io).poll_write_vectored(cx, slices))
            }
            (Self::Gone, _) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Bytes that left the stream's own buffer so far, as far as that is known.
    pub(crate) fn progress(&self) -> u64 {
        let Self::Other(write) = self else { return 0 };
        write.progress.as_ref().map_or(0, Progress::bytes)
    }

    /// Pushes what the stream itself buffers, as TLS does; a socket buffers nothing that could be flushed.
    pub(crate) fn poll_flush(&mut self, attempt: &mut Attempt<'_, '_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Gone => Poll::Ready(Ok(())),
            Self::Other(write) => attempt.with(|cx| Pin::new(&mut write.io).poll_flush(cx)),
        }
    }

    /// Ends the outgoing direction: FIN, after close_notify where there is TLS.
    pub(crate) fn poll_shutdown(&mut self, attempt: &mut Attempt<'_, '_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(write) => attempt.with(|cx| Pin::new(write).poll_shutdown(cx)),
            Self::Other(write) => attempt.with(|cx| Pin::new(&mut write.io).poll_shutdown(cx)),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Ends the outgoing direction of a stream that is about to be dropped: closing a socket sends the FIN itself.
    pub(crate) fn poll_farewell(&mut self, attempt: &mut Attempt<'_, '_>) -> Poll<io::Result<()>> {
        if matches!(self, Self::Other(_)) { self.poll_shutdown(attempt) } else { Poll::Ready(Ok(())) }
    }

    /// Ends both directions at once, whoever holds the other half. A stream that is no socket ends with that half.
    pub(crate) fn cut(&mut self) {
        if let Self::Tcp(write) = self {
            // It fails only where the peer was faster.
            let _ = socket2::SockRef::from(write.as_ref()).shutdown(std::net::Shutdown::Both);
        }
        self.give_up();
    }

    /// Lets go of the stream, which is closed when its other half is dropped too.
    pub(crate) fn give_up(&mut self) {
        if let Self::Tcp(write) = std::mem::replace(self, Self::Gone) {
            write.forget();
        }
    }
}

impl Attempt<'_, '_> {
    fn with<T>(&mut self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        match self {
            Self::Once => poll(&mut Context::from_waker(Waker::noop())),
            Self::Until(cx) => poll(cx),
        }
    }
}
