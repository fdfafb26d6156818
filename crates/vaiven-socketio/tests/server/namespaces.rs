//! Namespaces: who may join, several on one connection, those that come and go.

use crate::client::*;
use std::time::Duration;
use tokio::time::sleep;
use vaiven_socketio::{ConnectError, Data, DisconnectReason, Io, IoConfig, Namespace, Socket};

fn echo() -> Namespace {
    Namespace::new().on("echo", async |socket: Socket| socket.emit("echo", socket.namespace().as_str()))
}

#[tokio::test(start_paused = true)]
async fn namespaces_of_a_connection_are_apart() {
    let (a, mut ends_of_a) = told(echo());
    let io = Io::builder().namespace("/", echo()).namespace("/a", a).build();
    let mut client = Client::open(&io).await;
    let main = client.connect("0").await;
    let other = client.connect("0/a,").await;
    assert_ne!(main, other);
    client.send(r#"2/a,["echo"]"#).await;
    client.expect(r#"2/a,["echo","/a"]"#).await;
    client.send("1/a,").await;
    assert_eq!(ends_of_a.recv().await, Some(DisconnectReason::ClientNamespaceDisconnect));
    client.send(r#"2["echo"]"#).await;
    client.expect(r#"2["echo","/"]"#).await;
    client.connect("0/a,").await;
    client.send(r#"2/a,["echo"]"#).await;
    client.expect(r#"2/a,["echo","/a"]"#).await;
    assert_eq!(io.socket_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn middleware_is_asked_in_order_and_may_refuse_with_data() {
    #[derive(serde::Deserialize)]
    struct Auth {
        token: String,
    }
    let namespace = echo()
        .middleware(async |Data(auth): Data<Auth>| {
            sleep(Duration::from_secs(1)).await;
            if auth.token == "no" {
                return Err(ConnectError::new("refused").with_data(&serde_json::json!({"code": 7})));
            }
            Ok(())
        })
        .middleware(async |socket: Socket| {
            if socket.handshake().query().any(|(key, _)| key == "banned") {
                return Err(ConnectError::new("banned"));
            }
            Ok(())
        });
    let io = server(namespace);
    let mut client = Client::open(&io).await;
    client.send(r#"0{"token":"no"}"#).await;
    client.expect(r#"4{"message":"refused","data":{"code":7}}"#).await;
    client.send("0").await;
    let refusal = client.json().await;
    assert!(refusal["message"].as_str().expect("text").contains("token"), "{refusal}");
    client.connect(r#"0{"token":"yes"}"#).await;
    client.send(r#"2["echo"]"#).await;
    client.expect(r#"2["echo","/"]"#).await;

    let mut client = Client::open_at(&io, "/socket.io/?EIO=4&transport=websocket&banned=1").await;
    client.send(r#"0{"token":"yes"}"#).await;
    client.expect(r#"4{"message":"banned"}"#).await;
    assert_eq!(io.socket_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_decides_holds_up_no_other() {
    let slow = echo().middleware(async || {
        sleep(Duration::from_secs(5)).await;
        Ok(())
    });
    let io = Io::builder().namespace("/", echo()).namespace("/slow", slow).build();
    let mut client = Client::open(&io).await;
    client.send("0/slow,").await;
    client.connect("0").await;
    client.send(r#"2["echo"]"#).await;
    client.expect(r#"2["echo","/"]"#).await;
    assert!(client.text().await.starts_with("0/slow,{"));
    // Who sends before it has an answer breaks a rule.
    let mut hasty = Client::open(&io).await;
    hasty.send("0/slow,").await;
    hasty.send(r#"2/slow,["echo"]"#).await;
    assert_eq!(hasty.end().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_namespace_is_there_as_long_as_somebody_is_in_it() {
    let io = Io::builder()
        .namespace("/", echo())
        .dynamic(
            |name| name.strip_prefix("/room-").is_some_and(|number| number.parse::<u8>().is_ok()),
            echo(),
        )
        .build();
    let mut client = Client::open(&io).await;
    client.send("0/room-x,").await;
    client.expect(r#"4/room-x,{"message":"Invalid namespace"}"#).await;
    assert!(io.of("/room-1").is_none());
    client.connect("0/room-1,").await;
    io.of("/room-1").expect("somebody is in it").emit("hi", ()).expect("sent");
    client.expect(r#"2/room-1,["hi"]"#).await;
    client.send("1/room-1,").await;
    client.connect("0").await;
    assert!(io.of("/room-1").is_none(), "nobody is in it");
    assert!(io.of("/").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_in_as_many_namespaces_as_the_limit_says() {
    let mut config = IoConfig::default();
    config.max_namespaces = 2;
    let io = Io::builder().config(config).dynamic(|_| true, echo()).build();
    let mut client = Client::open(&io).await;
    client.connect("0/a,").await;
    client.connect("0/b,").await;
    client.send("0/c,").await;
    client.expect(r#"4/c,{"message":"Too many namespaces"}"#).await;
    client.send("1/a,").await;
    client.connect("0/c,").await;
}
