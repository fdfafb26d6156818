//! What sessions hold, counted by the allocator, and that it is given back.
//!
//! The server runs on the thread of the test, whose counter is the measure; the clients run on another one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use testkit::{CountingAllocator, Held};
use vaiven::server::{Server, ServerConfig};
use vaiven_socketio::engine::{Connection, Engine, EngineConfig, serve};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SESSIONS: u32 = 200;

/// Begins a session as npm `engine.io-client` does over a WebSocket, and has one message sent back.
fn talk_once(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = format!(
        "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nHost: {address}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    read_until(&mut stream, b"maxPayload");
    stream.write_all(b"\x81\x83\0\0\0\x004hi").expect("the server reads");
    read_until(&mut stream, b"4hi");
    stream
}

fn read_until(stream: &mut TcpStream, expected: &[u8]) {
    let mut received = Vec::new();
    while !received.windows(expected.len()).any(|window| window == expected) {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).expect("the server answers");
        assert_ne!(read, 0, "the server goes on");
        received.extend_from_slice(&chunk[..read]);
    }
}

async fn talk(address: SocketAddr, sessions: u32) -> Vec<TcpStream> {
    let clients = tokio::task::spawn_blocking(move || (0..sessions).map(|_| talk_once(address)).collect());
    clients.await.expect("the clients are served")
}

#[tokio::test]
async fn an_idle_session_on_a_websocket_holds_little_and_gives_it_back() {
    let mut config = EngineConfig::default();
    // Until then the heartbeat remembers who is gone.
    config.ping_interval = Duration::from_secs(3);
    let engine = Engine::new(config, |mut connection: Connection| async move {
        let sender = connection.sender();
        while let Some(message) = connection.recv().await {
            sender.try_send(&[message]).expect("there is room");
        }
    });
    let mut limits = ServerConfig::default();
    limits.max_connections_per_ip = 1_000;
    limits.handshake_burst_per_ip = 1_000;
    let server = Server::bind("127.0.0.1:0", limits).await.expect("a port is free");
    let address = server.local_addr().expect("it listens");
    tokio::spawn(serve(server, engine.clone()));

    // What all share is there before the measuring begins.
    let first = talk(address, SESSIONS).await;
    drop(first);
    while engine.session_count() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = Held::read().now;
    let clients = talk(address, SESSIONS).await;
    let each = (Held::read().now - before) / isize::try_from(SESSIONS).expect("they are few");
    assert!(each <= 2_200, "{each} bytes for each session");
    assert!(each >= 500, "{each} bytes: that is too little to be true");

    drop(clients);
    while engine.session_count() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Tables that have grown and queues of the runtime stay. A single session in thirty that stayed would be more.
    let mut left = Held::read().now - before;
    for _ in 0..200 {
        if left <= 16_384 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = Held::read().now - before;
    }
    assert!(left <= 16_384, "{left} bytes are left");
}
