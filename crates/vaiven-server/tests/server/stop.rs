//! The end of a server.

use crate::support::{TestServer, closed, patiently};
use crate::v1::Client;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use vaiven::CloseCode;

#[tokio::test]
async fn every_connection_is_closed_with_the_code_of_the_stop() {
    for code in [CloseCode::RESTART, CloseCode::GOING_AWAY] {
        let server = TestServer::start().await;
        let address = server.address;
        let mut sockets = Vec::new();
        for path in ["/c/a", "/c/a", "/c/b", "/echo"] {
            sockets.push(server.connect(path).await);
        }
        let told = tokio::spawn(async move {
            for socket in &mut sockets {
                assert_eq!(closed(socket).await.0, code.value());
            }
        });
        let drained = server.stop(code).await;
        assert_eq!(drained.dropped, 0);
        patiently(told).await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn connections_that_began_with_a_page_are_not_forgotten() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    wire.send(&server.get("/health", "")).await;
    wire.answer().await;
    wire.send(&server.upgrade("/c/late", "")).await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 101 "));
    let mut late = wire.into_websocket();
    let mut idle = server.wire().await;
    idle.send(&server.get("/health", "")).await;
    idle.answer().await;
    server.metric_becomes("vaiven_members", 1.0).await;
    let told = tokio::spawn(async move { closed(&mut late).await.0 });
    let ended = tokio::spawn(async move { idle.rest().await });
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 0);
    assert_eq!(patiently(told).await.unwrap(), 1012);
    assert_eq!(patiently(ended).await.unwrap(), "");
}

#[tokio::test]
async fn a_connection_that_does_not_answer_is_dropped_in_the_end() {
    let server = TestServer::with(|settings| settings.drain_timeout = Duration::from_millis(300)).await;
    let mute = server.connect("/c/a").await;
    server.metric_becomes("vaiven_members", 1.0).await;
    let drained = server.stop(CloseCode::RESTART).await;
    assert_eq!(drained.dropped, 1);
    drop(mute);
}

#[tokio::test]
async fn a_late_websocket_that_does_not_answer_is_one_that_is_dropped() {
    let server = TestServer::with(|settings| settings.drain_timeout = Duration::from_millis(300)).await;
    let mut wire = server.wire().await;
    wire.send(&server.get("/health", "")).await;
    wire.answer().await;
    wire.send(&server.upgrade("/c/late", "")).await;
    wire.answer().await;
    server.metric_becomes("vaiven_members", 1.0).await;
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 1);
    drop(wire);
}

#[tokio::test]
async fn a_client_is_told_when_to_come_back_after_what_is_under_way_was_answered() {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "publish", "id": 1, "channel": "sala", "data": 1})).await;
        clients.push(client);
    }
    server.metric_becomes("vaiven_publications_total", 5.0).await;
    let told = tokio::spawn(async move {
        let mut slots = Vec::new();
        for client in &mut clients {
            assert_eq!(client.next_of("ok").await["id"], 1);
            let last = client.next_of("disconnect").await;
            assert_eq!(last["code"], 1012, "{last}");
            slots.push(last["retry"].as_u64().expect("a time to come back"));
            assert_eq!(closed(&mut client.socket).await.0, 1012);
        }
        slots.sort_unstable();
        slots.dedup();
        slots.len()
    });
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 0);
    assert!(patiently(told).await.unwrap() > 1, "not all at the same time");
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_server() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    wire.send(&server.get("/v1/events", "")).await;
    server.metric_becomes("vaiven_tcp_connections_open", 2.0).await;
    let rest = tokio::spawn(async move { wire.rest().await });
    assert_eq!(server.stop(CloseCode::GOING_AWAY).await.dropped, 0);
    let rest = patiently(rest).await.unwrap();
    assert!(rest.contains("{\"type\":\"disconnect\",\"code\":1001,"), "{rest}");
}

/// Fault 13: nobody gets in any more, and who asks over a connection that stands is told not to send others here.
#[tokio::test]
async fn a_connection_that_stands_is_told_that_the_server_is_not_ready_while_it_drains() {
    let server = TestServer::with(|settings| settings.drain_timeout = Duration::from_secs(3)).await;
    let address = server.address;
    // It does not answer the Close frame, so that the drain takes its time.
    let mute = server.connect("/c/a").await;
    server.metric_becomes("vaiven_members", 1.0).await;
    let mut probes = Vec::new();
    for _ in 0..5 {
        let mut probe = server.wire().await;
        probe.send(&server.get("/ready", "")).await;
        assert!(probe.answer().await.starts_with("HTTP/1.1 200 "));
        probes.push(probe);
    }
    let requests = [
        server.get("/ready", ""),
        server.get("/health", ""),
        server.upgrade("/c/late", ""),
        server.upgrade("/v1", ""),
        server.get("/v1/events", ""),
    ];
    let stopping = tokio::spawn(server.stop(CloseCode::RESTART));
    patiently(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    for ((probe, request), status) in probes.iter_mut().zip(requests).zip([503, 200, 503, 503, 503]) {
        probe.send(&request).await;
        let answer = probe.answer().await.to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{request}{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(probe.rest().await, "", "the connection ends behind the answer");
    }
    assert_eq!(patiently(stopping).await.unwrap().dropped, 1);
    drop(mute);
}
