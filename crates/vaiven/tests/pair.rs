//! Two connections with each other, in memory and on virtual time.

use bytes::BytesMut;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vaiven::{
    CloseCode, Compress, Config, Error, Event, KeepaliveConfig, Message, Prepared, PreparedBatch, Role,
    TimeoutKind, Transport, TrySendError, Violation, WebSocket, pair,
};

#[tokio::test]
async fn messages_of_every_size_come_back_as_they_were_sent() {
    let (mut client, mut server) = pair();
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await? {
            server.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    for len in [0, 1, 125, 126, 4_095, 4_096, 65_535, 65_536, 300_000, 1 << 20] {
        let text = Message::text("ñ".repeat(len / 2));
        let binary = Message::binary((0..=255).cycle().take(len).collect::<Vec<u8>>());
        for message in [text, binary] {
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message), "{len}");
        }
    }
    client.close(1000, "bye").await.unwrap();
    assert_eq!(client.close_frame().unwrap().code, CloseCode::NORMAL);
    echo.await.unwrap().unwrap();
}

#[tokio::test]
async fn many_messages_in_flight_keep_their_order() {
    let (client, mut server) = pair();
    let (sender, mut receiver) = client.split();
    let send = tokio::spawn(async move {
        for i in 0..20_000_u32 {
            sender.send(i.to_be_bytes().to_vec()).await.unwrap();
        }
        sender
    });
    let echo = tokio::spawn(async move {
        while let Ok(Some(message)) = server.recv().await {
            server.send(message).await.unwrap();
        }
    });
    for i in 0..20_000_u32 {
        let message = receiver.recv().await.unwrap().unwrap();
        assert_eq!(message.as_bytes(), i.to_be_bytes());
    }
    drop((send.await.unwrap(), receiver));
    echo.await.unwrap();
}

#[tokio::test]
async fn what_is_sent_before_a_pause_leaves_before_it() {
    let (mut client, mut server) = pair();
    for _ in 0..3 {
        client.feed("question").await.unwrap();
    }
    client.flush().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        assert!(server.recv().await.unwrap().is_some());
        // Two questions wait, and the server does not come back for them: the answer leaves all the same.
        server.send("answer").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("answer".into()));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_batch_for_many_is_written_at_once_or_at_the_end_of_the_wake_up() {
    let (mut client, server) = pair();
    let sender = server.sender();
    let batch =
        PreparedBatch::new(vec![Prepared::new(Message::text("a")), Prepared::new(Message::text("b"))]);
    for queued in 1..=3 {
        assert!(sender.try_send_batch_soon(&batch, Compress::Auto));
        assert_eq!(sender.buffered_amount(), queued * batch.frames().len());
    }
    assert!(sender.try_send_batch(&batch));
    assert_eq!(sender.buffered_amount(), 0);
    assert!(sender.try_send_batch_soon(&batch, Compress::Never));
    for _ in 0..5 {
        for text in ["a", "b"] {
            assert_eq!(client.recv().await.unwrap(), Some(Message::text(text)));
        }
    }
    assert_eq!(sender.buffered_amount(), 0);
}

#[tokio::test]
async fn both_sides_may_close_at_once() {
    let (mut client, mut server) = pair();
    let (a, b) = tokio::join!(client.close(1000, "a"), server.close(4000, "b"));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    assert_eq!(client.close_frame().unwrap().code, CloseCode::new(4000));
    assert_eq!(server.close_frame().unwrap().code, CloseCode::NORMAL);
    assert!(matches!(client.recv().await, Ok(None)));
    assert!(client.send("late").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_when_the_close_timeout_is_over() {
    let (mut client, server) = pair();
    let start = tokio::time::Instant::now();
    let error = client.close(1000, "").await.unwrap_err();
    assert!(matches!(error, Error::Timeout(TimeoutKind::Close)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 5);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_ping_is_dead() {
    let (client, mut server) = pair();
    let start = tokio::time::Instant::now();
    let error = server.recv().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(TimeoutKind::Keepalive)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 35);
    assert!(matches!(server.recv().await, Ok(None)));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_lives() {
    let (mut client, mut server) = pair();
    let client = tokio::spawn(async move { client.recv().await });
    let idle = tokio::time::timeout(Duration::from_hours(1), server.recv()).await;
    assert!(idle.is_err(), "{idle:?}");
    assert!(server.round_trip().is_some());
    server.close(1001, "").await.unwrap();
    assert!(matches!(client.await.unwrap(), Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_fills_the_outbox_and_is_dropped() {
    let (mut client, server) = pair();
    let payload = vec![0; 100_000];
    let mut taken = 0;
    let refused = loop {
        match client.try_send(payload.clone()) {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(taken, 10);
    assert!(matches!(&refused, TrySendError::Full(message) if message.len() == 100_000));
    let start = tokio::time::Instant::now();
    let error = client.flush().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(TimeoutKind::Write)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(matches!(client.try_send("x"), Err(TrySendError::Closing(_))));
    drop(server);
}

#[tokio::test]
async fn a_dropped_peer_is_a_disconnect_and_what_it_sent_arrives_before() {
    let (mut client, mut server) = pair();
    client.send("last words").await.unwrap();
    drop(client);
    assert_eq!(server.recv().await.unwrap(), Some("last words".into()));
    assert!(matches!(server.recv().await, Err(Error::Disconnected)));
    assert!(matches!(server.recv().await, Ok(None)));
    assert!(server.close_frame().is_none());
}

#[tokio::test]
async fn an_aborted_connection_ends_for_both_sides() {
    let (client, mut server) = pair();
    let sender = client.sender();
    client.abort();
    assert!(matches!(server.recv().await, Err(Error::Disconnected)));
    assert!(sender.send("x").await.is_err());
}

#[tokio::test]
async fn pings_that_arrive_together_are_each_answered_where_the_peer_reads() {
    let (mut peer, mine) = tokio::io::duplex(1 << 10);
    let config = Config::new(Role::Server);
    let mut socket =
        WebSocket::from_transport(Transport::other(mine), Role::Server, BytesMut::new(), None, &config);
    let receiving = tokio::spawn(async move { socket.recv().await });
    // The masking key is zero, so the payload stands as it is.
    let pings: Vec<u8> = (0..10).flat_map(|number| [0x89, 0x81, 0, 0, 0, 0, number]).collect();
    peer.write_all(&pings).await.unwrap();
    let mut pongs = [0; 30];
    peer.read_exact(&mut pongs).await.unwrap();
    let expected: Vec<u8> = (0..10).flat_map(|number| [0x8a, 1, number]).collect();
    assert_eq!(pongs, expected[..]);
    receiving.abort();
}

#[tokio::test]
async fn text_that_looks_like_frames_is_refused_as_text() {
    let (mut wire, server_end) = tokio::io::duplex(1024);
    let config = Config::new(Role::Server);
    let mut server =
        WebSocket::from_transport(Transport::other(server_end), Role::Server, BytesMut::new(), None, &config);
    wire.write_all(b"\x81\x8b\0\0\0\0\x82\x85\0\0\0\0hello").await.unwrap();
    assert!(matches!(server.recv().await, Err(Error::Violation(Violation::InvalidUtf8))));
}

#[tokio::test]
async fn codes_that_must_not_appear_on_the_wire_are_sent_as_none() {
    for code in [1005, 1006, 1015, 999] {
        let (mut client, mut server) = pair();
        let (closed, received) = tokio::join!(client.close(code, ""), server.recv());
        assert!(closed.is_ok() && matches!(received, Ok(None)), "{code}: {closed:?} {received:?}");
        assert_eq!(server.close_frame().unwrap().code, CloseCode::NO_STATUS);
    }
}

#[tokio::test]
async fn after_a_clean_close_there_is_nothing_left_to_flush() {
    let (mut client, mut server) = pair();
    let (closed, _) = tokio::join!(client.close(1000, ""), server.recv());
    closed.unwrap();
    client.flush().await.unwrap();
    assert!(matches!(client.ping(b"").await, Err(Error::Closing)));
}

/// Two connections in memory with settings of their own.
fn pair_with(client: &Config, server: &Config) -> (WebSocket, WebSocket) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connect = |stream, role, config| {
        WebSocket::from_transport(Transport::other(stream), role, BytesMut::new(), None, config)
    };
    (connect(near, Role::Client, client), connect(far, Role::Server, server))
}

#[tokio::test(start_paused = true)]
async fn pongs_that_were_asked_for_are_no_flood_and_others_are() {
    let mut patient = Config::new(Role::Client);
    patient.limits.max_idle_frames = 1_000;
    let (mut client, server) = pair_with(&patient, &Config::new(Role::Server));
    tokio::spawn(async move { while let Ok(Some(_)) = client.recv().await {} });
    let (sender, mut receiver) = server.split();
    tokio::spawn(async move {
        for _ in 0..300 {
            sender.ping(b"are you there?").await.unwrap();
            // Each ping is answered: of those that come together only the latest need be.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    for _ in 0..300 {
        let event = receiver.recv_event().await.unwrap();
        assert!(matches!(event, Some(Event::Pong(..))), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_a_pong_that_was_asked_for_still_passes() {
    let max = Config::new(Role::Server).limits.max_idle_frames as usize;
    let pong = [0x8a, 0x80, 0, 0, 0, 0];
    for (unasked, pings) in [(max - 1, 1), (max, 0), (max, 1), (max + 1, 0), (max + 1, 1)] {
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let config = Config::new(Role::Server);
        let mut server =
            WebSocket::from_transport(Transport::other(far), Role::Server, BytesMut::new(), None, &config);
        near.write_all(&pong.repeat(unasked)).await.unwrap();
        for number in 1..=unasked {
            let event = server.recv_event().await.unwrap();
            assert!(matches!(event, Some(Event::Pong(..))), "{number} of {unasked}: {event:?}");
        }
        // Asked for behind the others, it cannot stand for one of them.
        for _ in 0..pings {
            server.ping(b"").await.unwrap();
        }
        near.write_all(&pong.repeat(pings)).await.unwrap();
        if unasked > max {
            // It ends at once, though nothing comes behind.
            let received = server.recv().await;
            assert!(matches!(received, Err(Error::Violation(Violation::FrameFlood))), "{received:?}");
            continue;
        }
        near.write_all(&[0x82, 0x81, 0, 0, 0, 0, b'm']).await.unwrap();
        let received = server.recv().await.unwrap();
        assert_eq!(received, Some(Message::from(b"m".to_vec())), "{unasked} and {pings}");
    }
}

#[tokio::test]
async fn a_sender_that_gives_up_its_turn_leaves_it_to_the_next() {
    let mut config = Config::new(Role::Client);
    config.outbox_bytes = 4 << 10;
    let (client, mut server) = pair_with(&config, &Config::new(Role::Server));
    let (sender, receiver) = client.split();
    // More than the pipe holds, and the outbox is full behind it.
    sender.send(vec![0; 256 << 10]).await.unwrap();
    let mut gives_up = Box::pin(sender.send("never"));
    let mut waits = Box::pin(sender.send("later"));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(gives_up.as_mut().poll(&mut cx).is_pending());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    drop(gives_up);
    let reading = tokio::spawn(async move {
        assert_eq!(server.recv().await.unwrap().unwrap().len(), 256 << 10);
        server.recv().await.unwrap()
    });
    tokio::time::timeout(Duration::from_secs(10), waits).await.unwrap().unwrap();
    assert_eq!(reading.await.unwrap(), Some("later".into()));
    drop(receiver);
}

#[tokio::test]
async fn times_too_long_for_the_clock_are_never_over() {
    let never = |role| {
        let mut config = Config::new(role);
        (config.write_timeout, config.close_timeout) = (Duration::MAX, Duration::MAX);
        (config.limits.partial_message_timeout, config.limits.flood_window) = (Duration::MAX, Duration::MAX);
        config.keepalive = Some(KeepaliveConfig { interval: Duration::MAX, timeout: Duration::MAX });
        config
    };
    let (mut client, mut server) = pair_with(&never(Role::Client), &never(Role::Server));
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await? {
            server.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    // More than the pipe takes: it arrives in parts, and the rest waits to be written.
    let long = Message::binary(vec![7; 1 << 20]);
    client.send(long.clone()).await.unwrap();
    assert!(client.recv().await.unwrap() == Some(long));
    client.sender().ping(b"").await.unwrap();
    client.close(1000, "").await.unwrap();
    echo.await.unwrap().unwrap();
}
