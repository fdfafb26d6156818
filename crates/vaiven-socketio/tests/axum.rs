//! The engine in axum: one route for polls, WebSockets and the upgrade between them.
#![cfg(feature = "axum")]

use axum::Router;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vaiven::WebSocket;
use vaiven_socketio::engine::{Connection, Engine, EngineConfig};

async fn listen() -> SocketAddr {
    let engine = Engine::new(EngineConfig::default(), |mut connection: Connection| async move {
        let sender = connection.sender();
        while let Some(message) = connection.recv().await {
            sender.try_send(&[message]).expect("a test does not fill the outbox");
        }
    });
    let router = Router::new().route_service("/engine.io/", engine);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves until the test ends") });
    address
}

async fn request(address: SocketAddr, method: &str, query: &str, content: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let length = content.len();
    let request = format!(
        "{method} /engine.io/?EIO=4&transport={query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    );
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the server answers");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").expect("an answer has a head").1.to_owned()
}

async fn connect(address: SocketAddr, query: &str) -> WebSocket {
    let url = format!("ws://{address}/engine.io/?EIO=4&transport={query}");
    vaiven::connect(&url).await.expect("the server accepts it")
}

async fn text(socket: &mut WebSocket) -> String {
    let message = socket.recv().await.expect("it stands").expect("it is open");
    message.as_text().expect("it is text").to_owned()
}

#[tokio::test]
async fn sessions_poll_and_go_on_over_a_websocket() {
    let address = listen().await;
    let open = request(address, "GET", "polling", "").await;
    let open: serde_json::Value = serde_json::from_str(&open[1..]).expect("it is JSON");
    let sid = open["sid"].as_str().expect("it has an id");
    let polling = format!("polling&sid={sid}");
    assert_eq!(request(address, "POST", &polling, "4hello").await, "ok");
    assert_eq!(request(address, "GET", &polling, "").await, "4hello");
    let mut socket = connect(address, &format!("websocket&sid={sid}")).await;
    socket.send("2probe").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "3probe");
    socket.send("5").await.expect("it is open");
    socket.send("4again").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4again");
}

#[tokio::test]
async fn sessions_begin_on_a_websocket() {
    let address = listen().await;
    let mut socket = connect(address, "websocket").await;
    assert!(text(&mut socket).await.starts_with("0{"));
    socket.send("4hello").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4hello");
    let wrong = format!("ws://{address}/engine.io/?EIO=3&transport=websocket");
    vaiven::connect(&wrong).await.expect_err("the version is not spoken");
}
