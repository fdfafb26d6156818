//! Events, and the handlers that they are given to.

use crate::client::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use vaiven_socketio::{
    Args, Bin, Binary, Data, DisconnectReason, EmitError, Event, IoConfig, Namespace, Rejection, Socket,
    State, Value,
};

#[tokio::test(start_paused = true)]
async fn what_is_sent_on_joining_comes_behind_the_reply_and_in_order() {
    let namespace = Namespace::new().on_connect(async |socket: Socket, Data(auth): Data<Value>| {
        for number in 0..100 {
            socket.emit("n", number)?;
        }
        socket.emit("auth", (auth,))
    });
    let io = server(namespace);
    let mut client = Client::open(&io).await;
    client.connect(r#"0{"token":"a"}"#).await;
    for number in 0..100 {
        client.expect(&format!(r#"2["n",{number}]"#)).await;
    }
    client.expect(r#"2["auth",{"token":"a"}]"#).await;
}

#[tokio::test(start_paused = true)]
async fn arguments_come_as_what_handlers_ask_for() {
    let namespace = Namespace::new()
        .on("one", async |socket: Socket, Data(text): Data<String>| socket.emit("got", text))
        .on("two", async |socket: Socket, Data((a, b)): Data<(u8, Option<u8>)>| socket.emit("got", (b, a)))
        .on("raw", async |socket: Socket, args: Args, Event(name): Event| socket.emit(&name, &args))
        .on("any", async |socket: Socket, wrong: Result<Data<u8>, Rejection>| {
            socket.emit("got", wrong.is_err())
        })
        .on_any(async |socket: Socket, Event(name): Event| socket.emit("fallback", name.as_str()));
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    for (sent, expected) in [
        (r#"2["one","a",1]"#, r#"2["got","a"]"#),
        (r#"2["two",1]"#, r#"2["got",null,1]"#),
        (r#"2["raw", {"b": 1},  [] ]"#, r#"2["raw",{"b": 1},  []]"#),
        (r#"2["any","no number"]"#, r#"2["got",true]"#),
        (r#"2["else",1]"#, r#"2["fallback","else"]"#),
    ] {
        client.send(sent).await;
        client.expect(expected).await;
    }
    // What fits no handler's parameters is passed over.
    client.send(r#"2["one",5]"#).await;
    client.send(r#"2["one","still here"]"#).await;
    client.expect(r#"2["got","still here"]"#).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways() {
    let namespace = Namespace::new()
        .on("swap", async |socket: Socket, Data((a, b)): Data<(Binary, Binary)>| {
            socket.emit("swapped", (b, a))
        })
        .on("count", async |socket: Socket, Bin(attachments): Bin| socket.emit("count", attachments.len()));
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"52-["swap",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    client.send_binary(b"one").await;
    client.send_binary(b"two").await;
    client.expect(r#"52-["swapped",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    assert_eq!(client.next().await, Some(b"two".to_vec().into()));
    assert_eq!(client.next().await, Some(b"one".to_vec().into()));
    client.send(r#"51-["count",[{"_placeholder":true,"num":0}]]"#).await;
    client.send_binary(b"").await;
    client.expect(r#"2["count",1]"#).await;
}

#[tokio::test(start_paused = true)]
async fn handlers_of_a_socket_run_one_after_the_other() {
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| {
            sleep(Duration::from_secs(1)).await;
            socket.emit("ready", ())
        })
        .on("wait", async |socket: Socket, Data((seconds, name)): Data<(u64, String)>| {
            sleep(Duration::from_secs(seconds)).await;
            socket.emit("done", name)
        });
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"2["wait",5,"slow"]"#).await;
    client.send(r#"2["wait",0,"fast"]"#).await;
    client.expect(r#"2["ready"]"#).await;
    client.expect(r#"2["done","slow"]"#).await;
    client.expect(r#"2["done","fast"]"#).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_handlers_begin_in_order_and_overtake_only_who_waits() {
    let begun = Arc::new(AtomicUsize::new(0));
    let namespace = Namespace::new().concurrency(2).on(
        "wait",
        async |socket: Socket, State(begun): State<Arc<AtomicUsize>>, Data(seconds): Data<u64>| {
            let turn = begun.fetch_add(1, Ordering::SeqCst);
            if seconds > 0 {
                sleep(Duration::from_secs(seconds)).await;
            }
            socket.emit("done", (turn, seconds))
        },
    );
    let io = vaiven_socketio::Io::builder().namespace("/", namespace).state(begun).build();
    let (mut client, _) = Client::join(&io).await;
    for seconds in [3, 2, 0, 0] {
        client.send(&format!(r#"2["wait",{seconds}]"#)).await;
    }
    // Two at a time: the third begins when the second has ended.
    for (turn, seconds) in [(1, 2), (2, 0), (3, 0), (0, 3)] {
        client.expect(&format!(r#"2["done",{turn},{seconds}]"#)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_handlers_is_bounded_and_nothing_is_lost() {
    let mut config = IoConfig::default();
    config.max_waiting_events = 3;
    let namespace = Namespace::new().on("n", async |socket: Socket, Data(number): Data<u32>| {
        sleep(Duration::from_secs(1)).await;
        socket.emit("n", number)
    });
    let io = server_with(config, namespace);
    let (mut client, _) = Client::join(&io).await;
    for number in 0..20 {
        client.send(&format!(r#"2["n",{number}]"#)).await;
    }
    for number in 0..20 {
        client.expect(&format!(r#"2["n",{number}]"#)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_ends_its_connection_alone() {
    let (namespace, mut ends) = told(
        Namespace::new()
            .on("panic", async || assert!(std::hint::black_box(false), "as the test wants"))
            .on("ping", async |socket: Socket| socket.emit("pong", ())),
    );
    let io = server(namespace);
    let (mut victim, _) = Client::join(&io).await;
    let (mut other, _) = Client::join(&io).await;
    victim.send(r#"2["panic"]"#).await;
    assert_eq!(victim.end().await, []);
    assert_eq!(ends.recv().await, Some(DisconnectReason::HandlerPanicked));
    other.send(r#"2["ping"]"#).await;
    other.expect(r#"2["pong"]"#).await;
    assert_eq!(io.socket_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn reserved_names_are_not_sent() {
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server(namespace);
    let (_client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    for name in vaiven_socketio::packet::RESERVED_EVENTS {
        assert!(matches!(socket.emit(name, ()), Err(EmitError::ReservedEvent)));
        assert!(matches!(io.emit(name, ()), Err(EmitError::ReservedEvent)));
        assert!(socket.emit_with_ack(name, ()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_ends_the_connection_with_a_reason() {
    let mut config = IoConfig::default();
    config.engine.outbox_bytes = 64 << 10;
    let (namespace, mut sockets) = handed(Namespace::new());
    let (namespace, mut ends) = told(namespace);
    let io = server_with(config, namespace);
    let (client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    let mut sent = 0;
    let refused = loop {
        match socket.emit("fill", "x".repeat(10_000)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000, "an outbox of 64 KiB is full at some time");
        tokio::task::yield_now().await;
    };
    assert!(matches!(refused, EmitError::OutboxFull), "{refused}");
    assert_eq!(ends.recv().await, Some(DisconnectReason::OutboxFull));
    assert!(matches!(socket.emit("more", ()), Err(EmitError::Disconnected)));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn volatile_events_are_for_those_who_take_them_at_once() {
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server(namespace);
    let (mut client, _) = Client::join(&io).await;
    let socket = sockets.recv().await.expect("a socket");
    socket.volatile().emit("taken", ()).expect("it is sent");
    client.expect(r#"2["taken"]"#).await;
    // More than the pair in memory takes without being read.
    for _ in 0..10 {
        socket.emit("long", "x".repeat(90_000)).expect("it fits into the outbox");
    }
    tokio::task::yield_now().await;
    socket.volatile().emit("lost", ()).expect("it is lost without an error");
    io.to(socket.id().as_str()).volatile().emit("lost", ()).expect("it is lost without an error");
    for _ in 0..10 {
        assert!(client.text().await.starts_with(r#"2["long""#));
    }
    tokio::task::yield_now().await;
    socket.emit("last", ()).expect("it is sent");
    client.expect(r#"2["last"]"#).await;
}
