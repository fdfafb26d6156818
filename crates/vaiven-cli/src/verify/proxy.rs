//! A network that fails on purpose: a TCP proxy between clients and the server, whose connections can be cut, reset,
//! stalled, or left half open.

use serde::{Deserialize, Serialize};
use slab::Slab;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes that are carried at a time, in each direction of a connection.
const BUFFER_BYTES: usize = 4 << 10;
/// How long a half-open connection is held: longer than anybody waits for a sign of life.
const HALF_OPEN: Duration = Duration::from_mins(2);
/// Connections that the system keeps until they are accepted: in an avalanche all clients come at once, and those that
/// find no room try again a second later, which would be the network's delay and not the server's.
const BACKLOG: u32 = 4096;
/// How long the server may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// Both sides see the end of the stream.
    Cut,
    /// Both sides see a reset.
    Reset,
    /// Nothing moves for two to five seconds.
    Stall,
    /// Nothing moves any more, and nobody is told.
    HalfOpen,
    /// All connections are cut in the same second.
    Avalanche,
    /// The server is killed (SIGKILL) in the middle, and started again.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Flowing,
    StalledUntil(Instant),
    HalfOpen,
    Ended { resets: bool },
}

type Conduits = Arc<Mutex<Slab<watch::Sender<Condition>>>>;

/// A proxy that runs.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    conduits: Conduits,
}

impl Proxy {
    /// Starts a proxy to `server`, a host and a port.
    pub(super) fn start(server: String) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let conduits = Conduits::default();
        let server: Arc<str> = server.into();
        tokio::spawn(accept(listener, server, Arc::clone(&conduits)));
        Ok(Self { address, conduits })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that there are.
    pub(super) fn len(&self) -> usize {
        self.conduits.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Lets something happen to one connection; `pick` chooses among them.
    pub(super) fn strike(&self, pick: usize, fault: Fault) {
        let conduits = self.conduits.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, conduit)) = conduits.iter().nth(pick % conduits.len().max(1)) else { return };
        let stall = Duration::from_millis(2000 + (pick as u64).wrapping_mul(0x9e37_79b9) % 3000);
        conduit.send_replace(match fault {
            Fault::Stall => Condition::StalledUntil(Instant::now() + stall),
            Fault::HalfOpen => Condition::HalfOpen,
            Fault::Reset => Condition::Ended { resets: true },
            Fault::Cut | Fault::Avalanche | Fault::Restart => Condition::Ended { resets: false },
        });
    }

    /// Cuts all connections.
    pub(super) fn cut_all(&self) {
        for (_, conduit) in self.conduits.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            conduit.send_replace(Condition::Ended { resets: false });
        }
    }
}

async fn accept(listener: TcpListener, server: Arc<str>, conduits: Conduits) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(carry(client, Arc::clone(&server), Arc::clone(&conduits)));
            }
            // Out of files, say: those that are there go on.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Carries bytes between a client and the server until one of them, or the proxy, ends it.
async fn carry(client: TcpStream, server: Arc<str>, conduits: Conduits) {
    let Ok(Ok(server)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(&*server)).await else { return };
    // Small messages are not held back.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (condition, watched) = watch::channel(Condition::Flowing);
    let key = conduits.lock().unwrap_or_else(PoisonError::into_inner).insert(condition);
    let resets = pump(client, server, watched).await;
    conduits.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    for stream in resets.into_iter().flatten() {
        // Closed with nothing to linger for, a socket is reset.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

/// Gives the sockets back where they are to be reset.
async fn pump(
    mut client: TcpStream,
    mut server: TcpStream,
    mut condition: watch::Receiver<Condition>,
) -> Option<[TcpStream; 2]> {
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let (mut up, mut down) = (condition.clone(), condition.clone());
        let ended = condition.wait_for(|condition| matches!(condition, Condition::Ended { .. }));
        tokio::select! {
            ended = ended => ended.map_or(Condition::Flowing, |ended| *ended),
            () = copy(&mut from_client, &mut to_server, &mut up) => Condition::Flowing,
            () = copy(&mut from_server, &mut to_client, &mut down) => Condition::Flowing,
        }
    };
    (end == Condition::Ended { resets: true }).then_some([client, server])
}

async fn copy(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, condition: &mut watch::Receiver<Condition>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await;
        if !flows(condition).await {
            return;
        }
        match read {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                let Some(bytes) = buffer.get(..len) else { return };
                if to.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until bytes may move again; false where they never will.
async fn flows(condition: &mut watch::Receiver<Condition>) -> bool {
    loop {
        let now = *condition.borrow_and_update();
        match now {
            Condition::Flowing => return true,
            Condition::StalledUntil(until) if until <= Instant::now() => return true,
            Condition::StalledUntil(until) => sleep_until(until).await,
            Condition::HalfOpen => {
                tokio::time::sleep(HALF_OPEN).await;
                return false;
            }
            Condition::Ended { .. } => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client and a server with the proxy between them.
    async fn connected() -> (Proxy, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap().to_string()).unwrap();
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        while proxy.len() == 0 {
            tokio::task::yield_now().await;
        }
        (proxy, client, server)
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_the_cut() {
        let (proxy, mut client, mut server) = connected().await;
        client.write_all(b"hola").await.unwrap();
        let mut bytes = [0; 4];
        server.read_exact(&mut bytes).await.unwrap();
        server.write_all(&bytes).await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hola");
        proxy.strike(0, Fault::Cut);
        assert_eq!(client.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_reset_is_one_to_both() {
        let (proxy, mut client, mut server) = connected().await;
        proxy.strike(0, Fault::Reset);
        let kinds = [client.read_u8().await.unwrap_err().kind(), server.read_u8().await.unwrap_err().kind()];
        assert_eq!(kinds, [io::ErrorKind::ConnectionReset; 2]);
    }

    #[tokio::test]
    async fn a_half_open_connection_tells_nobody() {
        let (proxy, mut client, mut server) = connected().await;
        proxy.strike(0, Fault::HalfOpen);
        client.write_all(b"x").await.unwrap();
        let heard = timeout(Duration::from_millis(200), server.read_u8()).await;
        assert!(heard.is_err(), "{heard:?}");
        drop(client);
        let heard = timeout(Duration::from_millis(200), server.read_u8()).await;
        assert!(heard.is_err(), "the client's end is kept from the server: {heard:?}");
    }
}
