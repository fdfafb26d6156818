//! A server that says what the test wrote down, and tells what it was sent.

use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use vaiven::Client;
use vaiven::client::DialOptions;
use vaiven_proto::handshake::Key;

/// The head of a right answer; `{accept}` is filled in by the server.
pub(crate) const ACCEPT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";

/// A right answer with more fields.
pub(crate) fn accept_with(fields: &str) -> String {
    ACCEPT.replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"))
}

/// A client that asks no environment for a proxy.
pub(crate) fn client() -> Client {
    Client::new().dial_options(DialOptions::default().without_proxy())
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("ws://{address}/sala?t=secret")
}

/// Reads a request; what came of it where the client goes away before its end.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(request).unwrap()
}

/// The value of a field of a request, if it is there once.
pub(crate) fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut values = request.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next().filter(|_| values.next().is_none())
}

/// The answer, with the right value for this request's key.
pub(crate) fn fill(answer: &str, request: &str) -> Vec<u8> {
    let key = field(request, "Sec-WebSocket-Key").and_then(|key| Key::parse(key.as_bytes()));
    let accept = key.map(|key| key.accept().as_str().to_owned()).unwrap_or_default();
    answer.replace("{accept}", &accept).into_bytes()
}

/// Starts a server that gives one answer to each of its clients, one after the other, then `rest`, and reads until
/// the client ends. Gives what each of them sent: the request, and what came behind it.
pub(crate) async fn server(
    answers: Vec<String>,
    rest: &'static [u8],
) -> (SocketAddr, JoinHandle<Vec<(String, Vec<u8>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            seen.push(serve(&mut stream, &answer, rest).await);
        }
        seen
    });
    (address, task)
}

async fn serve(stream: &mut TcpStream, answer: &str, rest: &[u8]) -> (String, Vec<u8>) {
    let request = read_request(stream).await;
    let mut answer = fill(answer, &request);
    answer.extend_from_slice(rest);
    let mut behind = Vec::new();
    // The client may end the connection at any point, also by resetting it.
    let _ = stream.write_all(&answer).await;
    while !is_close(&behind) && matches!(stream.read_buf(&mut behind).await, Ok(read) if read > 0) {}
    (request, behind)
}

/// Whether a client's masked Close frame, alone, is whole: behind it the server is the one to hang up.
fn is_close(behind: &[u8]) -> bool {
    matches!(behind, [0x88, length, ..] if behind.len() >= 6 + usize::from(length & 0x7f))
}
