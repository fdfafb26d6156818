//! A stream whose first bytes were read already: they come first again.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use vaiven::Transport;
use vaiven::server::{HandshakeParts, Permit};

/// A connection behind the head of a request, and what was read behind that. The server counts it for as long as it
/// lives.
#[derive(Debug)]
pub(crate) struct Replay {
    head: Bytes,
    read_ahead: BytesMut,
    transport: Transport,
    _permit: Option<Permit>,
}

impl Replay {
    pub(crate) fn new(parts: HandshakeParts) -> Self {
        let HandshakeParts { request, transport, read_ahead, permit, .. } = parts;
        Self { head: request.as_bytes().clone(), read_ahead, transport, _permit: permit }
    }
}

/// Moves what fits from the front of `from`.
fn replay(from: &mut impl Buf, buf: &mut ReadBuf<'_>) {
    let len = from.remaining().min(buf.remaining());
    buf.put_slice(from.chunk().split_at(len).0);
    from.advance(len);
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            replay(&mut self.head, buf);
        } else if !self.read_ahead.is_empty() {
            replay(&mut self.read_ahead, buf);
        } else {
            return Pin::new(&mut self.transport).poll_read(cx, buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
