//! How sockets leave, and what is left of them: nothing.

use crate::client::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use vaiven_socketio::{DisconnectReason, Io, IoConfig, Namespace, Socket};

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_sent_away_is_told_and_its_connection_stays() {
    let (namespace, mut sockets) =
        handed(Namespace::new().on("echo", async |socket: Socket| socket.emit("echo", ())));
    let (namespace, mut ends) = told(namespace);
    let io = Io::builder().namespace("/", Namespace::new()).namespace("/a", namespace).build();
    let (mut client, _) = Client::join(&io).await;
    client.connect("0/a,").await;
    let socket = sockets.recv().await.expect("a socket");
    socket.disconnect();
    client.expect("1/a,").await;
    assert_eq!(ends.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    assert_eq!(socket.disconnect_reason(), Some(DisconnectReason::ServerNamespaceDisconnect));
    // What was on its way breaks no rule.
    client.send(r#"2/a,["echo"]"#).await;
    client.connect("0/a,").await;
    client.send(r#"2/a,["echo"]"#).await;
    client.expect(r#"2/a,["echo"]"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_sent_away_leaves_all_namespaces() {
    let (main, mut ends_of_main) = told(Namespace::new());
    let (a, mut ends_of_a) = told(Namespace::new());
    let (a, mut sockets) = handed(a);
    let io = Io::builder().namespace("/", main).namespace("/a", a).build();
    let (mut client, _) = Client::join(&io).await;
    client.connect("0/a,").await;
    sockets.recv().await.expect("a socket").disconnect_client();
    client.expect("1/a,").await;
    assert_eq!(client.end().await, []);
    assert_eq!(ends_of_a.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    assert_eq!(ends_of_main.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
}

#[tokio::test(start_paused = true)]
async fn each_end_has_its_reason() {
    let (namespace, mut ends) = told(Namespace::new());
    let mut config = IoConfig::default();
    config.engine.ping_interval = Duration::from_secs(1);
    config.engine.ping_timeout = Duration::from_secs(1);
    let io = server_with(config, namespace);
    let (client, _) = Client::join(&io).await;
    client.lose();
    assert_eq!(ends.recv().await, Some(DisconnectReason::TransportClose));

    let (client, _) = Client::join(&io).await;
    // It answers no ping.
    assert_eq!(ends.recv().await, Some(DisconnectReason::PingTimeout));
    drop(client);

    let (mut client, _) = Client::join(&io).await;
    io.close();
    client.end().await;
    assert_eq!(ends.recv().await, Some(DisconnectReason::ServerShuttingDown));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_end_is_handled_before_it_is_told() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let namespace = Namespace::new()
        .on("save", async |socket: Socket| {
            sleep(Duration::from_secs(1)).await;
            let tell = socket.state::<mpsc::UnboundedSender<&str>>().expect("it was given");
            tell.send("saved").expect("the test listens");
        })
        .on_disconnect(async |socket: Socket| {
            let tell = socket.state::<mpsc::UnboundedSender<&str>>().expect("it was given");
            tell.send("left").expect("the test listens");
        });
    let io = Io::builder().namespace("/", namespace).state(tell).build();
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"2["save"]"#).await;
    client.send(r#"2["save"]"#).await;
    client.send("1").await;
    client.lose();
    for expected in ["saved", "saved", "left"] {
        assert_eq!(told.recv().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_is_dropped_after_a_while() {
    let held = Arc::new(());
    let namespace = Namespace::new().on("hang", async |socket: Socket| {
        let held = socket.state::<Arc<()>>().expect("it was given");
        let _held: Arc<()> = (*held).clone();
        std::future::pending::<()>().await;
    });
    let io = Io::builder().namespace("/", namespace).state(Arc::clone(&held)).build();
    let (mut client, _) = Client::join(&io).await;
    client.send(r#"2["hang"]"#).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&held), 3);
    client.lose();
    sleep(Duration::from_secs(29)).await;
    assert_eq!(Arc::strong_count(&held), 3);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(Arc::strong_count(&held), 2);
    assert_eq!(io.socket_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_connections_that_ended() {
    let (namespace, mut sockets) = handed(Namespace::new());
    let io = server(namespace);
    for _ in 0..50 {
        let (client, _) = Client::join(&io).await;
        let socket = sockets.recv().await.expect("a socket");
        socket.join("room");
        drop(socket);
        client.lose();
    }
    while io.socket_count() + io.engine().session_count() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(io.to("room").sockets().is_empty());
}
