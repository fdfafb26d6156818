//! How much the stream below TLS has taken: whether a peer takes anything at all.
//!
//! TLS takes up to 64 KiB at a time and lets nobody see how fast they leave it. Counted below it, a peer that takes
//! little is told from one that takes nothing.

#![cfg_attr(not(feature = "tls"), expect(dead_code, reason = "without TLS there is nothing to count below"))]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a [`Counted`] stream has taken so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

/// A stream that counts what it takes.
pub(crate) struct Counted<S> {
    stream: S,
    progress: Progress,
}

impl Progress {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> (Self, Progress) {
        let progress = Progress::default();
        (Self { stream, progress: progress.clone() }, progress)
    }

    fn count(&self, written: usize) {
        self.progress.0.fetch_add(written as u64, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(all(test, feature = "rustls"))]
mod tests {
    use super::*;
    use crate::error::TimeoutKind;
    use crate::{Config, Error, Role, Transport, WebSocket};
    use bytes::BytesMut;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    /// A server's connection over TLS, and the other end of the stream below it.
    async fn connect() -> (WebSocket, DuplexStream) {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key.into())
            .expect("they fit each other");
        let mut roots = RootCertStore::empty();
        roots.add(identity.cert.der().clone()).expect("a certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = duplex(1 << 10);
        let (counted, progress) = Counted::new(near);
        let name = ServerName::try_from("localhost").expect("a name");
        let (accepted, connected) = tokio::join!(
            TlsAcceptor::from(Arc::new(server)).accept(counted),
            TlsConnector::from(Arc::new(client)).connect(name, far),
        );
        let transport = Transport::secured(accepted.expect("a handshake"), progress);
        let config = Config::new(Role::Server);
        let socket = WebSocket::from_transport(transport, Role::Server, BytesMut::new(), None, &config);
        (socket, connected.expect("a handshake").into_inner().0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_little_below_tls_is_not_given_up() {
        let (mut socket, mut far) = connect().await;
        socket.send(vec![7; 200 << 10]).await.expect("it is open");
        let flushed = tokio::spawn(async move { socket.flush().await });
        // 1 KiB a second: TLS gives room for more only after a minute.
        let mut taken = 0;
        while !flushed.is_finished() {
            sleep(Duration::from_secs(1)).await;
            let mut some = [0; 1 << 10];
            taken += far.read(&mut some).await.expect("the stream is there");
            assert!(taken <= 256 << 10, "{taken} bytes");
        }
        assert!(flushed.await.expect("no panic").is_ok(), "given up after {taken} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_below_tls_is_given_up() {
        let (mut socket, far) = connect().await;
        socket.send(vec![7; 200 << 10]).await.expect("it is open");
        let flushed = timeout(Duration::from_secs(11), socket.flush()).await.expect("in time");
        assert!(matches!(flushed, Err(Error::Timeout(TimeoutKind::Write))), "{flushed:?}");
        drop(far);
    }
}
