//! A WebSocket server for the tests, on a thread of its own.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vaiven::{CloseCode, Config, Event, Message, Role, WebSocket};
use vaiven_proto::handshake::Key;

/// Starts a server. What it does with a connection is the path of its URL:
/// `/echo` sends everything back; `/close?CODE` closes at once; `/vanish` hangs up without a Close frame; `/silent`
/// says nothing; `/greet` sends a text and a binary message and goes on as `/echo`; `/refuse` answers 403; `/headers`
/// sends the request.
pub(crate) fn start() -> SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    address.recv().unwrap()
}

async fn serve(mut stream: TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    if path == "/refuse" {
        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nnot for you\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = Key::parse(key.as_bytes()).unwrap().accept();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept.as_str()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    if path == "/vanish" {
        return;
    }
    let mut config = Config::new(Role::Server);
    config.limits.max_message_bytes = 16 << 20;
    let socket = WebSocket::from_transport(stream, Role::Server, bytes::BytesMut::new(), None, &config);
    talk(socket, &path, request).await;
}

async fn talk(mut socket: WebSocket, path: &str, request: String) {
    if let Some(code) = path.strip_prefix("/close?") {
        // The client may be gone by now, here and below: it is the client that is tested.
        let _ = socket.close(CloseCode::new(code.parse().unwrap()), "because").await;
        return;
    }
    match path {
        "/headers" => socket.send(request).await.unwrap(),
        "/greet" => {
            socket.send("hola\x1b[31m").await.unwrap();
            socket.send(vec![0, 1, 2, 255]).await.unwrap();
        }
        _ => {}
    }
    while let Ok(Some(event)) = socket.recv_event().await {
        if let (Event::Message(message), false) = (event, path == "/silent") {
            let is_goodbye = message == Message::from("goodbye");
            let _ = socket.send(message).await;
            if is_goodbye {
                let _ = socket.close(CloseCode::NORMAL, "").await;
                return;
            }
        }
    }
}
