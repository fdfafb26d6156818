//! Packets that break a rule, over real sockets: each ends its connection and no other, and leaves nothing behind.

use crate::client::*;
use std::time::Duration;
use vaiven_socketio::{Args, DisconnectReason, Io, IoConfig, Namespace, Socket};

struct Fixture {
    io: Io,
    address: std::net::SocketAddr,
    ends: Ends,
    bystander: Client,
}

impl Fixture {
    async fn new() -> Self {
        let echo = Namespace::new().on("echo", async |socket: Socket, args: Args| socket.emit("echo", &args));
        let (namespace, ends) = told(echo);
        let io = server(namespace);
        let address = listen(&io).await;
        let mut bystander = Client::dial(address).await;
        bystander.connect("0").await;
        Self { io, address, ends, bystander }
    }

    /// Sends all of it, the last of which must end the connection.
    async fn check_closed(&mut self, packets: &[&str]) {
        let mut client = Client::dial(self.address).await;
        client.connect("0").await;
        for packet in packets {
            match packet.strip_prefix('~') {
                Some(bytes) => client.send_binary(bytes.as_bytes()).await,
                None => client.send(packet).await,
            }
        }
        assert_eq!(client.end().await, [], "{packets:?}");
        assert_eq!(self.ends.recv().await, Some(DisconnectReason::ParseError), "{packets:?}");
        self.check_others().await;
    }

    async fn check_others(&mut self) {
        self.bystander.send(r#"2["echo",1]"#).await;
        self.bystander.expect(r#"2["echo",1]"#).await;
        assert_eq!(self.io.socket_count(), 1);
    }
}

#[tokio::test]
async fn more_than_ten_attachments_end_the_connection() {
    let mut fixture = Fixture::new().await;
    fixture.check_closed(&[r#"511-["echo"]"#]).await;
    fixture.check_closed(&[r#"5999999999-["echo"]"#]).await;
}

#[tokio::test]
async fn an_illegal_number_of_attachments_ends_the_connection() {
    let mut fixture = Fixture::new().await;
    for packet in ["50-", "5-", "5x-", "511-", "5999999999-", "50-[\"echo\"]", "5"] {
        fixture.check_closed(&[packet]).await;
    }
}

#[tokio::test]
async fn a_placeholder_without_an_attachment_ends_the_connection() {
    let mut fixture = Fixture::new().await;
    for num in ["1", "-1", "\"0\"", "0.5", "null"] {
        let packet = format!(r#"51-["echo",{{"_placeholder":true,"num":{num}}}]"#);
        fixture.check_closed(&[&packet]).await;
    }
}

#[tokio::test]
async fn text_where_an_attachment_is_due_ends_the_connection() {
    let mut fixture = Fixture::new().await;
    fixture.check_closed(&[r#"51-["echo",{"_placeholder":true,"num":0}]"#, r#"2["echo"]"#]).await;
    fixture.check_closed(&["~bytes"]).await;
}

#[tokio::test]
async fn attachments_are_bounded_together() {
    let mut fixture = Fixture::new().await;
    let half = format!("~{}", "x".repeat(500_000));
    fixture.check_closed(&[r#"53-["echo"]"#, &half, &half]).await;
}

#[tokio::test]
async fn an_event_without_a_name_of_its_own_ends_the_connection() {
    let mut fixture = Fixture::new().await;
    for packet in
        ["2[]", "2[1]", "2[{}]", "2{}", "2", r#"2["connect"]"#, r#"2["disconnect"]"#, r#"2["newListener"]"#]
    {
        fixture.check_closed(&[packet]).await;
    }
}

#[tokio::test]
async fn an_acknowledgement_out_of_range_ends_the_connection_and_an_unknown_one_does_not() {
    let mut fixture = Fixture::new().await;
    fixture.check_closed(&[r#"29007199254740993["echo"]"#]).await;
    fixture.check_closed(&["39007199254740993[]"]).await;
    fixture.check_closed(&["3[]"]).await;
    fixture.bystander.send("39007199254740992[1]").await;
    fixture.check_others().await;
}

#[tokio::test]
async fn an_unknown_namespace_is_refused_and_the_connection_stays() {
    let mut fixture = Fixture::new().await;
    fixture.bystander.send("0/x").await;
    fixture.bystander.expect(r#"4/x,{"message":"Invalid namespace"}"#).await;
    fixture.check_others().await;
}

#[tokio::test]
async fn an_event_before_connect_ends_the_connection() {
    let mut fixture = Fixture::new().await;
    for packet in [r#"2["echo"]"#, "30[]", "1", r#"2/x,["echo"]"#, "4{}"] {
        let mut client = Client::dial(fixture.address).await;
        client.send(packet).await;
        assert_eq!(client.end().await, [], "{packet}");
    }
    fixture.check_closed(&["0"]).await;
    fixture.check_closed(&[r#"2/x,["echo"]"#]).await;
    fixture.check_others().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_joins_nothing_in_time_is_ended() {
    let io = server(Namespace::new());
    let mut idle = Client::open(&io).await;
    let (mut joined, _) = Client::join(&io).await;
    let begun = tokio::time::Instant::now();
    let stays = tokio::spawn(async move { joined.next().await });
    idle.end().await;
    assert_eq!(begun.elapsed(), IoConfig::default().connect_timeout);
    assert_eq!(begun.elapsed(), Duration::from_secs(45));
    assert!(tokio::time::timeout(Duration::from_mins(5), stays).await.is_err(), "who has joined stays");
}
