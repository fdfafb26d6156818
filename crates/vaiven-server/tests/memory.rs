//! What an idle client costs, counted by the allocator.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use testkit::{CountingAllocator, Held};
use vaiven::WebSocket;
use vaiven_server::settings::HistoryIn;
use vaiven_server::{Service, Settings};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const CLIENTS: isize = 256;

/// Bytes that each of many connections holds: its task, its session, its subscription, and both ends of the pipe that
/// stands for a socket.
async fn held_by_each(path: &'static str, first: Option<&str>) -> isize {
    let mut settings = Settings::default();
    settings.history = HistoryIn::Memory;
    let service = Service::new(settings).unwrap();
    let mut clients = Vec::with_capacity(CLIENTS.unsigned_abs());
    // What the server allocates once is there before the counting begins.
    clients.push(connect(&service, path, first).await);
    let before = Held::read().now;
    for _ in 1..CLIENTS {
        clients.push(connect(&service, path, first).await);
    }
    (Held::read().now - before) / (CLIENTS - 1)
}

async fn connect(service: &Service, path: &'static str, first: Option<&str>) -> WebSocket {
    let (mut client, server) = vaiven::pair();
    let service = service.clone();
    tokio::spawn(async move { service.serve(server, path).await });
    if let Some(first) = first {
        client.send(first).await.unwrap();
        // `welcome`, and `subscribed`.
        for _ in 0..2 {
            client.recv().await.unwrap().unwrap();
        }
    }
    tokio::task::yield_now().await;
    client
}

/// An idle client of `vaiven.v1.json` with one subscription is to hold at most 6 KiB. The limit here includes the client's
/// own end, which lives in the same process.
#[tokio::test]
async fn an_idle_client_of_one_channel_is_small() {
    let plain = held_by_each("/echo", None).await;
    let subscribe = r#"{"type":"subscribe","channel":"sala"}"#;
    let client = held_by_each("/v1", Some(subscribe)).await;
    println!("echo: {plain} bytes, client: {client} bytes, more by {}", client - plain);
    assert!(client - plain <= 4 << 10, "a session with a subscription: {} bytes", client - plain);
    assert!(client <= 10 << 10, "with both ends of its pipe: {client} bytes");
}
