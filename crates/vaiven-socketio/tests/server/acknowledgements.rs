//! Acknowledgements in both directions.

use crate::client::*;
use std::time::Duration;
use tokio::time::Instant;
use vaiven_socketio::{Ack, AckError, Args, Data, EmitError, IoConfig, Namespace, Socket};

#[tokio::test(start_paused = true)]
async fn an_event_is_acknowledged_where_the_client_asks_for_it() {
    let namespace = Namespace::new().on("echo", async |args: Args, ack: Ack, socket: Socket| {
        socket.emit("expected", ack.is_expected())?;
        ack.send(&args)
    });
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"27["echo",1,"a"]"#).await;
    client.expect(r#"2["expected",true]"#).await;
    client.expect(r#"37[1,"a"]"#).await;
    client.send(r#"2["echo",1]"#).await;
    client.expect(r#"2["expected",false]"#).await;
    client.send(r#"28["echo"]"#).await;
    client.expect(r#"2["expected",true]"#).await;
    client.expect("38[]").await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_awaits_an_acknowledgement_while_events_arrive() {
    let namespace = Namespace::new()
        .on("ask", async |socket: Socket| {
            let answer: (u8, String) =
                socket.emit_with_ack("question", "?").await?.parse().expect("what the test says");
            socket.emit("answer", answer).map_err(AckError::Emit)
        })
        .on("later", async |socket: Socket| socket.emit("later", ()));
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"2["ask"]"#).await;
    client.expect(r#"20["question","?"]"#).await;
    client.send(r#"2["later"]"#).await;
    client.send(r#"30[1,"b"]"#).await;
    client.expect(r#"2["answer",1,"b"]"#).await;
    client.expect(r#"2["later"]"#).await;
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_awaited_for_as_long_as_it_says() {
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    for (timeout, expected) in
        [(None, Duration::from_secs(10)), (Some(Duration::from_millis(5)), Duration::from_millis(5))]
    {
        let begun = Instant::now();
        let ack = match timeout {
            Some(timeout) => socket.timeout(timeout).emit_with_ack("q", ()),
            None => socket.emit_with_ack("q", ()),
        };
        assert!(matches!(ack.await, Err(AckError::Timeout)));
        // The timer counts in milliseconds, and rounds up.
        assert!(begun.elapsed().abs_diff(expected) <= Duration::from_millis(1), "{:?}", begun.elapsed());
    }
    // What comes too late is passed over.
    client.expect(r#"20["q"]"#).await;
    client.send("30[]").await;
    let ack = socket.emit_with_ack("q", ());
    client.expect(r#"21["q"]"#).await;
    client.expect(r#"22["q"]"#).await;
    client.send("32[5]").await;
    assert_eq!(ack.await.expect("an answer").parse::<u8>().expect("a number"), 5);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_socket_that_leaves_is_told() {
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server(namespace);
    let (client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    let ack = socket.emit_with_ack("q", ());
    client.lose();
    assert!(matches!(ack.await, Err(AckError::Disconnected)));
    assert!(matches!(socket.emit_with_ack("q", ()).await, Err(AckError::Emit(EmitError::Disconnected))));
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_that_are_owed_are_bounded() {
    let mut config = IoConfig::default();
    config.max_pending_acks = 2;
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server_with(config, namespace);
    let (mut client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    let first = socket.emit_with_ack("q", ());
    let _second = socket.emit_with_ack("q", ());
    let third = socket.emit_with_ack("q", ());
    assert!(matches!(third.await, Err(AckError::Emit(EmitError::TooManyPending))));
    client.send("30[]").await;
    first.await.expect("an answer");
    let again = socket.emit_with_ack("q", ());
    // What nobody awaits any more is not owed.
    drop(again);
    let _fourth = socket.emit_with_ack("q", ());
    let fifth = socket.emit_with_ack("q", ());
    assert!(matches!(fifth.await, Err(AckError::Emit(EmitError::TooManyPending))));
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_gathers_the_acknowledgements_of_all_who_answer() {
    let io = server(Namespace::new());
    let (mut first, first_id) = Client::join(&io).await;
    let (mut second, second_id) = Client::join(&io).await;
    let (_silent, _) = Client::join(&io).await;
    let acks =
        io.of("/").expect("it is there").timeout(Duration::from_secs(3)).emit_with_ack("q", 1).expect("sent");
    assert_eq!(acks.expected(), 3);
    for (client, answer) in [(&mut first, "30[1]"), (&mut second, "30[2]")] {
        client.expect(r#"20["q",1]"#).await;
        client.send(answer).await;
    }
    let begun = Instant::now();
    let answers = acks.all().await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "the silent one is waited for");
    let mut answers: Vec<_> = answers
        .into_iter()
        .map(|(id, args)| (args.parse::<u8>().expect("a number"), id.to_string()))
        .collect();
    answers.sort();
    assert_eq!(answers, [(1, first_id), (2, second_id)]);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_does_not_wait_for_those_who_leave() {
    let io = server(Namespace::new());
    let (client, _) = Client::join(&io).await;
    let acks = io.of("/").expect("it is there").emit_with_ack("q", Data(1).0).expect("sent");
    client.lose();
    let begun = Instant::now();
    assert!(acks.all().await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(1));
}
