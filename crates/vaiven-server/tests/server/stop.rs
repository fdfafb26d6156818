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
async fn a_connection_that_does_not_answer_is_dropped_in_the_end() {
    let server = TestServer::with(|settings| settings.drain_timeout = Duration::from_millis(300)).await;
    let mute = server.connect("/c/a").await;
    server.metric_becomes("vaiven_members", 1.0).await;
    let drained = server.stop(CloseCode::RESTART).await;
    assert_eq!(drained.dropped, 1);
    drop(mute);
}
