//! Rooms and the echo.

use crate::support::{TestServer, closed, next, patiently};
use std::time::Duration;
use vaiven::{CloseCode, Message};

#[tokio::test]
async fn what_one_sends_all_in_the_room_get_text_as_text_and_binary_as_binary() {
    let server = TestServer::start().await;
    let mut ana = server.connect("/c/sala").await;
    let mut luis = server.connect("/c/sala").await;
    server.metric_becomes("vaiven_members", 2.0).await;
    let messages =
        [Message::text("hola"), Message::binary(vec![0, 1, 255]), Message::text(""), Message::text("ñ 🌊")];
    for message in &messages {
        ana.send(message.clone()).await.unwrap();
    }
    for message in &messages {
        assert_eq!(&next(&mut ana).await, message);
        assert_eq!(&next(&mut luis).await, message);
    }
    luis.send("adiós").await.unwrap();
    assert_eq!(next(&mut ana).await, "adiós".into());
}

#[tokio::test]
async fn rooms_hear_nothing_of_each_other_and_names_are_compared_decoded() {
    let server = TestServer::start().await;
    let mut here = server.connect("/c/caf%C3%A9").await;
    let mut also_here = server.connect("/c/caf%c3%a9?x=1").await;
    let mut elsewhere = server.connect("/c/Caf%C3%A9").await;
    server.metric_becomes("vaiven_rooms", 2.0).await;
    server.metric_becomes("vaiven_members", 3.0).await;
    here.send("here").await.unwrap();
    elsewhere.send("elsewhere").await.unwrap();
    assert_eq!(next(&mut here).await, "here".into());
    assert_eq!(next(&mut also_here).await, "here".into());
    assert_eq!(next(&mut elsewhere).await, "elsewhere".into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_members_get_everything_in_the_same_order() {
    const SENDERS: usize = 8;
    const EACH: usize = 150;
    const MEMBERS: usize = 150;
    let server = TestServer::with(|settings| settings.message_burst = 1000).await;
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        members.push(server.connect("/c/many").await);
    }
    server.metric_becomes("vaiven_members", 150.0).await;
    for (index, member) in members.iter().take(SENDERS).enumerate() {
        let sender = member.sender();
        tokio::spawn(async move {
            for number in 0..EACH {
                sender.send(format!("{index} {number}")).await.unwrap();
            }
        });
    }
    let mut heard = Vec::new();
    for member in &mut members {
        let mut texts = Vec::new();
        for _ in 0..SENDERS * EACH {
            texts.push(next(member).await);
        }
        heard.push(texts);
    }
    assert!(heard.iter().all(|texts| texts == &heard[0]), "the order differs");
    for index in 0..SENDERS {
        let prefix = format!("{index} ");
        let own = heard[0].iter().filter_map(|text| text.as_text()?.strip_prefix(&prefix));
        assert!(own.eq((0..EACH).map(|number| number.to_string())), "the order of one sender is not kept");
    }
    server.metric_becomes("vaiven_messages_out_total", 180_000.0).await;
}

#[tokio::test]
async fn an_empty_room_can_be_entered_anew() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        let mut member = server.connect("/c/a").await;
        server.metric_becomes("vaiven_members", 1.0).await;
        member.close(CloseCode::NORMAL, "").await.unwrap();
        server.metric_becomes("vaiven_members", 0.0).await;
    }
    server.metric_becomes("vaiven_closes_total{code=\"1000\"}", 3.0).await;
}

#[tokio::test]
async fn a_member_that_goes_without_a_word_is_forgotten() {
    let server = TestServer::start().await;
    let mut stays = server.connect("/c/a").await;
    server.connect("/c/a").await.abort();
    server.metric_becomes("vaiven_members", 1.0).await;
    server.metric_becomes("vaiven_closes_total{code=\"1006\"}", 1.0).await;
    stays.send("alone").await.unwrap();
    assert_eq!(next(&mut stays).await, "alone".into());
}

#[tokio::test]
async fn a_slow_member_is_closed_to_come_back_and_costs_the_others_nothing() {
    let server = TestServer::with(|settings| {
        settings.outbox_bytes = 256 << 10;
        settings.message_burst = 10_000;
    })
    .await;
    let mut slow = server.connect("/c/busy").await;
    let mut quick = server.connect("/c/busy").await;
    server.metric_becomes("vaiven_members", 2.0).await;
    let payload = vec![7; 60 << 10];
    // Far more than the buffers of a socket take.
    for number in 0..400 {
        quick.send(payload.clone()).await.unwrap();
        assert_eq!(next(&mut quick).await.len(), payload.len(), "message {number}");
    }
    server.metric_becomes("vaiven_slow_consumers_total", 1.0).await;
    let mut got = 0;
    while patiently(slow.recv()).await.unwrap().is_some() {
        got += 1;
    }
    assert!(got > 0, "what was queued before still arrives");
    let frame = slow.close_frame().expect("it is told why");
    assert_eq!(frame.code, CloseCode::TRY_AGAIN);
    assert!(frame.reason.starts_with("slow consumer"), "{}", frame.reason);
    server.metric_becomes("vaiven_members", 1.0).await;
    quick.send("still here").await.unwrap();
    assert_eq!(next(&mut quick).await, "still here".into());
}

#[tokio::test]
async fn a_member_that_reads_nothing_at_all_is_dropped_after_the_write_timeout() {
    let server = TestServer::with(|settings| {
        settings.outbox_bytes = 64 << 20;
        settings.message_burst = 10_000;
        settings.write_timeout = Duration::from_millis(300);
    })
    .await;
    let stalled = server.connect("/c/busy").await;
    let mut quick = server.connect("/c/busy").await;
    server.metric_becomes("vaiven_members", 2.0).await;
    for _ in 0..300 {
        quick.send(vec![7; 60 << 10]).await.unwrap();
        next(&mut quick).await;
    }
    server.metric_becomes("vaiven_members", 1.0).await;
    drop(stalled);
}

#[tokio::test]
async fn rooms_and_members_have_a_bound() {
    let server = TestServer::with(|settings| {
        settings.max_rooms = 2;
        settings.max_room_members = 2;
    })
    .await;
    let first = server.connect("/c/a").await;
    let _second = server.connect("/c/a").await;
    let answer = server.ask(&server.upgrade("/c/a", "")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    let _third = server.connect("/c/b").await;
    let answer = server.ask(&server.upgrade("/c/c", "")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("rooms"), "{answer}");
    assert_eq!(server.metric("vaiven_rooms").await, Some(2.0));
    // A place that was given up can be taken.
    drop(first);
    server.metric_becomes("vaiven_members", 2.0).await;
    server.connect("/c/a").await;
    // A handshake that fails keeps no place.
    let answer = server.ask(&server.upgrade("/c/b", "Sec-WebSocket-Protocol: a,,b\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.connect("/c/b").await;
}

#[tokio::test]
async fn the_echo_sends_back_what_came() {
    let server = TestServer::start().await;
    let mut socket = server.connect("/echo").await;
    for message in [Message::text("hola"), Message::binary(vec![1; 64 << 10]), Message::binary(Vec::new())] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    server.metric_becomes("vaiven_messages_in_total", 3.0).await;
    server.metric_becomes("vaiven_messages_out_total", 3.0).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_closes_with_1009() {
    let server = TestServer::start().await;
    for path in ["/echo", "/c/a"] {
        let mut socket = server.connect(path).await;
        socket.send(vec![0; 64 << 10]).await.unwrap();
        assert_eq!(next(&mut socket).await.len(), 64 << 10);
        socket.send(vec![0; (64 << 10) + 1]).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 1009);
    }
    server.metric_becomes("vaiven_closes_total{code=\"1009\"}", 2.0).await;
}

#[tokio::test]
async fn a_burst_is_taken_and_one_more_message_closes_with_1008() {
    let server = TestServer::with(|settings| {
        settings.message_rate = 1;
        settings.message_burst = 50;
    })
    .await;
    for path in ["/echo", "/c/a"] {
        let mut socket = server.connect(path).await;
        for _ in 0..50 {
            socket.send("x").await.unwrap();
            next(&mut socket).await;
        }
        socket.send("y").await.unwrap();
        // Up to one more came back to the bucket meanwhile.
        let _ = socket.send("z").await;
        let (code, reason) = closed(&mut socket).await;
        assert_eq!(code, 1008);
        assert!(reason.contains("too many messages"), "{reason}");
    }
    server.metric_becomes("vaiven_rate_limited_total", 2.0).await;
}
