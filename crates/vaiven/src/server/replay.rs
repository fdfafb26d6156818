//! A handshake's stream for an HTTP server: the bytes that were read already come first again. What is written to it has
//! to be taken in time, since hyper waits for ever.

use super::{HandshakeParts, Permit};
use crate::WebSocket;
use crate::transport::Transport;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The stream of a [`Handshake`](super::Handshake) that is no WebSocket, for an HTTP server: the head of the request comes
/// first again, and what was read behind it. The server counts the connection for as long as the stream lives, or for as
/// long as the [`WebSocket`] lives that got its [`Place`].
#[derive(Debug)]
pub struct Replay {
    head: Bytes,
    read_ahead: BytesMut,
    transport: Transport,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    place: Place,
}

/// The place of a connection with its server, which goes from hyper to the WebSocket that comes of a later request.
#[derive(Clone, Debug)]
pub struct Place(Arc<Mutex<Option<Permit>>>);

impl Place {
    /// Takes it, once.
    pub fn take(&self) -> Option<Permit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives it to the WebSocket that came of a request on the stream.
    ///
    /// # Panics
    /// If the connection is counted already.
    pub fn pass_to(&self, socket: &WebSocket) {
        if let Some(permit) = self.take() {
            permit.pass_to(socket);
        }
    }
}

impl Replay {
    /// A client that takes nothing for `write_timeout` is given up.
    pub fn new(parts: HandshakeParts, write_timeout: Duration) -> Self {
        let HandshakeParts { request, transport, read_ahead, permit, .. } = parts;
        let head = request.as_bytes().clone();
        let place = Place(Arc::new(Mutex::new(permit)));
        Self { head, read_ahead, transport, write_timeout, stalled: None, place }
    }

    /// The connection's place with its server.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Passes on what writing came to, or that it has come to nothing for too long.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.in_time(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.transport).poll_flush(cx);
        self.in_time(written, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.transport).poll_shutdown(cx);
        self.in_time(written, cx)
    }
}
