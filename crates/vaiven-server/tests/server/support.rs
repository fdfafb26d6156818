//! A server on a port of its own, and clients that write their handshakes by hand.

use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vaiven::{CloseCode, Config, Message, Role, WebSocket};
use vaiven_server::settings::HistoryIn;
use vaiven_server::{Drained, Server, Settings};

/// What a test waits for at most before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<CloseCode>,
    running: JoinHandle<Drained>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose settings differ from the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        settings.listen = "127.0.0.1:0".parse().unwrap();
        // The tests of one machine are more than one person would do.
        settings.handshake_rate_per_ip = 1_000_000;
        settings.handshake_burst_per_ip = 1_000_000;
        settings.max_connections_per_ip = 10_000;
        settings.history = HistoryIn::Memory;
        // The game subscribes to a channel of its own, which would count in every figure.
        settings.channels.remove("arena-input");
        change(&mut settings);
        let server = Server::bind(settings).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { stopped.await.unwrap_or(CloseCode::GOING_AWAY) }));
        Self { address, stop, running }
    }

    /// Stops the server with a close code and waits for its end.
    pub(crate) async fn stop(self, code: CloseCode) -> Drained {
        self.stop.send(code).unwrap();
        patiently(self.running).await.unwrap()
    }

    /// A connection to a path.
    pub(crate) async fn connect(&self, path: &str) -> WebSocket {
        let mut wire = self.wire().await;
        wire.send(&self.upgrade(path, "")).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        wire.into_websocket()
    }

    pub(crate) async fn wire(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// The request of a client for a path, with further header lines.
    pub(crate) fn upgrade(&self, path: &str, fields: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
            self.address
        )
    }

    pub(crate) fn get(&self, path: &str, fields: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.address)
    }

    /// The whole answer to one request.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut wire = self.wire().await;
        wire.send(request).await;
        wire.answer().await
    }

    /// The value of a metric, written with its labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.ask(&self.get("/metrics", "")).await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until a metric has a value.
    pub(crate) async fn metric_becomes(&self, name: &str, value: f64) {
        let mut last = None;
        let reached = tokio::time::timeout(PATIENCE, async {
            while last != Some(value) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                last = self.metric(name).await;
            }
        });
        assert!(reached.await.is_ok(), "{name} stays {last:?} and does not become {value}");
    }
}

/// A TCP connection that speaks HTTP by hand.
pub(crate) struct Wire {
    stream: TcpStream,
    received: BytesMut,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, received: BytesMut::new() }
    }

    /// Sends where the server may be gone already.
    pub(crate) async fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// One response: its head, and as much body as it announces.
    pub(crate) async fn answer(&mut self) -> String {
        self.try_answer().await.unwrap()
    }

    /// The same, or an error where the server ends the connection before.
    pub(crate) async fn try_answer(&mut self) -> std::io::Result<String> {
        patiently(async {
            loop {
                let text = String::from_utf8_lossy(&self.received).into_owned();
                if let Some((head, _)) = text.split_once("\r\n\r\n") {
                    let length = head.lines().find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                    });
                    let length: usize = length.map_or(0, |length| length.parse().unwrap());
                    let whole = head.len() + 4 + length;
                    if self.received.len() >= whole {
                        return Ok(String::from_utf8(self.received.split_to(whole).to_vec()).unwrap());
                    }
                }
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    return Err(std::io::Error::other(format!("the answer ends early: {text}")));
                }
            }
        })
        .await
    }

    /// What comes next, as it comes.
    pub(crate) async fn some(&mut self) -> String {
        loop {
            let len = patiently(self.stream.read_buf(&mut self.received)).await.unwrap();
            // A read may end within a character.
            if len == 0 || std::str::from_utf8(&self.received).is_ok() {
                return String::from_utf8(self.received.split().to_vec()).unwrap();
            }
        }
    }

    /// All that comes until the server ends the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let ended = patiently(async {
            while self.stream.read_buf(&mut self.received).await? > 0 {}
            Ok(())
        })
        .await;
        let _: std::io::Result<()> = ended;
        String::from_utf8_lossy(&self.received.split()).into_owned()
    }

    pub(crate) fn into_websocket(self) -> WebSocket {
        WebSocket::from_transport(self.stream, Role::Client, self.received, None, &Config::new(Role::Client))
    }
}

/// Fails instead of waiting for ever.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

pub(crate) async fn next(socket: &mut WebSocket) -> Message {
    patiently(socket.recv()).await.unwrap().expect("a message, not the end")
}

/// The code and reason with which the server closed.
pub(crate) async fn closed(socket: &mut WebSocket) -> (u16, String) {
    while patiently(socket.recv()).await.unwrap().is_some() {}
    let frame = socket.close_frame().expect("the server sent a Close frame");
    (frame.code.value(), frame.reason.to_string())
}
