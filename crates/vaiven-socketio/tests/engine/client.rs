//! A client of the tests: requests to an engine, handed over or sent through a socket.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use vaiven::server::{Server, ServerConfig};
use vaiven::{Message, WebSocket};
use vaiven_socketio::engine::{
    Connection, EndReason, Engine, EngineBody, EngineConfig, EngineSender, Head, Rejection, serve,
};

pub(crate) const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
pub(crate) const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// What the handler of a session saw.
pub(crate) struct Observed {
    pub(crate) sessions: mpsc::UnboundedReceiver<EngineSender>,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    pub(crate) ends: mpsc::UnboundedReceiver<EndReason>,
}

impl Observed {
    pub(crate) async fn session(&mut self) -> EngineSender {
        self.sessions.recv().await.expect("a session begins")
    }

    pub(crate) async fn message(&mut self) -> Message {
        self.messages.recv().await.expect("a message arrives")
    }

    pub(crate) async fn end(&mut self) -> EndReason {
        self.ends.recv().await.expect("a session ends")
    }
}

/// An engine whose handler tells what it sees, and sends nothing by itself.
pub(crate) fn observed(config: EngineConfig) -> (Engine, Observed) {
    let (session, sessions) = mpsc::unbounded_channel();
    let (message, messages) = mpsc::unbounded_channel();
    let (end, ends) = mpsc::unbounded_channel();
    let engine = Engine::new(config, move |mut connection: Connection| {
        let (session, message, end) = (session.clone(), message.clone(), end.clone());
        async move {
            let _ = session.send(connection.sender());
            while let Some(received) = connection.recv().await {
                let _ = message.send(received);
            }
            let _ = end.send(connection.end_reason().expect("there is a reason for the end"));
        }
    });
    (engine, Observed { sessions, messages, ends })
}

/// An engine that sends back what it gets.
pub(crate) fn echo(config: EngineConfig) -> Engine {
    Engine::new(config, |mut connection: Connection| async move {
        let sender = connection.sender();
        while let Some(message) = connection.recv().await {
            sender.try_send(&[message]).expect("a test does not fill the outbox");
        }
    })
}

pub(crate) async fn body(response: Response<EngineBody>) -> String {
    let bytes = response.into_body().collect().await.expect("a body of memory does not fail").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("answers are text")
}

/// Hands a request to the engine: status and body of the answer.
pub(crate) async fn ask(engine: &Engine, method: Method, target: &str, content: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(target).header("host", "localhost");
    let request =
        request.body(Full::new(Bytes::from(content.to_owned()))).expect("the test's request is one");
    let response = engine.handle(request).await;
    (response.status().as_u16(), body(response).await)
}

pub(crate) async fn get(engine: &Engine, target: &str) -> (u16, String) {
    ask(engine, Method::GET, target, "").await
}

pub(crate) async fn post(engine: &Engine, target: &str, content: &str) -> (u16, String) {
    ask(engine, Method::POST, target, content).await
}

pub(crate) fn sid_of(open_packet: &str) -> String {
    let json = open_packet.strip_prefix('0').expect("a session begins with an open packet");
    let open: serde_json::Value = serde_json::from_str(json).expect("an open packet is JSON");
    open["sid"].as_str().expect("it has the id").to_owned()
}

/// Opens a session that polls; gives the target of its requests.
pub(crate) async fn open_polling(engine: &Engine) -> String {
    let (status, packet) = get(engine, POLLING).await;
    assert_eq!(status, 200, "{packet}");
    format!("{POLLING}&sid={}", sid_of(&packet))
}

/// Opens a WebSocket, which the engine serves in a task; gives the client's end.
pub(crate) async fn open_websocket(engine: &Engine, target: &str) -> Result<WebSocket, Rejection> {
    let request = Request::builder().uri(target).header("host", "localhost").header("upgrade", "websocket");
    let (parts, ()) = request.body(()).expect("the test's request is one").into_parts();
    let opening = engine.open_websocket(&Head::of_parts(&parts)).await?;
    let (client, server) = vaiven::pair();
    tokio::spawn(opening.run(server));
    Ok(client)
}

pub(crate) async fn text(socket: &mut WebSocket) -> String {
    let message = socket.recv().await.expect("the WebSocket stands").expect("it is not closed");
    message.as_text().expect("it is a text message").to_owned()
}

/// Waits until the server closes the WebSocket.
pub(crate) async fn closed(socket: &mut WebSocket) {
    while let Ok(Some(_)) = socket.recv().await {}
}

/// Listens on a real socket.
pub(crate) async fn listen(engine: &Engine) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).await.expect("a port is free");
    let address = server.local_addr().expect("it listens");
    tokio::spawn(serve(server, engine.clone()));
    address
}

/// Sends a request through a socket; gives the status, and what comes behind the head.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    content: &[u8],
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let length = content.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // A body that is too large need not be read to its end.
    let _ = stream.write_all(content).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    split(&answer)
}

/// Asks for a WebSocket through a socket; gives the status, and what comes behind the head until the server closes.
pub(crate) async fn send_upgrade(address: SocketAddr, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.expect("the server answers");
    split(&answer[..read])
}

fn split(answer: &[u8]) -> (u16, String) {
    let answer = String::from_utf8_lossy(answer);
    let (head, content) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).expect("an answer has a status");
    (status.parse().expect("a status is a number"), content.to_owned())
}
