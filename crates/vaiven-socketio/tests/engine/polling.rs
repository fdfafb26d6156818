//! Long-polling: what is sent waits for a poll, what is posted arrives, and whoever goes away is gone.

use crate::client::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use vaiven::Message;
use vaiven_socketio::engine::{Connection, EndReason, Engine, EngineConfig, SendError, Transport};

#[tokio::test(start_paused = true)]
async fn the_open_packet_tells_what_the_client_must_know() {
    let mut config = EngineConfig::default();
    config.max_payload = 12_345;
    let (engine, mut observed) = observed(config);
    let (status, packet) = get(&engine, POLLING).await;
    assert_eq!(status, 200);
    let sid = sid_of(&packet);
    let expected = format!(
        r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":12345}}"#
    );
    assert_eq!(packet, expected);
    let session = observed.session().await;
    assert_eq!(session.handshake().sid().as_str(), sid);
    assert_eq!(session.transport(), Transport::Polling);
    assert_eq!(sid.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn text_and_bytes_go_both_ways() {
    let engine = echo(EngineConfig::default());
    let target = open_polling(&engine).await;
    for payload in
        ["4hello", "4", "4€ пойду 💥", "4a\x1e4b\x1e4c", "4hello\x1ebAQIDBA==", "b", "bAQIDBA==\x1e4x"]
    {
        assert_eq!(post(&engine, &target, payload).await, (200, "ok".to_owned()));
        assert_eq!(get(&engine, &target).await, (200, payload.to_owned()));
    }
    // Padding may be left out by whoever sends.
    assert_eq!(post(&engine, &target, "bAQIDBA").await.0, 200);
    assert_eq!(get(&engine, &target).await.1, "bAQIDBA==");
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_and_takes_all_that_is_sent_in_one_go() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    assert!(!session.is_writable(), "no poll waits");
    let poll = tokio::spawn({
        let engine = engine.clone();
        async move { get(&engine, &target).await }
    });
    sleep(Duration::from_secs(1)).await;
    assert!(session.is_writable());
    session.try_send(&["a".into(), Message::binary(vec![1, 2, 3])]).expect("it is open");
    session.try_send(&["b".into()]).expect("it is open");
    assert!(!session.is_writable(), "something waits");
    assert_eq!(poll.await.expect("it is answered"), (200, "4a\x1ebAQID\x1e4b".to_owned()));
    session.flush().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_cancelled_closes_the_session() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    assert!(timeout(Duration::from_secs(1), get(&engine, &target)).await.is_err(), "nothing is sent");
    assert_eq!(observed.end().await, EndReason::TransportClose);
    assert_eq!(get(&engine, &target).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn the_client_closes_and_its_poll_is_answered_with_nothing() {
    let (engine, mut observed) = observed(EngineConfig::default());
    for poll_first in [true, false] {
        let target = open_polling(&engine).await;
        let poll = get(&engine, &target);
        if poll_first {
            let poll = tokio::spawn({
                let (engine, target) = (engine.clone(), target.clone());
                async move { get(&engine, &target).await }
            });
            sleep(Duration::from_millis(1)).await;
            assert_eq!(post(&engine, &target, "4bye\x1e1\x1e4late").await.0, 200);
            assert_eq!(poll.await.expect("it is answered"), (200, "6".to_owned()));
        } else {
            // The poll was under way and came second.
            assert_eq!(post(&engine, &target, "4bye\x1e1\x1e4late").await.0, 200);
            assert_eq!(poll.await, (200, "6".to_owned()));
        }
        assert_eq!(observed.end().await, EndReason::TransportClose);
        assert_eq!(observed.message().await, "bye".into(), "what came before the close is delivered");
        assert!(observed.messages.try_recv().is_err(), "what came behind it is not");
        assert_eq!(get(&engine, &target).await.0, 400);
    }
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_behind_what_it_sent() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    session.try_send(&["last".into()]).expect("it is open");
    session.close();
    assert_eq!(session.try_send(&["late".into()]), Err(SendError::Closed));
    assert_eq!(observed.end().await, EndReason::ForcedClose);
    assert_eq!(get(&engine, &target).await, (200, "4last\x1e1".to_owned()));
    assert_eq!(get(&engine, &target).await.0, 400);
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_closed_is_forgotten_when_no_poll_comes() {
    let (engine, mut observed) = observed(EngineConfig::default());
    open_polling(&engine).await;
    observed.session().await.close();
    assert_eq!(engine.session_count(), 1);
    sleep(Duration::from_secs(21)).await;
    assert_eq!(engine.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_returns_closes_its_session() {
    let engine = Engine::new(EngineConfig::default(), |connection: Connection| async move {
        connection.sender().try_send(&["bye".into()]).expect("it is open");
    });
    let target = open_polling(&engine).await;
    assert_eq!(get(&engine, &target).await, (200, "4bye\x1e1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_outbox_is_bounded_and_takes_all_or_nothing() {
    let mut config = EngineConfig::default();
    config.outbox_bytes = 100;
    let (engine, mut observed) = observed(config);
    let target = open_polling(&engine).await;
    let session = observed.session().await;
    let message = |len: usize| Message::text("x".repeat(len));
    session.try_send(&[message(49)]).expect("there is room for 50 bytes");
    assert_eq!(session.try_send(&[message(24), message(25)]), Err(SendError::Full), "51 bytes more");
    session.try_send(&[message(24), message(24)]).expect("there is room for 50 bytes more");
    assert_eq!(session.try_send(&[message(0)]), Err(SendError::Full));
    let (_, payload) = get(&engine, &target).await;
    assert_eq!(payload.len(), 100 + 2, "with separators");
    session.try_send(&[message(1_000)]).expect("where nothing waits, everything fits");
    assert_eq!(get(&engine, &target).await.1.len(), 1_001);
}

#[tokio::test(start_paused = true)]
async fn a_post_waits_until_the_handler_had_the_one_before() {
    let turns = Arc::new(Semaphore::new(0));
    let engine = Engine::new(EngineConfig::default(), {
        let turns = Arc::clone(&turns);
        move |mut connection: Connection| {
            let turns = Arc::clone(&turns);
            async move {
                loop {
                    turns.acquire().await.expect("it is not closed").forget();
                    let Some(message) = connection.recv().await else { break };
                    connection.sender().try_send(&[message]).expect("it is open");
                }
            }
        }
    });
    let target = open_polling(&engine).await;
    assert_eq!(post(&engine, &target, "4a\x1e4b").await.0, 200, "what waits is one payload");
    let second = tokio::spawn({
        let (engine, target) = (engine.clone(), target.clone());
        async move { post(&engine, &target, "4c").await }
    });
    sleep(Duration::from_secs(1)).await;
    turns.add_permits(1);
    sleep(Duration::from_secs(1)).await;
    assert!(!second.is_finished(), "b was not received");
    turns.add_permits(2);
    assert_eq!(second.await.expect("it is answered").0, 200);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&engine, &target).await.1, "4a\x1e4b\x1e4c");
}

#[tokio::test(start_paused = true)]
async fn a_second_post_at_the_same_time_closes_the_session() {
    let (engine, mut observed) = observed(EngineConfig::default());
    let target = open_polling(&engine).await;
    let (_feed, body) = body_under_way("4a");
    let first = tokio::spawn(slow_post(engine.clone(), target.clone(), body));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(post(&engine, &target, "4b").await.0, 400);
    assert_eq!(observed.end().await, EndReason::TransportError);
    assert_eq!(get(&engine, &target).await.0, 400);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_in_time_closes_the_session() {
    let mut config = EngineConfig::default();
    // No ping is to come in between.
    config.ping_interval = Duration::from_mins(1);
    let (engine, mut observed) = observed(config);
    let target = open_polling(&engine).await;
    let (_feed, body) = body_under_way("4a");
    let begin = Instant::now();
    assert_eq!(slow_post(engine.clone(), target.clone(), body).await, 408);
    assert_eq!(begin.elapsed().as_secs(), 30);
    assert_eq!(observed.end().await, EndReason::TransportError);
    assert!(observed.messages.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_without_a_stated_length_is_bounded_all_the_same() {
    let mut config = EngineConfig::default();
    config.max_payload = 10;
    let (engine, mut observed) = observed(config);
    let target = open_polling(&engine).await;
    let (feed, body) = body_under_way("4234567890");
    drop(feed);
    assert_eq!(slow_post(engine.clone(), target.clone(), body).await, 200);
    assert_eq!(observed.message().await.len(), 9);
    let (feed, body) = body_under_way("42345678901");
    assert_eq!(slow_post(engine.clone(), target.clone(), body).await, 413, "before the end of the body");
    drop(feed);
    assert_eq!(post(&engine, &target, "4x").await.0, 200, "the session lives");
}

type Feed = tokio::sync::mpsc::UnboundedSender<bytes::Bytes>;

/// A body of which this much has come, and more may.
fn body_under_way(begin: &'static str) -> (Feed, Fed) {
    let (feed, fed) = tokio::sync::mpsc::unbounded_channel();
    feed.send(begin.into()).expect("the body is there");
    (feed, Fed(fed))
}

struct Fed(tokio::sync::mpsc::UnboundedReceiver<bytes::Bytes>);

impl http_body::Body for Fed {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|data| data.map(|data| Ok(http_body::Frame::data(data))))
    }
}

async fn slow_post(engine: Engine, target: String, body: Fed) -> u16 {
    let request = http::Request::post(target).header("host", "localhost").body(body);
    engine.handle(request.expect("the test's request is one")).await.status().as_u16()
}
