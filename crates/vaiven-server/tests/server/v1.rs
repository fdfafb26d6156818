//! `vaiven.v1.json` over WebSockets: what docs/protocol.md promises.

use crate::stream::{Events, command};
use crate::support::{TestServer, closed, next, patiently};
use serde_json::{Value, json};
use std::time::Duration;
use vaiven::{CloseCode, Message, WebSocket};

/// A client that speaks JSON.
pub(crate) struct Client {
    pub(crate) socket: WebSocket,
}

impl Client {
    pub(crate) async fn connect(server: &TestServer) -> Self {
        Self { socket: server.connect("/v1").await }
    }

    /// One that has its welcome, under a session.
    pub(crate) async fn welcomed(server: &TestServer, session: &str) -> Self {
        let mut client = Self::connect(server).await;
        client.send(json!({"type": "connect", "id": 0, "session": session})).await;
        let welcome = client.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        client
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.socket.send(message.to_string()).await.unwrap();
    }

    /// The next message but for pings.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = next(&mut self.socket).await;
            let value: Value = serde_json::from_str(message.as_text().expect("text")).unwrap();
            if value["type"] != "ping" {
                return value;
            }
        }
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    pub(crate) async fn ask(&mut self, message: Value) -> Value {
        let id = message["id"].clone();
        self.send(message).await;
        loop {
            let answer = self.next().await;
            if answer["id"] == id {
                return answer;
            }
        }
    }
}

const SESSION: &str = "a-secret-of-a-client";

#[tokio::test]
async fn the_example_of_the_document_works_without_a_connect() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "subscribe", "id": 1, "channel": "sala", "last": 10})).await;
    let welcome = client.next().await;
    assert_eq!(welcome["type"], "welcome");
    assert!(
        welcome["id"].is_null() && welcome["ping"] == 25_000 && welcome["session"].is_string(),
        "{welcome}"
    );
    let subscribed = client.next().await;
    assert_eq!(subscribed["type"], "subscribed");
    assert_eq!(
        (&subscribed["id"], &subscribed["contract"], &subscribed["offset"]),
        (&json!(1), &json!("reliable"), &json!(0))
    );
    client.send(json!({"type": "publish", "id": 2, "channel": "sala", "data": "hola"})).await;
    let (mut message, mut ok) = (client.next().await, client.next().await);
    if message["type"] == "ok" {
        std::mem::swap(&mut message, &mut ok);
    }
    assert_eq!(
        (&message["data"], &message["offset"], &message["channel"]),
        (&json!("hola"), &json!(1), &json!("sala"))
    );
    assert_eq!(message["client"], welcome["client"]);
    assert!(message["time"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!((&ok["id"], &ok["offset"], &ok["epoch"]), (&json!(2), &json!(1), &subscribed["epoch"]));
}

#[tokio::test]
async fn who_comes_back_with_a_position_gets_what_was_missed_once_and_in_order() {
    let server = TestServer::start().await;
    let mut ana = Client::welcomed(&server, SESSION).await;
    let subscribed = ana.ask(json!({"type": "subscribe", "id": 1, "channel": "sala"})).await;
    let mut luis = Client::welcomed(&server, "the-secret-of-another").await;
    for number in 1..=5 {
        luis.ask(json!({"type": "publish", "id": number, "channel": "sala", "data": number})).await;
    }
    for number in 1..=2 {
        assert_eq!(ana.next_of("message").await["data"], number);
    }
    ana.socket.abort();
    for number in 6..=700 {
        luis.send(json!({"type": "publish", "channel": "sala", "data": number})).await;
        if number % 50 == 0 {
            luis.ask(json!({"type": "ping", "id": number})).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    let mut ana = Client::welcomed(&server, SESSION).await;
    let since = json!({"epoch": subscribed["epoch"], "offset": 2});
    let again = ana.ask(json!({"type": "subscribe", "id": 1, "channel": "sala", "since": since})).await;
    assert_eq!(again["recovered"], true, "{again}");
    assert_eq!(again["offset"], 2);
    for number in 3..=700 {
        let message = ana.next_of("message").await;
        assert_eq!((&message["data"], &message["offset"]), (&json!(number), &json!(number)));
    }
    // Of another epoch there is nothing to resume: a new beginning, with as much as was asked for.
    let mut other = Client::welcomed(&server, SESSION).await;
    let since = json!({"epoch": "another", "offset": 2});
    let again =
        other.ask(json!({"type": "subscribe", "id": 1, "channel": "sala", "since": since, "last": 3})).await;
    assert_eq!((&again["recovered"], &again["offset"]), (&json!(false), &json!(697)));
    for number in 698..=700 {
        assert_eq!(other.next_of("message").await["data"], number);
    }
}

#[tokio::test]
async fn a_publication_that_is_sent_again_is_kept_once() {
    let server = TestServer::start().await;
    let publish =
        |id: u64, data: &str| json!({"type": "publish", "id": id, "channel": "sala", "data": data, "seq": 7});
    let mut client = Client::welcomed(&server, SESSION).await;
    let first = client.ask(publish(1, "a")).await;
    assert_eq!((&first["type"], &first["offset"]), (&json!("ok"), &json!(1)), "{first}");
    client.socket.abort();
    let mut client = Client::welcomed(&server, SESSION).await;
    let again = client.ask(publish(2, "a")).await;
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(1), &json!(true)), "{again}");
    let other = client.ask(publish(3, "b")).await;
    assert_eq!(other["code"], "conflict", "{other}");
    // Another session counts for itself.
    let mut other = Client::welcomed(&server, "the-secret-of-another").await;
    assert_eq!(other.ask(publish(4, "b")).await["offset"], 2);
}

#[tokio::test]
async fn a_client_has_the_same_name_whenever_its_session_comes_back() {
    let mut names = Vec::new();
    for session in [SESSION, SESSION, "the-secret-of-another"] {
        let server = TestServer::start().await;
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect", "session": session})).await;
        let welcome = client.next().await;
        assert_eq!(welcome["session"], session);
        names.push(welcome["client"].as_str().unwrap().to_owned());
    }
    assert_eq!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
    assert!(!names[0].contains(SESSION));
}

#[tokio::test]
async fn plain_members_and_clients_of_the_protocol_hear_each_other() {
    let server = TestServer::start().await;
    let mut plain = server.connect("/c/sala").await;
    let mut client = Client::welcomed(&server, SESSION).await;
    client.ask(json!({"type": "subscribe", "id": 1, "channel": "sala"})).await;
    plain.send("hola \"ñ\"").await.unwrap();
    assert_eq!(client.next_of("message").await["data"], "hola \"ñ\"");
    assert_eq!(next(&mut plain).await, "hola \"ñ\"".into());
    plain.send(vec![0, 10, 255]).await.unwrap();
    let message = next(&mut client.socket).await;
    let line = message.as_bytes().iter().position(|byte| *byte == b'\n').unwrap();
    assert_eq!(&message.as_bytes()[line + 1..], [0, 10, 255]);
    assert!(!message.is_text());
    let head: Value = serde_json::from_slice(&message.as_bytes()[..line]).unwrap();
    assert_eq!((&head["type"], &head["offset"]), (&json!("message"), &json!(2)));
    assert_eq!(next(&mut plain).await, Message::binary(vec![0, 10, 255]));
    // What is said beside the conversation is not for a plain member: who is writing, say.
    client
        .send(json!({"type": "publish", "channel": "sala", "data": {"writing": true}, "ephemeral": true}))
        .await;
    client.send(json!({"type": "publish", "channel": "sala", "data": "text"})).await;
    assert_eq!(next(&mut plain).await, "text".into());
    client
        .socket
        .send("{\"type\":\"publish\",\"channel\":\"sala\",\"data\":{\"a\": [1,  2]}}")
        .await
        .unwrap();
    assert_eq!(next(&mut plain).await, "{\"a\": [1,  2]}".into());
    client.socket.send(b"{\"type\":\"publish\",\"channel\":\"sala\"}\n\x01\n".to_vec()).await.unwrap();
    assert_eq!(next(&mut plain).await, Message::binary(b"\x01\n".to_vec()));
}

#[tokio::test]
async fn mistakes_are_answered_and_the_connection_stays() {
    let server = TestServer::start().await;
    let mut client = Client::welcomed(&server, SESSION).await;
    client.ask(json!({"type": "subscribe", "id": 0, "channel": "here"})).await;
    let rows = [
        (json!({"type": "subscribe", "id": 1, "channel": "here"}), "already_subscribed"),
        (json!({"type": "unsubscribe", "id": 1, "channel": "there"}), "not_subscribed"),
        (json!({"type": "subscribe", "id": 1, "channel": "nowhere:1"}), "unknown_namespace"),
        (json!({"type": "subscribe", "id": 1, "channel": "default:1"}), "unknown_namespace"),
        (json!({"type": "publish", "id": 1, "channel": "nowhere:1", "data": 1}), "unknown_namespace"),
        (json!({"type": "subscribe", "id": 1, "channel": ""}), "channel_name"),
        (json!({"type": "subscribe", "id": 1, "channel": "a b"}), "channel_name"),
        (json!({"type": "subscribe", "id": 1, "channel": "a*"}), "channel_name"),
        (json!({"type": "subscribe", "id": 1, "channel": "x".repeat(256)}), "channel_name"),
        (json!({"type": "history", "id": 1, "channel": "live:1"}), "not_kept"),
        (json!({"type": "presence", "id": 1, "channel": "live:1"}), "not_kept"),
        (json!({"type": "connect", "id": 1}), "bad_request"),
        (json!({"type": "dance", "id": 1}), "unknown_type"),
        (json!({"type": "publish", "id": 1, "channel": "a"}), "bad_request"),
        (json!({"id": 1}), "bad_request"),
    ];
    for (command, code) in rows {
        let answer = client.ask(command.clone()).await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(code)),
            "{command}: {answer}"
        );
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
    for text in ["null", "[]", "", "{", "\"ping\""] {
        client.socket.send(text).await.unwrap();
        assert_eq!(client.next_of("error").await["code"], "bad_request", "{text}");
    }
    assert_eq!(client.ask(json!({"type": "ping", "id": 9})).await["type"], "pong");
    server.metric_becomes("vaiven_errors_total{code=\"bad_request\"}", 8.0).await;
}

#[tokio::test]
async fn what_is_no_protocol_closes_with_its_code_and_says_so_first() {
    let server = TestServer::start().await;
    let deep =
        format!("{{\"type\":\"publish\",\"channel\":\"a\",\"data\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let rows: [(Message, u16); 3] = [
        (Message::binary(b"hola".to_vec()), 1003),
        (Message::binary(b"\xff\n".to_vec()), 1003),
        (Message::text(deep), 1008),
    ];
    for (message, code) in rows {
        let mut client = Client::welcomed(&server, SESSION).await;
        client.socket.send(message).await.unwrap();
        let last = client.next().await;
        assert_eq!((&last["type"], &last["code"]), (&json!("disconnect"), &json!(code)));
        assert_eq!(closed(&mut client.socket).await.0, code);
    }
}

#[tokio::test]
async fn channels_have_a_bound_for_each_client() {
    let server = TestServer::with(|settings| settings.max_channels_per_client = 3).await;
    let mut client = Client::welcomed(&server, SESSION).await;
    for number in 0..3 {
        let subscribe = json!({"type": "subscribe", "id": number, "channel": format!("c{number}")});
        assert_eq!(client.ask(subscribe).await["type"], "subscribed");
    }
    let one_more = json!({"type": "subscribe", "id": 4, "channel": "c4"});
    assert_eq!(client.ask(one_more.clone()).await["code"], "too_many_channels");
    assert_eq!(client.ask(json!({"type": "unsubscribe", "id": 5, "channel": "c0"})).await["type"], "ok");
    assert_eq!(client.ask(one_more).await["type"], "subscribed");
}

/// One client cannot fill the server with names of channels, under as many sessions as it likes; who has the HTTP API may.
#[tokio::test]
async fn channels_that_an_address_makes_are_bounded_and_those_that_are_there_go_on() {
    let key = "a-key-of-the-operator-of-32-bytes";
    let server = TestServer::with(|settings| {
        settings.max_new_channels = 2;
        settings.api_keys = vec![key.to_owned().into()];
    })
    .await;
    let mut first = Client::welcomed(&server, SESSION).await;
    let mut second = Client::welcomed(&server, "another-secret-of-it").await;
    let publish =
        |id: u32, channel: &str| json!({"type": "publish", "id": id, "channel": channel, "data": 1});
    assert_eq!(first.ask(publish(1, "a")).await["type"], "ok");
    assert_eq!(second.ask(publish(1, "b")).await["type"], "ok");
    let refused = first.ask(publish(2, "c")).await;
    assert_eq!(refused["code"], "rate", "{refused}");
    assert!(refused["retry"].as_u64().is_some(), "{refused}");
    assert_eq!(first.ask(publish(3, "b")).await["type"], "ok");
    let mut member = server.connect("/c/d").await;
    member.send("hola").await.unwrap();
    assert_eq!(closed(&mut member).await.0, 1013, "a plain member is bounded with them");
    let body = r#"{"channel":"c","data":1}"#;
    let fields = format!(
        "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let request = server.get("/api/v1/publish", &fields).replacen("GET", "POST", 1) + body;
    assert!(server.ask(&request).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(first.ask(publish(4, "c")).await["type"], "ok", "it is there now");
}

#[tokio::test]
async fn history_is_read_in_both_directions() {
    let server = TestServer::start().await;
    let mut client = Client::welcomed(&server, SESSION).await;
    for number in 1..=5 {
        client.ask(json!({"type": "publish", "id": number, "channel": "h", "data": number})).await;
    }
    client
        .socket
        .send(b"{\"type\":\"publish\",\"channel\":\"h\",\"id\":6}\n\x00\x01".to_vec())
        .await
        .unwrap();
    client.next_of("ok").await;
    let page = client.ask(json!({"type": "history", "id": 7, "channel": "h", "limit": 2})).await;
    let data = |page: &Value| -> Vec<Value> {
        page["publications"].as_array().unwrap().iter().map(|one| one["data"].clone()).collect()
    };
    assert_eq!(
        (data(&page), &page["more"], &page["offset"]),
        (vec![json!(1), json!(2)], &json!(true), &json!(6))
    );
    let since = json!({"epoch": page["epoch"], "offset": 3});
    let page = client.ask(json!({"type": "history", "id": 8, "channel": "h", "since": since})).await;
    assert_eq!((page["publications"].as_array().unwrap().len(), &page["more"]), (3, &json!(false)));
    assert_eq!(page["publications"][2]["base64"], "AAE=");
    let page = client
        .ask(json!({"type": "history", "id": 9, "channel": "h", "since": since, "reverse": true}))
        .await;
    assert_eq!(data(&page), vec![json!(2), json!(1)]);
}

#[tokio::test]
async fn presence_is_listed_and_told() {
    let server = TestServer::start().await;
    let mut ana = Client::welcomed(&server, SESSION).await;
    ana.ask(json!({"type": "subscribe", "id": 1, "channel": "sala", "presence": true})).await;
    let first = ana.next_of("presence_changed").await;
    assert_eq!(first["count"], 1);
    let mut luis = Client::connect(&server).await;
    luis.send(json!({"type": "subscribe", "channel": "sala"})).await;
    let name = luis.next_of("welcome").await["client"].clone();
    let joined = ana.next_of("presence_changed").await;
    assert_eq!((&joined["count"], &joined["joined"]), (&json!(2), &json!([{"client": name}])));
    let present = ana.ask(json!({"type": "presence", "id": 2, "channel": "sala"})).await;
    assert_eq!((&present["count"], present["clients"].as_array().unwrap().len()), (&json!(2), 2));
    luis.socket.close(CloseCode::NORMAL, "").await.unwrap();
    let left = ana.next_of("presence_changed").await;
    assert_eq!((&left["count"], &left["left"]), (&json!(1), &json!([{"client": name}])));
}

#[tokio::test]
async fn latest_and_ephemeral_publications_are_what_their_contracts_say() {
    let server = TestServer::start().await;
    let mut client = Client::welcomed(&server, SESSION).await;
    for (key, data) in [("a", 1), ("b", 2), ("a", 3)] {
        client
            .ask(json!({"type": "publish", "id": 1, "channel": "latest:p", "key": key, "data": data}))
            .await;
    }
    client.ask(json!({"type": "publish", "id": 1, "channel": "latest:p", "key": "b", "remove": true})).await;
    let subscribed = client.ask(json!({"type": "subscribe", "id": 2, "channel": "latest:p"})).await;
    assert_eq!((&subscribed["contract"], &subscribed["offset"]), (&json!("latest"), &Value::Null));
    let newest = client.next_of("message").await;
    assert_eq!((&newest["key"], &newest["data"]), (&json!("a"), &json!(3)));
    client.ask(json!({"type": "subscribe", "id": 3, "channel": "sala"})).await;
    client.send(json!({"type": "publish", "channel": "sala", "data": "writes", "ephemeral": true})).await;
    let writes = client.next_of("message").await;
    assert_eq!((&writes["data"], &writes["offset"]), (&json!("writes"), &Value::Null));
}

#[tokio::test]
async fn a_slow_client_is_sent_away_to_come_back_and_others_never_wait() {
    let server = TestServer::with(|settings| {
        settings.outbox_bytes = 256 << 10;
        settings.message_burst = 10_000;
        settings.max_message_bytes = 128 << 10;
    })
    .await;
    let mut slow = Client::welcomed(&server, SESSION).await;
    slow.ask(json!({"type": "subscribe", "id": 1, "channel": "busy"})).await;
    let mut quick = Client::welcomed(&server, "the-secret-of-another").await;
    quick.ask(json!({"type": "subscribe", "id": 1, "channel": "busy"})).await;
    let data = "x".repeat(60 << 10);
    for number in 0..400 {
        quick.send(json!({"type": "publish", "channel": "busy", "data": data})).await;
        assert_eq!(quick.next_of("message").await["offset"], number + 1);
    }
    server.metric_becomes("vaiven_slow_consumers_total", 1.0).await;
    let mut last = Value::Null;
    while let Some(message) = patiently(slow.socket.recv()).await.unwrap() {
        last = serde_json::from_str(message.as_text().unwrap()).unwrap();
    }
    assert_eq!(slow.socket.close_frame().unwrap().code, CloseCode::TRY_AGAIN);
    if last["type"] == "disconnect" {
        assert!(last["code"] == 1013 && last["retry"].as_u64().unwrap() > 0, "{last}");
    }
}

#[tokio::test]
async fn a_silent_client_is_pinged_once_in_each_interval() {
    let server = TestServer::with(|settings| settings.ping_interval = Duration::from_millis(200)).await;
    let mut client = Client::welcomed(&server, SESSION).await;
    for _ in 0..2 {
        let before = std::time::Instant::now();
        let ping = next(&mut client.socket).await;
        assert_eq!(ping, Message::text("{\"type\":\"ping\"}"));
        // Never later than the interval that `welcome` tells and the grace of 10 s that a client gives.
        assert!(before.elapsed() < Duration::from_secs(10));
        client.socket.send("{\"type\":\"pong\"}").await.unwrap();
    }
}

/// M11, over both ways to the server.
#[tokio::test]
async fn who_sends_faster_than_it_may_is_sent_away_with_1008_and_a_time_to_come_back() {
    let server = TestServer::with(|settings| (settings.message_rate, settings.message_burst) = (1, 5)).await;
    let mut client = Client::connect(&server).await;
    for id in 1..=5 {
        assert_eq!(client.ask(json!({"type": "ping", "id": id})).await["type"], "pong", "{id}");
    }
    for id in 6..=12 {
        // It may be gone already.
        let _ = client.socket.send(json!({"type": "ping", "id": id}).to_string()).await;
    }
    let last = client.next_of("disconnect").await;
    assert!(last["code"] == 1008 && last["retry"].as_u64().unwrap() >= 2_000, "{last}");
    assert_eq!(closed(&mut client.socket).await.0, 1008);
    let mut events = Events::open(&server, "", "").await;
    let stream = events.next().await["stream"].as_str().unwrap().to_owned();
    let list = Value::from(vec![json!({"type": "ping", "id": 1}); 12]).to_string();
    command(&server, &stream, "application/json", &list).await;
    while let message = events.next().await
        && message["code"] != 1008
    {
        assert_eq!(message["type"], "pong", "{message}");
    }
    server.metric_becomes("vaiven_rate_limited_total", 2.0).await;
    server.metric_becomes("vaiven_closes_total{code=\"1008\"}", 2.0).await;
}
