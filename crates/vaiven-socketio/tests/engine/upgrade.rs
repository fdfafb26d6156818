//! From polling to a WebSocket: nothing is lost, doubled or out of order.

use crate::client::*;
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use vaiven::server::{Server, ServerConfig};
use vaiven::{Config, Role, Transport, WebSocket};
use vaiven_socketio::engine::{EndReason, Engine, EngineConfig, Transport as EngineTransport, serve};

/// Opens a WebSocket for a session that polls.
async fn open_second(engine: &Engine, target: &str) -> WebSocket {
    let sid = target.rsplit_once('=').expect("it ends with the id").1;
    open_websocket(engine, &format!("{WEBSOCKET}&sid={sid}")).await.expect("the session is there")
}

async fn probe(socket: &mut WebSocket) {
    socket.send("2probe").await.expect("it is open");
    assert_eq!(text(socket).await, "3probe");
}

#[tokio::test(start_paused = true)]
async fn the_poll_that_waits_is_answered_with_nothing_at_once() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    let poll = tokio::spawn({
        let (engine, target) = (engine.clone(), target.clone());
        async move { get(&engine, &target).await }
    });
    sleep(Duration::from_millis(10)).await;
    let mut socket = open_second(&engine, &target).await;
    let begin = Instant::now();
    probe(&mut socket).await;
    assert_eq!(poll.await.expect("it is answered"), (200, "6".to_owned()));
    assert!(begin.elapsed() < Duration::from_millis(5));
    assert_eq!(session.transport(), EngineTransport::Polling);
    socket.send("5").await.expect("it is open");
    socket.send("4over the new one").await.expect("it is open");
    assert_eq!(observed.message().await, "over the new one".into());
    assert_eq!(session.transport(), EngineTransport::WebSocket);
    session.try_send(&["back".into()]).expect("it is open");
    assert_eq!(text(&mut socket).await, "4back");
    assert_eq!(engine.session_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_meanwhile_is_held_back_and_comes_first() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    session.try_send(&["0".into()]).expect("it is open");
    let mut socket = open_second(&engine, &target).await;
    session.try_send(&["1".into()]).expect("it is open");
    assert_eq!(get(&engine, &target).await.1, "40\x1e41", "before the probe polls go on");
    probe(&mut socket).await;
    session.try_send(&["2".into(), "3".into()]).expect("it is open");
    assert_eq!(get(&engine, &target).await, (200, "6".to_owned()));
    session.try_send(&["4".into()]).expect("it is open");
    socket.send("5").await.expect("it is open");
    while session.transport() != EngineTransport::WebSocket {
        tokio::task::yield_now().await;
    }
    session.try_send(&["5".into()]).expect("it is open");
    for expected in ["42", "43", "44", "45"] {
        assert_eq!(text(&mut socket).await, expected);
    }
}

/// Both sides send without a pause while the transport changes at every possible moment.
#[tokio::test(start_paused = true)]
async fn streams_in_both_directions_survive_an_upgrade_at_any_moment() {
    for moment in 0..40 {
        let engine = echo(EngineConfig::default());
        let target = open_polling(&engine).await;
        let mut received = Vec::new();
        let mut number = 0;
        for _ in 0..moment {
            assert_eq!(post(&engine, &target, &format!("4{number}")).await.0, 200);
            number += 1;
            if number % 3 == 0 {
                received.push(get(&engine, &target).await.1);
            }
        }
        let mut socket = open_second(&engine, &target).await;
        assert_eq!(post(&engine, &target, &format!("4{number}")).await.0, 200);
        number += 1;
        probe(&mut socket).await;
        assert_eq!(post(&engine, &target, &format!("4{number}")).await.0, 200);
        number += 1;
        for _ in 0..moment % 5 {
            tokio::task::yield_now().await;
        }
        socket.send("5").await.expect("it is open");
        for _ in 0..10 {
            socket.send(format!("4{number}")).await.expect("it is open");
            number += 1;
        }
        let mut messages: Vec<String> =
            received.iter().flat_map(|payload| payload.split('\x1e')).map(str::to_owned).collect();
        while messages.len() < number {
            messages.push(text(&mut socket).await);
        }
        let expected: Vec<String> = (0..number).map(|number| format!("4{number}")).collect();
        assert_eq!(messages, expected, "upgraded behind {moment} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_leaves_the_session_polling() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    for wrong in [&["4early"][..], &["5"], &["2probe", "2probe"], &["2probe", "4early"], &["2probe", "1"]] {
        let mut socket = open_second(&engine, &target).await;
        for packet in wrong {
            socket.send(*packet).await.expect("it is open");
        }
        closed(&mut socket).await;
        session.try_send(&["still".into()]).expect("the session is open");
        assert_eq!(get(&engine, &target).await.1, "4still", "{wrong:?}");
    }
    let mut socket = open_second(&engine, &target).await;
    probe(&mut socket).await;
    session.try_send(&["held".into()]).expect("the session is open");
    socket.abort();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(get(&engine, &target).await.1, "4held", "what was held back is not lost");
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_does_nothing_is_closed_in_time_and_the_session_lives() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    let mut socket = open_second(&engine, &target).await;
    let begin = Instant::now();
    closed(&mut socket).await;
    assert_eq!(begin.elapsed().as_secs(), 10);
    session.try_send(&["still".into()]).expect("the session is open");
    assert_eq!(get(&engine, &target).await.1, "4still");
}

#[tokio::test(start_paused = true)]
async fn a_second_websocket_is_closed_and_the_first_one_goes_on() {
    let engine = echo(EngineConfig::default());
    let target = open_polling(&engine).await;
    let mut socket = open_second(&engine, &target).await;
    probe(&mut socket).await;
    closed(&mut open_second(&engine, &target).await).await;
    socket.send("5").await.expect("it is open");
    closed(&mut open_second(&engine, &target).await).await;
    socket.send("4on").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4on");
    // Requests are for sessions that poll.
    assert_eq!(get(&engine, &target).await.0, 400);
    assert_eq!(post(&engine, &target, "4x").await.0, 400);
    socket.send("4and on").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4and on");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_meanwhile_closes_the_websocket() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    let mut socket = open_second(&engine, &target).await;
    probe(&mut socket).await;
    session.close();
    closed(&mut socket).await;
    assert_eq!(observed.end().await, EndReason::ForcedClose);
    assert_eq!(get(&engine, &target).await, (200, "1".to_owned()));
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_goes_on_over_the_new_transport() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let begin = Instant::now();
    let mut socket = open_second(&engine, &target).await;
    probe(&mut socket).await;
    sleep(Duration::from_secs(5)).await;
    socket.send("5").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "2");
    assert_eq!(begin.elapsed().as_secs(), 25);
    closed(&mut socket).await;
    assert_eq!(begin.elapsed().as_secs(), 45);
    assert_eq!(observed.end().await, EndReason::PingTimeout);
}

#[tokio::test(start_paused = true)]
async fn no_upgrade_is_offered_or_done_where_none_is_allowed() {
    let mut config = EngineConfig::default();
    config.allow_upgrades = false;
    let (engine, _observed) = observed(config);
    let (_, packet) = get(&engine, POLLING).await;
    assert!(packet.contains(r#""upgrades":[]"#), "{packet}");
    let target = format!("{WEBSOCKET}&sid={}", sid_of(&packet));
    let refused = open_websocket(&engine, &target).await.expect_err("it is not allowed");
    assert_eq!((refused.status().as_u16(), refused.code()), (400, 3));
}

/// Over a real socket: the first request of the connection is hyper's, and with it the later one for a WebSocket.
#[tokio::test]
async fn the_connection_of_a_poll_may_itself_become_the_websocket() {
    let engine = echo(EngineConfig::default());
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).await.expect("a port is free");
    let (address, handle) = (server.local_addr().expect("it listens"), server.handle());
    tokio::spawn(serve(server, engine));
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let poll = format!("GET {POLLING} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(poll.as_bytes()).await.expect("the server reads");
    let answer = read_until(&mut stream, b"}").await;
    let sid = sid_of(answer.split_once("\r\n\r\n").expect("an answer has a head").1);
    let upgrade = format!(
        "GET {WEBSOCKET}&sid={sid} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.expect("the server reads");
    assert!(read_until(&mut stream, b"\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
    let (transport, config) = (Transport::from(stream), Config::new(Role::Client));
    let mut socket = WebSocket::from_transport(transport, Role::Client, BytesMut::new(), None, &config);
    probe(&mut socket).await;
    socket.send("5").await.expect("it is open");
    socket.send("4on").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4on");
    let counts = handle.counts();
    assert_eq!((counts.connections, counts.websockets), (1, 1), "it has one place with its server");
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(stream.read_u8().await.expect("the server answers"));
    }
    String::from_utf8(read).expect("answers are text")
}
