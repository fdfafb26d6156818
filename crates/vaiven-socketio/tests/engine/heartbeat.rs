//! The server asks, the client answers: when, and what comes of silence. Time is virtual.

use crate::client::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vaiven::Message;
use vaiven_socketio::engine::{Connection, EndReason, Engine, EngineConfig};

/// Virtual timers fire within a millisecond behind their time.
#[track_caller]
fn check_elapsed(since: Instant, secs: u64) {
    let elapsed = since.elapsed();
    let expected = Duration::from_secs(secs);
    assert!(
        elapsed >= expected && elapsed < expected + Duration::from_millis(5),
        "{elapsed:?} instead of {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_ping_comes_after_the_interval_and_the_next_one_after_the_pong() {
    let (engine, _observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    text(&mut socket).await;
    let mut asked = Instant::now();
    for delay in [0, 19, 7] {
        assert_eq!(text(&mut socket).await, "2");
        check_elapsed(asked, 25);
        sleep(Duration::from_secs(delay)).await;
        socket.send("3").await.expect("it is open");
        asked = Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_websocket_when_the_timeout_is_over() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    let begin = Instant::now();
    closed(&mut socket).await;
    check_elapsed(begin, 45);
    assert_eq!(observed.end().await, EndReason::PingTimeout);
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_nobody_asked_for_brings_no_further_ping() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    text(&mut socket).await;
    for _ in 0..10 {
        socket.send("3").await.expect("it is open");
    }
    let begin = Instant::now();
    assert_eq!(text(&mut socket).await, "2");
    check_elapsed(begin, 25);
    // One ping, and then the end: the pongs before it do not answer it.
    closed(&mut socket).await;
    check_elapsed(begin, 45);
    assert_eq!(observed.end().await, EndReason::PingTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_polls_is_pinged_and_ends_in_the_same_way() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let begin = Instant::now();
    assert_eq!(get(&engine, &target).await, (200, "2".to_owned()));
    check_elapsed(begin, 25);
    assert_eq!(post(&engine, &target, "3").await, (200, "ok".to_owned()));
    assert_eq!(get(&engine, &target).await, (200, "2".to_owned()));
    check_elapsed(begin, 50);
    // A poll that waits does not stand for the pong.
    assert_eq!(get(&engine, &target).await, (200, "1".to_owned()));
    check_elapsed(begin, 70);
    assert_eq!(observed.end().await, EndReason::PingTimeout);
    assert_eq!(get(&engine, &target).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_is_late_gets_in_before_the_timer_fires() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    sleep(Duration::from_secs(45)).await;
    let (status, body) = get(&engine, &target).await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(observed.end().await, EndReason::PingTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_slow_costs_no_client_its_session() {
    let engine = Engine::new(EngineConfig::default(), |mut connection: Connection| async move {
        let sender = connection.sender();
        while let Some(message) = connection.recv().await {
            sleep(Duration::from_secs(100)).await;
            sender.try_send(&[message]).expect("it is open");
        }
        assert_ne!(connection.end_reason(), Some(EndReason::PingTimeout));
    });
    let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
    text(&mut socket).await;
    let target = open_polling(&engine).await;
    socket.send("4slow").await.expect("it is open");
    assert_eq!(post(&engine, &target, "4slow").await.0, 200);
    // The pings come while the handlers sleep, and the pongs are there when they wake up.
    assert_eq!(text(&mut socket).await, "2");
    socket.send("3").await.expect("it is open");
    assert_eq!(get(&engine, &target).await.1, "2");
    assert_eq!(post(&engine, &target, "3").await.0, 200);
    assert_eq!(text(&mut socket).await, "4slow");
    socket.send("4again").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "2");
    socket.send("3").await.expect("it is open");
    assert_eq!(text(&mut socket).await, "4again");
    assert!(engine.session_count() >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sessions_are_each_pinged_in_time() {
    let (engine, _observed) = observed(EngineConfig::default());
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
        let opened = Instant::now();
        sleep(Duration::from_millis(7)).await;
        clients.push(tokio::spawn(async move {
            let mut socket = socket;
            text(&mut socket).await;
            let mut pinged = opened;
            for _ in 0..4 {
                assert_eq!(text(&mut socket).await, "2");
                check_elapsed(pinged, 25);
                socket.send(Message::text("3")).await.expect("it is open");
                pinged = Instant::now();
            }
        }));
    }
    for client in clients {
        client.await.expect("every client is pinged");
    }
}

#[test]
fn an_engine_that_outlives_a_runtime_goes_on_in_the_next_one() {
    let (engine, _observed) = observed(EngineConfig::default());
    for _ in 0..2 {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let mut socket = open_websocket(&engine, WEBSOCKET).await.expect("it is let in");
            text(&mut socket).await;
            assert_eq!(text(&mut socket).await, "2");
        });
    }
}
