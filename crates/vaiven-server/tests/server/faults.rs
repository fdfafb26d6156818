//! What networks and crowds do to a server, and what it does then.

use crate::support::TestServer;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Ending, LinkConfig, Pair, Script};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vaiven::{KeepaliveConfig, WebSocket};
use vaiven_server::settings::HistoryIn;
use vaiven_server::{Service, Settings};

async fn say(socket: &mut WebSocket, message: Value) {
    socket.send(message.to_string()).await.unwrap();
}

/// The next message of a type.
async fn next_of(socket: &mut WebSocket, kind: &str) -> Value {
    loop {
        let message = socket.recv().await.unwrap().expect("a message, not the end");
        let value: Value = serde_json::from_str(message.as_text().unwrap()).unwrap();
        if value["type"] == kind {
            return value;
        }
    }
}

/// Fault 14, with the default settings, on virtual time: what a client sends no longer arrives, and nobody is told.
#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_dead_within_35_seconds_and_its_client_gone_within_60() {
    let mut settings = Settings::default();
    settings.history = HistoryIn::Memory;
    let keepalive = KeepaliveConfig { interval: settings.ping_interval, timeout: settings.ping_timeout };
    let service = Service::new(settings).unwrap();
    let serve = |socket| {
        let service = service.clone();
        tokio::spawn(async move { service.serve(socket, "/v1").await })
    };
    let (mut watcher, server) = vaiven::pair();
    serve(server);
    say(&mut watcher, json!({"type": "subscribe", "id": 1, "channel": "sala", "presence": true})).await;
    next_of(&mut watcher, "subscribed").await;

    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "sala"}).to_string();
    let mut pair = Pair::default();
    pair.server.keepalive = Some(keepalive);
    // The frame has a header of 2 bytes and a mask of 4. Behind it nothing arrives, no pong either.
    assert!(subscribe.len() < 126);
    pair.link = LinkConfig {
        client_to_server: Some((6 + subscribe.len() as u64, Ending::Stall)),
        ..LinkConfig::default()
    };
    let (mut client, server) = pair.connect(Script::seed(1));
    let serving = serve(server);
    client.send(subscribe).await.unwrap();
    next_of(&mut client, "subscribed").await;
    let joined = async {
        loop {
            let change = next_of(&mut watcher, "presence_changed").await;
            if change["count"] == 2 {
                return Instant::now();
            }
        }
    };
    let silent_since = joined.await;
    // It hears and answers all the same.
    let deaf = tokio::spawn(async move { while let Ok(Some(_)) = client.recv().await {} });
    let watching = tokio::spawn(async move {
        let change = next_of(&mut watcher, "presence_changed").await;
        assert_eq!(
            (change["count"].as_u64(), change["left"].as_array().map(Vec::len)),
            (Some(1), Some(1)),
            "{change}"
        );
        Instant::now()
    });
    serving.await.unwrap().unwrap();
    let dead = silent_since.elapsed();
    assert!(dead > Duration::from_secs(24) && dead <= Duration::from_secs(35), "{dead:?}");
    let gone = watching.await.unwrap() - silent_since;
    assert!(gone > dead && gone <= Duration::from_mins(1), "{gone:?}");
    deaf.await.unwrap();
}

/// A client that comes back until it is let in, as `Retry-After` says or else with full jitter; gives its tries.
async fn come_back(server: Arc<TestServer>, mut random: SmallRng) -> (u32, WebSocket) {
    let mut tries = 0_u32;
    loop {
        tries += 1;
        let answer = ask_for_v1(&server).await;
        match answer {
            Ok(socket) => return (tries, socket),
            Err(Some(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Err(None) => {
                let limit = Duration::from_millis(250 << (tries - 1).min(6));
                tokio::time::sleep(limit.mul_f64(random.random())).await;
            }
        }
    }
}

/// A connection, or in how many seconds to come back, where that is said.
async fn ask_for_v1(server: &TestServer) -> Result<WebSocket, Option<u64>> {
    let tcp = TcpStream::connect(server.address).await.map_err(|_| None)?;
    let mut wire = crate::support::Wire::new(tcp);
    wire.try_send(&server.upgrade("/v1", "")).await.map_err(|_| None)?;
    let answer = wire.try_answer().await.map_err(|_| None)?;
    if answer.starts_with("HTTP/1.1 101 ") {
        return Ok(wire.into_websocket());
    }
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (_, after) = answer.split_once("\r\nRetry-After: ").expect("it says when to come back");
    Err(Some(after.split_once("\r\n").unwrap().0.parse().unwrap()))
}

/// Fault 15, a tenth as large: who is refused is told when to come back, all are back, and hear each other.
#[tokio::test]
async fn a_storm_of_clients_is_let_in_at_the_rate_and_all_are_back() {
    const CLIENTS: usize = 800;
    const RATE: u32 = 200;
    let server = Arc::new(TestServer::with(|settings| settings.handshake_rate = RATE).await);
    let begun = Instant::now();
    let mut storm = JoinSet::new();
    for number in 0..CLIENTS {
        storm.spawn(come_back(Arc::clone(&server), SmallRng::seed_from_u64(number as u64)));
    }
    let mut clients = storm.join_all().await;
    let took = begun.elapsed();
    let least = Duration::from_secs(CLIENTS as u64 / u64::from(RATE) - 1);
    assert!(took >= least, "the rate is not at work: {took:?}");
    assert!(took <= Duration::from_secs(30), "{took:?}");
    assert!(clients.iter().any(|(tries, _)| *tries > 1));
    for (_, client) in &mut clients {
        say(client, json!({"type": "subscribe", "id": 1, "channel": "sala"})).await;
        next_of(client, "subscribed").await;
    }
    let first = &mut clients[0].1;
    say(first, json!({"type": "publish", "id": 2, "channel": "sala", "data": "back"})).await;
    for (_, client) in &mut clients {
        assert_eq!(next_of(client, "message").await["data"], "back");
    }
}
