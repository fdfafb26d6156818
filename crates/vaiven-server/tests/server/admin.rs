//! The admin page, and what it asks for.

use crate::stream::Events;
use crate::support::{TestServer, closed, patiently};
use crate::v1::Client;
use serde_json::{Value, json};
use std::time::Duration;
use vaiven::CloseCode;
use vaiven_server::Settings;
use vaiven_server::settings::AllowedFrom;

const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn server_with(change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::with(|settings| {
        settings.admin_key = Some(KEY.to_owned().into());
        change(settings);
    })
    .await
}

fn bearer() -> String {
    format!("Authorization: Bearer {KEY}\r\n")
}

async fn state(server: &TestServer, query: &str) -> Value {
    let answer = server.ask(&server.get(&format!("/admin/state{query}"), &bearer())).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.to_lowercase().contains("cache-control: no-store\r\n"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn disconnect(server: &TestServer, fields: &str, body: &str) -> String {
    let request = format!(
        "POST /admin/disconnect HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         {fields}\r\n{body}",
        server.address,
        body.len()
    );
    server.ask(&request).await
}

const PATHS: [&str; 4] = ["/admin", "/admin/state", "/admin/tail?channel=a", "/admin/disconnect"];

#[tokio::test]
async fn without_a_key_in_the_settings_there_is_no_admin_page() {
    let server = TestServer::start().await;
    for path in PATHS {
        let answer = server.ask(&server.get(path, "Authorization: Bearer \r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn only_the_key_in_a_header_opens_what_the_page_asks_for() {
    let server = server_with(|settings| {
        settings.api_keys = vec!["another-key-of-the-http-api-1234".to_owned().into()];
    })
    .await;
    let page = server.ask(&server.get("/admin", "")).await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("demos/admin/admin.js"), "{page}");
    for field in [
        "content-security-policy: default-src 'self'",
        "frame-ancestors 'none'",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.to_lowercase().contains(field), "{field}: {page}");
    }
    assert!(!page.to_lowercase().contains("set-cookie") && !page.contains(KEY), "{page}");
    let wrong = [
        String::new(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {}\r\n", &KEY[..31]),
        format!("Authorization: Bearer {KEY}0\r\n"),
        format!("Authorization: Basic {KEY}\r\n"),
        format!("Cookie: admin_key={KEY}; key={KEY}\r\n"),
        "Authorization: Bearer another-key-of-the-http-api-1234\r\n".to_owned(),
    ];
    for fields in wrong {
        for path in ["/admin/state", "/admin/tail?channel=a"] {
            let answer = server.ask(&server.get(path, &fields)).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path} {fields}: {answer}");
        }
        let answer = disconnect(&server, &fields, r#"{"connection":0}"#).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{fields}: {answer}");
    }
    for query in ["key", "admin_key", "token"] {
        let answer = server.ask(&server.get(&format!("/admin/state?{query}={KEY}"), "")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{query}: {answer}");
    }
    let key = format!("X-API-Key: {KEY}\r\n");
    assert!(server.ask(&server.get("/admin/state", &key)).await.starts_with("HTTP/1.1 200 "));
    // Nor does the key of the page open the HTTP API.
    assert!(server.ask(&server.get("/api/v1/info", &bearer())).await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn it_is_for_this_machine_alone_unless_it_is_opened() {
    let server = server_with(|_| {}).await;
    for field in
        ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1", "Via: 1.1 proxy"]
    {
        for path in PATHS {
            let answer = server.ask(&server.get(path, &format!("{}{field}\r\n", bearer()))).await;
            assert!(
                answer.starts_with("HTTP/1.1 403 ") && answer.contains("admin_from"),
                "{path} {field}: {answer}"
            );
        }
    }
    let foreign = server.get("/admin/state", &bearer()).replace(&server.address.to_string(), "evil.example");
    assert!(server.ask(&foreign).await.starts_with("HTTP/1.1 403 "), "a foreign name that leads here");
    let open = server_with(|settings| settings.admin_from = AllowedFrom::Anywhere).await;
    let fields = format!("{}X-Forwarded-For: 203.0.113.9\r\n", bearer());
    assert!(open.ask(&open.get("/admin/state", &fields)).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn methods_and_queries_that_are_not_right_are_refused() {
    let server = server_with(|_| {}).await;
    for (path, status) in [
        ("/admin/disconnect", 405),
        ("/admin/state?colour=1", 400),
        ("/admin/state?find=a&find=b", 400),
        ("/admin/tail", 400),
        ("/admin/tail?channel=a%20b", 400),
        ("/admin/tail?channel=nowhere:a", 404),
        ("/admin/", 404),
    ] {
        let answer = server.ask(&server.get(path, &bearer())).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    for body in ["", "{}", r#"{"connection":"0"}"#, r#"{"connection":-1}"#, r#"{"connection":0,"x":1}"#] {
        let answer = disconnect(&server, &bearer(), body).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body}: {answer}");
    }
}

#[tokio::test]
async fn the_state_says_who_is_there_and_what_goes_on() {
    let server = server_with(|_| {}).await;
    let mut plain = server.connect("/c/sala").await;
    let mut client = Client::welcomed(&server, "a-secret-of-a-client").await;
    for (id, channel) in [(1, "sala"), (2, "b")] {
        client.ask(json!({"type": "subscribe", "id": id, "channel": channel})).await;
    }
    let mut events = Events::open(&server, "?channel=sala", "").await;
    events.next().await;
    server.metric_becomes("vaiven_members", 4.0).await;
    client.ask(json!({"type": "publish", "id": 3, "channel": "sala", "data": "hola"})).await;
    crate::support::next(&mut plain).await;
    let first = state(&server, "").await;
    assert_eq!(first["channels"][0], json!({"channel": "sala", "subscribers": 3, "members": 3}), "{first}");
    assert_eq!((&first["channel_count"], &first["store"]["kind"]), (&json!(2), &json!("memory")));
    let figures = &first["figures"];
    assert_eq!((&figures["sessions"], &figures["publications"]), (&json!(3), &json!(1)), "{first}");
    assert!(figures["messages_in"].as_u64() >= Some(4), "{first}");
    assert!(figures["deliveries"].as_u64() >= Some(1), "{first}");
    assert!(figures["connections"].as_u64() >= Some(3), "{first}");
    let routes: Vec<_> = first["clients"].as_array().unwrap().iter().map(|client| &client["route"]).collect();
    assert_eq!(routes, ["/c/{room}", "/v1", "/v1/events"]);
    for client in first["clients"].as_array().unwrap() {
        assert_eq!(
            (&client["address"], client["client"].is_string()),
            (&json!("127.0.0.1"), true),
            "{client}"
        );
        assert!(client["seconds"].as_u64().unwrap() < 60 && client["waiting"].is_u64(), "{client}");
    }
    assert_eq!(first["clients"][1]["channels"], json!(["sala", "b"]));
    client.ask(json!({"type": "unsubscribe", "id": 4, "channel": "sala"})).await;
    let name = first["clients"][1]["client"].as_str().unwrap();
    let found = state(&server, &format!("?find={}", &name[..12])).await;
    assert_eq!(
        (found["clients"].as_array().unwrap().len(), &found["clients"][0]["channels"]),
        (1, &json!(["b"]))
    );
    assert!(found["uptime_ms"].as_u64() >= first["uptime_ms"].as_u64());
    assert_eq!(state(&server, "?find=127.0.0.1").await["clients"].as_array().unwrap().len(), 3);
    assert_eq!(state(&server, "?find=nobody").await["clients"], json!([]));
    server.ask(&server.upgrade("/c/sala", "Origin: https://evil.example\r\n")).await;
    assert_eq!(state(&server, "").await["figures"]["refusals"], 1);
}

#[tokio::test]
async fn what_waits_for_a_slow_client_is_seen() {
    let server = server_with(|settings| settings.outbox_bytes = 8 << 20).await;
    let mut slow = server.connect("/c/busy").await;
    let mut quick = Client::welcomed(&server, "a-secret-of-a-client").await;
    server.metric_becomes("vaiven_members", 1.0).await;
    let data = "x".repeat(60_000);
    for id in 0..150 {
        quick.ask(json!({"type": "publish", "id": id, "channel": "busy", "data": data})).await;
    }
    let seen = state(&server, "?find=127.0.0.1").await;
    assert!(seen["clients"][0]["waiting"].as_u64() > Some(60_000), "{seen}");
    patiently(slow.recv()).await.unwrap();
}

#[tokio::test]
async fn one_connection_is_disconnected_and_does_not_come_back() {
    let server = server_with(|_| {}).await;
    let mut plain = server.connect("/c/sala").await;
    let mut echo = server.connect("/echo").await;
    let mut client = Client::welcomed(&server, "a-secret-of-a-client").await;
    let mut staying = Client::welcomed(&server, "the-secret-of-another").await;
    let seen = patiently(async {
        loop {
            let seen = state(&server, "").await;
            if seen["figures"]["sessions"] == 4 {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for (route, at) in [("/c/{room}", 0), ("/echo", 1), ("/v1", 2)] {
        let shown = seen["clients"].as_array().unwrap().iter().filter(|shown| shown["route"] == route);
        let body = json!({"connection": shown.into_iter().next().unwrap()["connection"]}).to_string();
        let answer = disconnect(&server, &bearer(), &body).await;
        assert!(answer.ends_with(r#"{"disconnected":1}"#), "{answer}");
        let socket = [&mut plain, &mut echo, &mut client.socket].into_iter().nth(at).unwrap();
        assert_eq!(closed(socket).await.0, 3003, "{route}");
        patiently(async { while state(&server, "").await["figures"]["sessions"] != 3 - at {} }).await;
        // Its number is nobody else's.
        let answer = disconnect(&server, &bearer(), &body).await;
        assert!(answer.ends_with(r#"{"disconnected":0}"#), "{answer}");
    }
    assert_eq!(staying.ask(json!({"type": "ping", "id": 1})).await["type"], "pong");
}

#[tokio::test]
async fn the_messages_of_a_channel_are_shown_as_text_and_cut() {
    let server = server_with(|_| {}).await;
    let mut client = Client::welcomed(&server, "a-secret-of-a-client").await;
    for number in 1..=30 {
        client.ask(json!({"type": "publish", "id": number, "channel": "sala", "data": number})).await;
    }
    let mut tail = Events::at(&server, "/admin/tail?channel=sala", &bearer()).await;
    for number in 11..=30 {
        let line = tail.next().await;
        assert_eq!((&line["offset"], &line["text"]), (&json!(number), &json!(number.to_string())), "{line}");
    }
    let present = client.ask(json!({"type": "presence", "id": 40, "channel": "sala"})).await;
    assert_eq!(present["count"], 0, "who looks is not shown");
    let script = "<script>alert(1)</script>";
    client.ask(json!({"type": "publish", "id": 41, "channel": "sala", "data": script})).await;
    let line = tail.next().await;
    assert_eq!(line["text"], json!(json!(script).to_string()));
    assert!(line["client"].is_string() && line["time"].is_u64(), "{line}");
    for (characters, whole) in [(254, true), (255, true), (256, false)] {
        // Two bytes each, between quotation marks.
        let data = "ñ".repeat(characters);
        client.ask(json!({"type": "publish", "id": 42, "channel": "sala", "data": data})).await;
        let line = tail.next().await;
        let (text, bytes) = (line["text"].as_str().unwrap(), line["bytes"].as_u64().unwrap());
        assert_eq!((text.len() as u64 == bytes, bytes), (whole, 2 * characters as u64 + 2), "{line}");
        assert!(text.len() <= 512);
    }
    client.socket.send(b"{\"type\":\"publish\",\"channel\":\"sala\"}\n\x01\xff".to_vec()).await.unwrap();
    let line = tail.next().await;
    assert_eq!((&line["text"], &line["bytes"]), (&Value::Null, &json!(2)), "{line}");
    // The one behind the response is gone with it, and there are not many beside each other.
    server.metric_becomes("vaiven_members", 1.0).await;
    drop(tail);
    server.metric_becomes("vaiven_members", 0.0).await;
    let mut tails = Vec::new();
    for _ in 0..8 {
        tails.push(Events::at(&server, "/admin/tail?channel=sala", &bearer()).await);
    }
    let request = server.get("/admin/tail?channel=sala", &bearer());
    assert!(server.ask(&request).await.starts_with("HTTP/1.1 429 "));
    tails.pop();
    patiently(async {
        loop {
            let mut wire = server.wire().await;
            wire.send(&request).await;
            if wire.some().await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_looks_does_not_hold_the_server_up_when_it_stops() {
    let server = server_with(|_| {}).await;
    let mut tail = Events::at(&server, "/admin/tail?channel=sala", &bearer()).await;
    let ended = tokio::spawn(async move { tail.rest().await });
    let begun = std::time::Instant::now();
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 0);
    patiently(ended).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "long before the drain's timeout");
}
