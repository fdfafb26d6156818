//! Sessions that begin on a WebSocket.

use crate::client::*;
use bytes::BytesMut;
use http::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::duplex;
use tokio::time::{sleep, timeout};
use vaiven::server::ServerConfig;
use vaiven::{Message, Role, Transport, WebSocket};
use vaiven_socketio::engine::{
    Connection, EndReason, Engine, EngineConfig, Head, PreparedMessages, SendError,
    Transport as EngineTransport,
};

/// What the pipe to a client that reads nothing holds.
const PIPE_BYTES: usize = 4_096;

#[tokio::test(start_paused = true)]
async fn the_open_packet_comes_first_and_offers_no_upgrade() {
    let engine = Engine::new(EngineConfig::default(), |connection: Connection| async move {
        connection.sender().try_send(&["hi".into()]).expect("it is open");
        std::future::pending::<()>().await;
    });
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    let open = text(&mut socket).await;
    assert!(open.contains(r#""upgrades":[]"#), "{open}");
    assert_eq!(text(&mut socket).await, "4hi");
}

#[tokio::test(start_paused = true)]
async fn text_and_bytes_go_both_ways() {
    let engine = echo(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    text(&mut socket).await;
    for message in [Message::text("4hello"), "4".into(), "4€".into(), vec![1, 2, 3].into(), vec![].into()] {
        socket.send(message.clone()).await.expect("it is open");
        assert_eq!(socket.recv().await.expect("it is open"), Some(message));
    }
    socket.send("6").await.expect("it is open");
    socket.send("4on").await.expect("a noop changes nothing");
    assert_eq!(text(&mut socket).await, "4on");
}

#[tokio::test(start_paused = true)]
async fn several_messages_and_prepared_ones_keep_their_order() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    let session = observed.session().await;
    let bytes = Message::binary(vec![7; 3]);
    session.try_send(&["a".into()]).expect("it is open");
    session.try_send(&["b".into(), bytes.clone()]).expect("it is open");
    session.try_send_prepared(&PreparedMessages::new(&["c".into(), bytes.clone()])).expect("it is open");
    session.try_send(&["d".into()]).expect("it is open");
    text(&mut socket).await;
    for expected in ["4a".into(), "4b".into(), bytes.clone(), "4c".into(), bytes, "4d".into()] {
        assert_eq!(socket.recv().await.expect("it is open"), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_only_text_sends_and_gets_bytes_as_base64() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, &format!("{WEBSOCKET}&b64=1")).await.expect("it is let in");
    text(&mut socket).await;
    let session = observed.session().await;
    let bytes = Message::binary(vec![1, 2, 3, 4]);
    socket.send("bAQIDBA==").await.expect("it is open");
    assert_eq!(observed.message().await, bytes);
    session.try_send(std::slice::from_ref(&bytes)).expect("it is open");
    session.try_send(&["a".into(), bytes.clone()]).expect("it is open");
    session.try_send_prepared(&PreparedMessages::new(&[bytes, "b".into()])).expect("it is open");
    for expected in ["bAQIDBA==", "4a", "bAQIDBA==", "bAQIDBA==", "4b"] {
        assert_eq!(text(&mut socket).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn either_side_closes_and_the_reason_says_which() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let by_packet = |socket: WebSocket| async move {
        let mut socket = socket;
        socket.send("1").await.expect("it is open");
        closed(&mut socket).await;
    };
    let socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    by_packet(socket).await;
    assert_eq!(observed.end().await, EndReason::TransportClose);

    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    socket.close(1000, "").await.expect("the server answers");
    assert_eq!(observed.end().await, EndReason::TransportClose);

    let socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    socket.abort();
    assert_eq!(observed.end().await, EndReason::TransportClose);

    for _ in 0..3 {
        assert!(!observed.session().await.is_open());
    }
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    observed.session().await.close();
    closed(&mut socket).await;
    assert_eq!(observed.end().await, EndReason::ForcedClose);
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_close_arrives() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    let session = observed.session().await;
    for number in 0..100 {
        session.try_send(&[Message::text(number.to_string())]).expect("there is room");
    }
    session.close();
    assert_eq!(session.try_send(&["late".into()]), Err(SendError::Closed));
    assert!(!session.is_open() && !session.is_writable());
    text(&mut socket).await;
    for number in 0..100 {
        assert_eq!(text(&mut socket).await, format!("4{number}"));
    }
    assert_eq!(socket.recv().await.expect("it is closed as it should be"), None);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_ends_its_session_alone() {
    let engine = Engine::new(EngineConfig::default(), |mut connection: Connection| async move {
        while let Some(message) = connection.recv().await {
            assert_ne!(message, "panic".into(), "as it was told");
            connection.sender().try_send(&[message]).expect("it is open");
        }
    });
    let mut one = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    let mut other = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    text(&mut other).await;
    one.send("4panic").await.expect("it is open");
    closed(&mut one).await;
    other.send("4on").await.expect("it is open");
    assert_eq!(text(&mut other).await, "4on");
    assert_eq!(engine.session_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_fills_the_outbox_and_no_more() {
    let mut config = EngineConfig::default();
    config.outbox_bytes = 10_000;
    let (engine, mut observed) = observed(config);
    let (_client, server) = duplex(PIPE_BYTES);
    let socket = engine.server_config(&ServerConfig::default()).connection;
    let socket =
        WebSocket::from_transport(Transport::other(server), Role::Server, BytesMut::new(), None, &socket);
    let request =
        Request::builder().uri(WEBSOCKET).header("host", "localhost").header("upgrade", "websocket");
    let (parts, ()) = request.body(()).expect("the test's request is one").into_parts();
    let opening = engine.open_websocket(&Head::of_parts(&parts)).await.expect("it is let in");
    tokio::spawn(opening.run(socket));
    let session = observed.session().await;
    let mut sent = 0;
    let refused = loop {
        match session.try_send(&[Message::binary(vec![0; 1_000])]) {
            Ok(()) => sent += 1_000,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
        assert!(sent < 1_000_000, "it is bounded");
    };
    assert!(sent <= PIPE_BYTES + 10_000, "{sent} bytes are taken");
    assert_eq!(refused, SendError::Full);
    assert!(!session.is_writable());
    assert!(timeout(Duration::from_secs(1), session.flush()).await.is_err(), "it waits");
    // Whoever takes nothing is given up at last.
    assert_eq!(observed.end().await, EndReason::TransportError);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_bounded() {
    let mut config = EngineConfig::default();
    config.max_sessions = 2;
    let (engine, mut observed) = observed(config);
    let _one = open_websocket(&engine, WEBSOCKET).await.expect("there is room");
    observed.session().await;
    open_polling(&engine).await;
    observed.session().await;
    let refused = open_websocket(&engine, WEBSOCKET).await.expect_err("there is none");
    assert_eq!(refused.status(), 503);
    assert_eq!(get(&engine, POLLING).await.0, 503);
    engine.close();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(engine.session_count(), 0);
    open_polling(&engine).await;
}

#[tokio::test(start_paused = true)]
async fn the_handshake_is_known_to_the_handler() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = format!("{WEBSOCKET}&%D0%BF=a%20b&__proto__=x&empty");
    let _socket = open_websocket(&engine, &target).await.expect("it is let in");
    let session = observed.session().await;
    let handshake = Arc::clone(session.handshake());
    let query: Vec<_> = handshake.query().collect();
    for (key, value) in [("п", "a b"), ("__proto__", "x"), ("empty", "")] {
        assert!(query.iter().any(|(k, v)| k == key && v == value), "{query:?}");
    }
    assert_eq!(handshake.headers().text("Host"), Some("localhost"));
    assert_eq!(handshake.headers().text("absent"), None);
    assert_eq!(session.transport(), EngineTransport::WebSocket);
}
