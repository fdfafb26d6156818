//! The end of a server.

use crate::support::{TestServer, closed, patiently};
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
