//! A client that writes and reads bytes, and servers to talk with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vaiven::server::{Handshake, Server, ServerConfig, ServerHandle};

/// An opening handshake as browsers send it, without Origin.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The request with one more field.
pub(crate) fn request_with(field: &str) -> String {
    REQUEST.replace("Host", &format!("{field}\r\nHost"))
}

/// A server that runs, and what belongs to it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn start<H, F>(adapt: impl FnOnce(&mut ServerConfig), handler: H) -> Running
where
    H: Fn(Handshake) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut config = ServerConfig::default();
    adapt(&mut config);
    let server = Server::bind("127.0.0.1:0", Arc::new(config)).await.unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    Running { address, handle, task: tokio::spawn(server.serve(handler)) }
}

pub(crate) async fn echo(handshake: Handshake) {
    let Ok(mut socket) = handshake.accept().await else { return };
    while let Ok(Some(message)) = socket.recv().await {
        let _ = socket.send(message).await;
    }
}

/// The other end of a connection.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// A WebSocket.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address).await;
        raw.upgrade().await;
        raw
    }
}

/// What the server says to this request, as a whole.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> String {
    let mut raw = Raw::connect(address).await;
    raw.write(request.as_bytes()).await;
    raw.rest().await
}

/// The beginning of what the server says.
pub(crate) async fn status(address: SocketAddr, request: &str) -> String {
    let mut raw = Raw::connect(address).await;
    raw.write(request.as_bytes()).await;
    let mut status = [0; 12];
    match timeout(Duration::from_secs(10), raw.stream.read_exact(&mut status)).await.unwrap() {
        Ok(_) => String::from_utf8_lossy(&status[9..]).into_owned(),
        Err(_) => String::new(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn upgrade(&mut self) {
        self.write(REQUEST.as_bytes()).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    /// The head of the answer.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(Duration::from_secs(10), self.stream.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// All that comes until the end.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(20), self.stream.read_to_end(&mut rest)).await.unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Sends a frame, masked with zeros.
    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.write(&frame).await;
    }

    /// Receives a short frame; `None` at the end.
    pub(crate) async fn recv(&mut self) -> Option<(u8, Vec<u8>)> {
        let frame = async {
            let opcode = self.stream.read_u8().await?;
            let mut payload = vec![0; self.stream.read_u8().await?.into()];
            self.stream.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>((opcode & 15, payload))
        };
        timeout(Duration::from_secs(20), frame).await.unwrap().ok()
    }

    /// Sends a text and has it echoed.
    pub(crate) async fn echoes(&mut self) {
        self.send(1, b"hola").await;
        assert_eq!(self.recv().await, Some((1, b"hola".to_vec())));
    }

    /// The code of the Close frame that comes next.
    pub(crate) async fn close_code(&mut self) -> u16 {
        match self.recv().await {
            Some((8, payload)) => u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("no Close frame but {other:?}"),
        }
    }
}

/// Waits until something is so, which it is soon.
pub(crate) async fn soon(mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}
