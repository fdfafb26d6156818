//! The HTTP API, each case with its answer.

use crate::support::{TestServer, next};
use crate::v1::Client;
use serde_json::{Value, json};
use std::time::Duration;
use vaiven_server::settings::Contract;

const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn server() -> TestServer {
    TestServer::with(|settings| settings.api_keys = vec![KEY.to_owned().into()]).await
}

/// A request with the key and a body of JSON; its status and what it says.
async fn post(server: &TestServer, path: &str, fields: &str, body: &str) -> (u16, Value) {
    let fields = format!("X-API-Key: {KEY}\r\nContent-Type: application/json\r\n{fields}");
    send(server, "POST", path, &fields, body).await
}

async fn get(server: &TestServer, path: &str) -> (u16, Value) {
    send(server, "GET", path, &format!("Authorization: Bearer {KEY}\r\n"), "").await
}

async fn send(server: &TestServer, method: &str, path: &str, fields: &str, body: &str) -> (u16, Value) {
    let request = format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{fields}\r\n{body}",
        server.address,
        body.len()
    );
    parse(&server.ask(&request).await)
}

fn parse(answer: &str) -> (u16, Value) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}")))
}

#[track_caller]
fn refused((status, body): &(u16, Value), expected: u16, code: &str) {
    assert_eq!((*status, &body["error"]["code"]), (expected, &json!(code)), "{body}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_published_reaches_clients_and_plain_members_without_a_publisher() {
    let server = server().await;
    let mut plain = server.connect("/c/sala").await;
    let mut client = Client::welcomed(&server, "a-secret-of-a-client").await;
    client.ask(json!({"type": "subscribe", "id": 1, "channel": "sala"})).await;
    let (status, published) = post(&server, "publish", "", r#"{"channel":"sala","data":{"a": 1}}"#).await;
    assert_eq!((status, &published["offset"]), (200, &json!(1)), "{published}");
    let message = client.next_of("message").await;
    assert_eq!((&message["data"], message.get("client")), (&json!({"a": 1}), None));
    assert_eq!(next(&mut plain).await, r#"{"a": 1}"#.into());
    let (_, published) = post(&server, "publish", "", r#"{"channel":"sala","base64":"AAH/"}"#).await;
    assert_eq!(published["offset"], 2);
    assert_eq!(next(&mut plain).await, vec![0, 1, 255].into());
    let (_, page) = get(&server, "history?channel=sala&reverse=true&limit=1").await;
    assert_eq!((&page["publications"][0]["base64"], &page["more"]), (&json!("AAH/"), &json!(true)));
    let since = format!("history?channel=sala&epoch={}&offset=1", page["epoch"].as_str().unwrap());
    assert_eq!(get(&server, &since).await.1["publications"].as_array().unwrap().len(), 1);
    let (_, present) = get(&server, "presence?channel=sala").await;
    assert_eq!(present["count"], 2, "{present}");
    let (_, counts) = get(&server, "presence/counts?channel=sala&channel=other").await;
    assert_eq!(counts["counts"], json!([{"channel": "sala", "count": 2}, {"channel": "other", "count": 0}]));
    let (_, channels) = get(&server, "channels?pattern=s*").await;
    assert_eq!(channels["channels"], json!([{"channel": "sala", "subscribers": 2, "present": 2}]));
    assert_eq!(get(&server, "info").await.1["clients"], 2);
    assert_eq!(get(&server, "clients").await.1["clients"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn only_a_key_in_a_header_lets_in() {
    let server = server().await;
    let body = r#"{"channel":"a","data":1}"#;
    let json = "Content-Type: application/json\r\n";
    for fields in ["", "X-API-Key: wrong\r\n", "Authorization: Basic abc\r\n", "Authorization: Bearer\r\n"] {
        let answer = send(&server, "POST", "publish", &format!("{fields}{json}"), body).await;
        refused(&answer, 401, "unauthorized");
    }
    // P14: a key in the URL is none.
    let answer = send(&server, "GET", &format!("info?key={KEY}&api_key={KEY}"), "", "").await;
    refused(&answer, 401, "unauthorized");
    let answer = send(&server, "GET", "info", &format!("X-API-Key: {KEY}\r\n"), "").await;
    assert_eq!(answer.0, 200);
    // Without any key the API is closed.
    let closed = TestServer::start().await;
    refused(&send(&closed, "GET", "info", "X-API-Key: \r\n", "").await, 401, "unauthorized");
    assert_eq!(send(&closed, "GET", "openapi.json", "", "").await.0, 200);
}

#[tokio::test]
async fn what_is_no_right_request_is_refused_and_nothing_of_it_is_done() {
    let server = server().await;
    let deep = |depth: usize| {
        format!(r#"{{"channel":"a","data":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    assert_eq!(post(&server, "publish", "", &deep(64)).await.0, 200);
    let many = |count: usize| {
        let one = r#"{"channel":"a","data":1}"#;
        format!(r#"{{"publications":[{}]}}"#, vec![one; count].join(","))
    };
    let long = "x".repeat(256);
    let rows = [
        // P6
        ("publish", String::new(), 400, "bad_request"),
        ("publish", "{".to_owned(), 400, "bad_request"),
        ("publish", "[\"a\",1]".to_owned(), 400, "bad_request"),
        ("publish", deep(65), 400, "bad_request"),
        ("publish", r#"{"channel":"a","channel":"a","data":1}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":"a","data":{"b":1,"b":2}}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":"a","data":1,"news":1}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":"a"}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":"a","data":1,"base64":"AA=="}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":"a","base64":"A"}"#.to_owned(), 400, "bad_request"),
        ("publish", r#"{"channel":5,"data":1}"#.to_owned(), 400, "bad_request"),
        // P7
        ("batch", r#"{"publications":[{"channel":"a","data":1},null]}"#.to_owned(), 400, "bad_request"),
        ("batch", r#"{"publications":[{"channel":"a","data":1},[]]}"#.to_owned(), 400, "bad_request"),
        (
            "batch",
            r#"{"publications":[{"channel":"a","data":1},{"channel":"","data":1}]}"#.to_owned(),
            400,
            "channel_name",
        ),
        ("batch", "null".to_owned(), 400, "bad_request"),
        // P8
        ("batch", many(1001), 413, "too_large"),
        // P9
        ("publish", r#"{"channel":"","data":1}"#.to_owned(), 400, "channel_name"),
        ("publish", r#"{"channel":"a b","data":1}"#.to_owned(), 400, "channel_name"),
        ("publish", r#"{"channel":"a\u0000","data":1}"#.to_owned(), 400, "channel_name"),
        ("publish", r#"{"channel":"*","data":1}"#.to_owned(), 400, "channel_name"),
        ("publish", r#"{"channel":">","data":1}"#.to_owned(), 400, "channel_name"),
        ("publish", format!(r#"{{"channel":"{long}","data":1}}"#), 400, "channel_name"),
        ("publish", r#"{"channel":"nowhere:a","data":1}"#.to_owned(), 404, "unknown_namespace"),
        ("disconnect", "{}".to_owned(), 400, "bad_request"),
        ("revoke", r#"{"user":"a","token_id":"b"}"#.to_owned(), 400, "bad_request"),
    ];
    for (path, body, status, code) in rows {
        let answer = post(&server, path, "", &body).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(
            (answer.0, &answer.1["error"]["code"]),
            (status, &json!(code)),
            "{path} {shown}: {}",
            answer.1
        );
    }
    let (_, page) = get(&server, "history?channel=a").await;
    assert_eq!(page["offset"], 1, "only the first one was published");
    assert_eq!(post(&server, "batch", "", &many(1000)).await.0, 200);
}

/// P12, and what else a query may get wrong.
#[tokio::test]
async fn queries_are_read_strictly() {
    let server = server().await;
    for query in [
        "limit=-1",
        "limit=1e400",
        "limit=9223372036854775808",
        "limit=99999999999999999999999",
        "limit=0",
        "limit=301",
        "limit=",
        "limit=1&limit=1",
        "limit=+1",
        "offset=1",
        "epoch=a",
        "reverse=yes",
        "colour=1",
    ] {
        refused(&get(&server, &format!("history?channel=a&{query}")).await, 400, "bad_request");
    }
    refused(&get(&server, "history").await, 400, "bad_request");
    refused(&get(&server, "history?channel=live:a").await, 400, "not_kept");
}

#[tokio::test]
async fn methods_types_and_lengths_are_judged_before_the_body_is_read() {
    let server = server().await;
    let body = r#"{"channel":"a","data":1}"#;
    let key = format!("X-API-Key: {KEY}\r\n");
    // P2
    let (status, answer) = send(&server, "PUT", "publish", &key, body).await;
    refused(&(status, answer), 405, "method_not_allowed");
    let raw = format!("GET /api/v1/publish HTTP/1.1\r\nHost: {}\r\n{key}\r\n", server.address);
    assert!(server.ask(&raw).await.to_lowercase().contains("\r\nallow: post\r\n"));
    refused(&get(&server, "nothing").await, 404, "not_found");
    // P3 and P4
    for (fields, expected) in [
        ("", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/json; charset=utf-8\r\n", 200),
        ("Content-Type: Application/JSON\r\n", 200),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: application/json\r\nContent-Encoding: identity\r\n", 415),
    ] {
        let answer = send(&server, "POST", "publish", &format!("{key}{fields}"), body).await;
        assert_eq!(answer.0, expected, "{fields}: {}", answer.1);
    }
    // P5: declared, and in chunks that never end.
    let declared = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: {}\r\n{key}Content-Type: application/json\r\n\
         Content-Length: 1048577\r\n\r\n",
        server.address
    );
    refused(&parse(&server.ask(&declared).await), 413, "too_large");
    let mut wire = server.wire().await;
    wire.send(&format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: {}\r\n{key}Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.address
    ))
    .await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    for _ in 0..16 {
        wire.send(&chunk).await;
    }
    wire.send("1\r\n \r\n").await;
    refused(&parse(&wire.answer().await), 413, "too_large");
}

#[tokio::test]
async fn a_request_with_an_idempotency_key_is_done_once() {
    let server = server().await;
    let body = r#"{"channel":"a","data":1}"#;
    let field = "Idempotency-Key: order-7\r\n";
    let first = post(&server, "publish", field, body).await;
    let again = post(&server, "publish", field, body).await;
    assert_eq!((first.0, &first.1["offset"]), (200, &json!(1)));
    assert_eq!((again.0, &again.1["offset"], &again.1["duplicate"]), (200, &json!(1), &json!(true)));
    refused(&post(&server, "publish", field, r#"{"channel":"a","data":2}"#).await, 409, "conflict");
    let batch = r#"{"publications":[{"channel":"b","data":1},{"channel":"b","data":1},{"channel":"nowhere:b","data":1}]}"#;
    for _ in 0..2 {
        let (status, answer) = post(&server, "batch", field, batch).await;
        let results = answer["results"].as_array().unwrap();
        assert_eq!(
            (status, &results[0]["offset"], &results[1]["offset"]),
            (200, &json!(1), &json!(2)),
            "{answer}"
        );
        assert_eq!(results[2]["error"]["code"], "unknown_namespace");
    }
    let broadcast = r#"{"channels":["x","y"],"data":1}"#;
    let (_, answer) = post(&server, "broadcast", field, broadcast).await;
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    for bad in ["Idempotency-Key: \r\n".to_owned(), format!("Idempotency-Key: {}\r\n", "k".repeat(201))] {
        refused(&post(&server, "publish", &bad, body).await, 400, "bad_request");
    }
}

#[tokio::test]
async fn clients_are_sent_away_by_their_name() {
    let server = server().await;
    for (reconnect, code) in [(false, 3003), (true, 1012)] {
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect"})).await;
        let name = client.next_of("welcome").await["client"].clone();
        let body = json!({"client": name, "reconnect": reconnect}).to_string();
        assert_eq!(post(&server, "disconnect", "", &body).await.1["disconnected"], 1);
        let last = client.next_of("disconnect").await;
        assert_eq!((&last["code"], last["retry"].is_u64()), (&json!(code), reconnect), "{last}");
        assert_eq!(crate::support::closed(&mut client.socket).await.0, code);
    }
    let nobody = json!({"client": "nobody"}).to_string();
    assert_eq!(post(&server, "disconnect", "", &nobody).await.1["disconnected"], 0);
}

#[tokio::test]
async fn what_no_client_may_publish_the_api_does() {
    let server = TestServer::with(|settings| {
        settings.api_keys = vec![KEY.to_owned().into()];
        let mut news = settings.channels["default"].clone();
        news.publish = vaiven_server::settings::Access::Nobody;
        news.contract = Contract::Volatile;
        settings.channels.insert("news".to_owned(), news);
    })
    .await;
    let mut client = Client::welcomed(&server, "a-secret-of-a-client").await;
    client.ask(json!({"type": "subscribe", "id": 1, "channel": "news:a"})).await;
    let refused = client.ask(json!({"type": "publish", "id": 2, "channel": "news:a", "data": 1})).await;
    assert_eq!(refused["code"], "forbidden", "{refused}");
    let (status, published) = post(&server, "publish", "", r#"{"channel":"news:a","data":1}"#).await;
    assert_eq!((status, published), (200, json!({})));
    assert_eq!(client.next_of("message").await["data"], 1);
    // A plain member hears, and is sent away when it speaks.
    let mut plain = server.connect("/c/news:a").await;
    plain.send("x").await.unwrap();
    assert_eq!(crate::support::closed(&mut plain).await.0, 3003);
}

/// P15: whoever sends a body byte by byte has as long as everybody else.
#[tokio::test]
async fn a_body_that_trickles_in_is_given_up_with_408() {
    assert_eq!(vaiven_server::Settings::default().body_timeout, Duration::from_secs(30));
    let server = TestServer::with(|settings| {
        settings.api_keys = vec![KEY.to_owned().into()];
        settings.body_timeout = Duration::from_millis(400);
    })
    .await;
    let mut wire = server.wire().await;
    wire.send(&format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: {}\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{\"channel\":\"a\",\"data\":1}}",
        server.address,
    ))
    .await;
    let mut answer = None;
    for _ in 0..400 {
        wire.send(" ").await;
        answer = tokio::time::timeout(Duration::from_millis(25), wire.answer()).await.ok();
        if answer.is_some() {
            break;
        }
    }
    let answer = answer.expect("it does not end while it goes on");
    refused(&parse(&answer), 408, "timeout");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(wire.rest().await, "", "what would follow is read by nobody");
    let (_, page) = get(&server, "history?channel=a").await;
    assert_eq!(page["offset"], 0, "nothing was published");
}
