//! One accepted connection on its way to the handler: TLS, the request, the client behind a proxy.

use super::handshake::{Peer, read_head, write_refusal};
use super::listener::{Observer, ServerEvent};
use super::registry::{Permit, Tally, TaskHold};
use super::{AcceptError, Handshake, Refusal, ServerConfig};
use crate::deadline;
#[cfg(feature = "tls")]
use crate::progress::Counted;
use crate::transport::Transport;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use vaiven_proto::handshake::Scheme;

/// How long a refused client may take for its request, which is read before it is answered.
const REFUSED_READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The task of a connection: opens it and runs the handler. Opening is boxed, so that it takes no room of the task's
/// while the handler runs.
#[expect(clippy::manual_async_fn, reason = "an async function would keep its arguments twice")]
pub(super) fn run<O, H, F>(
    hold: TaskHold,
    opening: Pin<Box<O>>,
    handler: Arc<H>,
) -> impl Future<Output = ()> + use<O, H, F>
where
    O: Future<Output = Option<Handshake>>,
    H: Fn(Handshake) -> F,
    F: Future<Output = ()>,
{
    async move {
        // It is the task's until its end.
        let _ = &hold;
        if let Some(handshake) = opening.await {
            handler(handshake).await;
        }
    }
}

/// Reads the handshake of a connection; `None` where it is refused, or the client gone.
pub(super) async fn open(
    stream: TcpStream,
    address: SocketAddr,
    mut permit: Permit,
    observer: Observer,
) -> Option<Handshake> {
    let shared = Arc::clone(permit.shared());
    let config = &shared.config;
    let deadline = deadline::after(config.handshake_timeout);
    let refused = |refusal: &Refusal| {
        Tally::add(&shared.tally.refused);
        observer(ServerEvent::Refused(address, refusal));
    };
    let secured = timeout_at(deadline.min(deadline::after(config.tls_timeout)), secure(stream, config)).await;
    let (transport, scheme) = match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(secured) => secured,
        Err(error) => {
            Tally::add(&shared.tally.tls_failures);
            observer(ServerEvent::TlsFailed(address, &error));
            return None;
        }
    };
    let mut transport = transport;
    let read = read_head(&mut transport, config.head_limits, deadline, shared.draining()).await;
    let (request, read_ahead) = match read {
        Ok(read) => read,
        Err(AcceptError::Refused(refusal)) => {
            let refusal = if shared.is_draining() { shared.refusal_for_drain() } else { refusal };
            refused(&refusal);
            write_refusal(transport, refusal).await;
            return None;
        }
        Err(AcceptError::Io(_)) => return None,
    };
    let client_ip = Some(address.ip().to_canonical());
    let peer = Peer { address: Some(address), client_ip, scheme, listener: shared.listener };
    let mut handshake = Handshake::new(request, transport, read_ahead, deadline, Arc::clone(config), peer);
    let judged = judge(&mut handshake, &mut permit, address);
    if let Err(refusal) = judged {
        refused(&refusal);
        handshake.refuse(refusal).await;
        return None;
    }
    handshake.set_permit(permit);
    Some(handshake)
}

/// Counts the client whom a trusted proxy names.
fn judge(handshake: &mut Handshake, permit: &mut Permit, address: SocketAddr) -> Result<(), Refusal> {
    let shared = Arc::clone(permit.shared());
    let proxies = &shared.config.trusted_proxies;
    if proxies.trusts(address.ip()) {
        let client_ip = proxies.client_ip(handshake.request(), address.ip());
        let scheme = match handshake.scheme() {
            Scheme::Https => Scheme::Https,
            _ => proxies.scheme(handshake.request()),
        };
        let peer =
            Peer { address: Some(address), client_ip: Some(client_ip), scheme, listener: shared.listener };
        handshake.set_peer(peer);
        permit.admit_ip(client_ip)?;
    }
    if shared.is_draining() { Err(shared.refusal_for_drain()) } else { Ok(()) }
}

/// Runs the TLS handshake where there is TLS.
async fn secure(stream: TcpStream, config: &ServerConfig) -> io::Result<(Transport, Scheme)> {
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.tls {
        let (stream, progress) = Counted::new(stream);
        let stream = tls.acceptor().accept(stream).await?;
        return Ok((Transport::secured(stream, progress), Scheme::Https));
    }
    let _ = config;
    Ok((Transport::Tcp(stream), Scheme::Http))
}

/// Tells a client that it is refused, whatever it asks.
pub(super) async fn refuse_unread(stream: TcpStream, config: &Arc<ServerConfig>, refusal: Refusal) {
    let secured = timeout_at(deadline::after(config.tls_timeout), secure(stream, config)).await;
    let Ok(Ok((mut transport, _))) = secured else { return };
    // A client that is answered before it has asked may take the answer for a mistake.
    let deadline = Instant::now() + REFUSED_READ_TIMEOUT;
    let read = read_head(&mut transport, config.head_limits, deadline, std::future::pending()).await;
    if !matches!(read, Err(AcceptError::Io(_))) {
        write_refusal(transport, refusal).await;
    }
}
