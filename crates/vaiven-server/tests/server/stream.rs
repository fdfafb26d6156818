//! `vaiven.v1.json` over Server-Sent Events and POST.

use crate::support::{TestServer, Wire, next};
use crate::v1::Client;
use serde_json::{Value, json};

/// A response of events.
pub(crate) struct Events {
    wire: Wire,
    text: String,
}

impl Events {
    pub(crate) async fn open(server: &TestServer, query: &str, fields: &str) -> Self {
        Self::at(server, &format!("/v1/events{query}"), fields).await
    }

    /// Those of another path.
    pub(crate) async fn at(server: &TestServer, path: &str, fields: &str) -> Self {
        let mut wire = server.wire().await;
        wire.send(&server.get(path, fields)).await;
        let mut events = Self { wire, text: String::new() };
        let head = events.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        events
    }

    /// What comes up to a mark, chunks of HTTP/1.1 left as they are.
    async fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some((before, after)) = self.text.split_once(mark) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return before;
            }
            let more = self.wire.some().await;
            assert!(!more.is_empty(), "it ends early: {}", self.text);
            self.text.push_str(&more);
        }
    }

    /// The fields of the next event.
    async fn event(&mut self) -> Vec<(String, String)> {
        let event = self.until("\n\n").await;
        let lines = event.lines().filter_map(|line| line.split_once(": "));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let event = self.event().await;
            let data = &event.iter().find(|(name, _)| name == "data").unwrap().1;
            let message: Value = serde_json::from_str(data).unwrap();
            if message["type"] != "ping" {
                return message;
            }
        }
    }
}

impl Events {
    /// All that comes until the stream ends.
    pub(crate) async fn rest(&mut self) -> String {
        self.wire.rest().await
    }
}

pub(crate) async fn command(server: &TestServer, stream: &str, content_type: &str, body: &str) -> String {
    let request = format!(
        "POST /v1/commands HTTP/1.1\r\nHost: {}\r\nVaiven-Stream: {stream}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    server.ask(&request).await
}

const JSON: &str = "application/json";

#[tokio::test]
async fn the_same_session_is_served_by_events_and_requests() {
    let server = TestServer::start().await;
    let mut events = Events::open(&server, "", "Vaiven-Session: a-secret-of-a-client\r\n").await;
    let welcome = events.next().await;
    assert_eq!((&welcome["type"], &welcome["session"]), (&json!("welcome"), &json!("a-secret-of-a-client")));
    let stream = welcome["stream"].as_str().unwrap().to_owned();
    let mut socket = Client::welcomed(&server, "a-secret-of-a-client").await;
    let present = json!({"type": "subscribe", "id": 1, "channel": "sala"}).to_string();
    assert!(command(&server, &stream, JSON, &present).await.starts_with("HTTP/1.1 202 "));
    assert_eq!(events.next().await["type"], "subscribed");
    let list = json!([
        {"type": "publish", "id": 2, "channel": "sala", "data": 1},
        {"type": "publish", "id": 3, "channel": "sala", "data": "two"},
    ]);
    command(&server, &stream, JSON, &list.to_string()).await;
    let mut offsets = Vec::new();
    while offsets.len() < 2 {
        let message = events.next().await;
        if message["type"] == "message" {
            assert_eq!(message["client"], welcome["client"]);
            offsets.push(message["offset"].clone());
        }
    }
    assert_eq!(offsets, [json!(1), json!(2)]);
    // Binary data in both directions.
    let binary = "{\"type\":\"publish\",\"channel\":\"sala\"}\n\u{1}\n";
    command(&server, &stream, "application/octet-stream", binary).await;
    loop {
        let event = events.event().await;
        if event.iter().any(|(name, value)| (&**name, &**value) == ("event", "binary")) {
            assert!(event.iter().any(|(name, _)| name == "data"));
            break;
        }
    }
    let page = socket.ask(json!({"type": "history", "id": 9, "channel": "sala"})).await;
    assert_eq!((&page["offset"], &page["publications"][2]["base64"]), (&json!(3), &json!("AQo=")));
}

#[tokio::test]
async fn a_reader_of_one_channel_resumes_at_the_last_event() {
    let server = TestServer::start().await;
    let mut plain = server.connect("/c/sala").await;
    for text in ["a", "b", "c"] {
        plain.send(text).await.unwrap();
        next(&mut plain).await;
    }
    let mut events = Events::open(&server, "?channel=sala&last=2", "").await;
    assert_eq!(events.next().await["type"], "welcome");
    assert_eq!(events.next().await["type"], "subscribed");
    let event = events.event().await;
    let id = event.iter().find(|(name, _)| name == "id").expect("it has an id").1.clone();
    assert!(id.ends_with(":2"), "{id}");
    drop(events);
    let mut events = Events::open(&server, "?channel=sala", &format!("Last-Event-ID: {id}\r\n")).await;
    events.next().await;
    let subscribed = events.next().await;
    assert_eq!((&subscribed["recovered"], &subscribed["offset"]), (&json!(true), &json!(2)), "{subscribed}");
    assert_eq!(events.next().await["data"], "c");
}

#[tokio::test]
async fn a_stream_that_is_gone_is_not_found_and_its_session_ends() {
    let server = TestServer::start().await;
    let mut events = Events::open(&server, "?channel=sala", "").await;
    let stream = events.next().await["stream"].as_str().unwrap().to_owned();
    server.metric_becomes("vaiven_members", 1.0).await;
    let open = "vaiven_connections_open{route=\"/v1/events\"}";
    assert_eq!(server.metric(open).await, Some(1.0));
    drop(events);
    server.metric_becomes("vaiven_members", 0.0).await;
    server.metric_becomes(open, 0.0).await;
    assert_eq!(server.metric("vaiven_connections_total{route=\"/v1/events\"}").await, Some(1.0));
    assert_eq!(server.metric("vaiven_closes_total{code=\"1006\"}").await, Some(1.0));
    for stream in [&*stream, "", "unknown"] {
        let answer = command(&server, stream, JSON, r#"{"type":"ping"}"#).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}

#[tokio::test]
async fn requests_that_are_not_right_are_refused() {
    let server = TestServer::start().await;
    let mut events = Events::open(&server, "", "").await;
    let stream = events.next().await["stream"].as_str().unwrap().to_owned();
    let many = format!("[{}]", vec![r#"{"type":"pong"}"#; 101].join(","));
    for (content_type, body, status) in [
        ("text/plain", "{}", 415),
        (JSON, "{", 400),
        (JSON, &*many, 413),
        (JSON, &*format!("\"{}\"", "x".repeat(64 << 10)), 413),
        (JSON, "null", 202),
    ] {
        let answer = command(&server, &stream, content_type, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body:.40}: {answer}");
    }
    assert_eq!(events.next().await["code"], "bad_request");
    for (path, fields, status) in [
        ("/v1/events?last=x&channel=a", "", 400),
        ("/v1/events?colour=1", "", 400),
        ("/v1/events", "Vaiven-Session: short\r\n", 400),
        ("/v1/events", "Origin: https://evil.example\r\n", 403),
        ("/v1/commands", "", 405),
    ] {
        let answer = server.ask(&server.get(path, fields)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {fields}: {answer}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_read_and_send() {
    let server = TestServer::with(|settings| {
        settings.origins =
            vaiven_server::settings::Origins::SameAnd(vec!["https://app.example".parse().unwrap()]);
    })
    .await;
    let request = format!(
        "OPTIONS /v1/commands HTTP/1.1\r\nHost: {}\r\nOrigin: https://app.example\r\n\r\n",
        server.address
    );
    let answer = server.ask(&request).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 204 "), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://app.example\r\n"), "{answer}");
    assert!(answer.contains("vaiven-stream"), "{answer}");
}
