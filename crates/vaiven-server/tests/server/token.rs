//! Tokens: at the handshake, in `connect`, while connected, and when they end.

use crate::support::{TestServer, closed};
use crate::v1::Client;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vaiven_server::Settings;
use vaiven_server::settings::{Access, Anonymous};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "a-key-of-the-operators-programs-1";

/// A token that ends in so many seconds.
fn token(seconds: i64, claims: &Value) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let mut claims = claims.clone();
    claims["exp"] = json!(now + seconds);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"k1"}"#), encode(&claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

async fn server_with(change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::with(|settings| {
        settings.token_secret = Some(SECRET.to_owned().into());
        settings.api_keys = vec![KEY.to_owned().into()];
        change(settings);
    })
    .await
}

#[tokio::test]
async fn a_token_in_connect_says_who_the_client_is() {
    let server = server_with(|_| {}).await;
    let mut ana = Client::connect(&server).await;
    let claims = json!({"sub": "ana", "info": {"name": "Ana"}});
    let welcome = ana.ask(json!({"type": "connect", "id": 1, "token": token(60, &claims)})).await;
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("ana")), "{welcome}");
    assert!((50_000..=60_000).contains(&welcome["expires"].as_u64().unwrap()), "{welcome}");
    ana.ask(json!({"type": "subscribe", "id": 2, "channel": "sala", "presence": true})).await;
    let joined = ana.next_of("presence_changed").await;
    assert_eq!(joined["joined"][0]["info"], json!({"name": "Ana"}), "{joined}");
    ana.send(json!({"type": "publish", "channel": "sala", "data": 1})).await;
    assert_eq!(ana.next_of("message").await["user"], "ana");
}

#[tokio::test]
async fn bad_tokens_get_401_at_the_handshake_and_3000_in_the_protocol() {
    let server = server_with(|_| {}).await;
    let expired = token(-40, &json!({"sub": "ana"}));
    for bad in ["x", &*expired] {
        let fields = format!("Authorization: Bearer {bad}\r\n");
        for path in ["/v1", "/c/sala"] {
            let answer = server.ask(&server.upgrade(path, &fields)).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        }
        let answer = server.ask(&server.get("/v1/events", &fields)).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect", "token": bad})).await;
        assert_eq!(client.next_of("disconnect").await["code"], 3000);
        assert_eq!(closed(&mut client.socket).await.0, 3000);
    }
    // Without one: refused where nobody could say who it is, and 3000 where something else is said first.
    for path in ["/c/sala", "/v1/events"] {
        let request = if path == "/c/sala" { server.upgrade(path, "") } else { server.get(path, "") };
        assert!(server.ask(&request).await.starts_with("HTTP/1.1 401 "), "{path}");
    }
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "ping"})).await;
    assert_eq!(closed(&mut client.socket).await.0, 3000);
    // T12
    let long = "x".repeat((8 << 10) + 1);
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "connect", "token": long})).await;
    assert_eq!(closed(&mut client.socket).await.0, 1008);
    let answer = server.ask(&server.upgrade("/v1", &format!("Authorization: Bearer {long}\r\n"))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn good_tokens_in_headers_let_in() {
    let server = server_with(|settings| settings.token_cookie = Some("token".to_owned())).await;
    let good = token(60, &json!({"sub": "ana"}));
    let bearer = format!("Authorization: Bearer {good}\r\n");
    let cookie = format!("Cookie: a=b; token={good}\r\n");
    let here = format!("Origin: http://{}\r\n", server.address);
    let null = "Origin: null\r\n";
    let foreign = "Origin: https://evil.example\r\n";
    for (fields, status) in [
        (bearer.clone(), 101),
        (format!("{bearer}{here}"), 101),
        (format!("{bearer}{foreign}"), 403),
        (format!("{cookie}{here}"), 101),
        // H25: a browser that names no origin, or none that it can show.
        (cookie.clone(), 403),
        (format!("{cookie}{null}"), 403),
        (format!("{cookie}{foreign}"), 403),
    ] {
        let answer = server.ask(&server.upgrade("/c/sala", &fields)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fields}: {answer}");
    }
    let mut wire = server.wire().await;
    wire.send(&server.upgrade("/v1", &bearer)).await;
    wire.answer().await;
    let mut client = Client { socket: wire.into_websocket() };
    client.send(json!({"type": "connect"})).await;
    assert_eq!(client.next_of("welcome").await["user"], "ana");
}

#[tokio::test]
async fn rules_of_namespaces_are_kept() {
    let server = server_with(|settings| {
        settings.anonymous = Anonymous::Allowed;
        let mut listed = settings.channels["default"].clone();
        (listed.subscribe, listed.publish) = (Access::Users, Access::Listed);
        settings.channels.insert("listed".to_owned(), listed);
    })
    .await;
    let subscribe = json!({"type": "subscribe", "id": 1, "channel": "listed:a"});
    let publish = json!({"type": "publish", "id": 2, "channel": "listed:a", "data": 1});
    let mut anyone = Client::connect(&server).await;
    assert_eq!(anyone.ask(subscribe.clone()).await["code"], "unauthorized");
    assert_eq!(anyone.ask(publish.clone()).await["code"], "unauthorized");
    for (channels, code) in [(json!({}), json!("forbidden")), (json!({"publish": ["listed:*"]}), Value::Null)]
    {
        let mut user = Client::connect(&server).await;
        let claims = json!({"sub": "ana", "channels": channels});
        user.send(json!({"type": "connect", "token": token(60, &claims)})).await;
        assert_eq!(user.ask(subscribe.clone()).await["type"], "subscribed");
        assert_eq!(user.ask(publish.clone()).await["code"], code);
    }
}

#[tokio::test]
async fn a_token_that_ends_is_asked_for_and_then_the_connection_ends() {
    let server = server_with(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "connect", "token": token(2, &json!({"sub": "ana"}))})).await;
    assert_eq!(client.next().await["type"], "welcome");
    assert_eq!(client.next().await["type"], "refresh");
    let other =
        client.ask(json!({"type": "refresh", "id": 1, "token": token(60, &json!({"sub": "luis"}))})).await;
    assert_eq!(other["code"], "forbidden", "{other}");
    let bad = client.ask(json!({"type": "refresh", "id": 2, "token": "x"})).await;
    assert_eq!(bad["code"], "unauthorized", "{bad}");
    let good =
        client.ask(json!({"type": "refresh", "id": 3, "token": token(3, &json!({"sub": "ana"}))})).await;
    assert_eq!((&good["type"], good["expires"].is_u64()), (&json!("ok"), true), "{good}");
    assert_eq!(client.next_of("disconnect").await["code"], 3000);
    assert_eq!(closed(&mut client.socket).await.0, 3000);
}

#[tokio::test]
async fn what_was_granted_is_revoked_by_user_and_by_token() {
    let server = server_with(|_| {}).await;
    for (claims, body) in [
        (json!({"sub": "ana"}), json!({"user": "ana"})),
        (json!({"sub": "luis", "jti": "t1"}), json!({"token_id": "t1"})),
    ] {
        let token = token(60, &claims);
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect", "token": token})).await;
        client.next_of("welcome").await;
        let body = body.to_string();
        let request = format!(
            "POST /api/v1/revoke HTTP/1.1\r\nHost: {}\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            server.address,
            body.len()
        );
        let answer = server.ask(&request).await;
        assert!(answer.ends_with("{\"disconnected\":1}"), "{answer}");
        assert_eq!(closed(&mut client.socket).await.0, 3000);
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect", "token": token})).await;
        assert_eq!(closed(&mut client.socket).await.0, 3000);
    }
}

/// A program that answers every request in the same way, and counts them.
pub(crate) async fn backend(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = vec![0; 16 << 10];
            let len = stream.read(&mut request).await.unwrap_or(0);
            let (status, body) = answer(&String::from_utf8_lossy(&request[..len]));
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, count)
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_says_nothing_about_a_token() {
    let (url, _) = backend(|_| (500, String::new())).await;
    let server = server_with(|settings| {
        settings.token_secret = None;
        settings.token_jwks_url = Some(url.parse().unwrap());
    })
    .await;
    let mut client = Client::connect(&server).await;
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"k"}"#);
    client.send(json!({"type": "connect", "token": format!("{head}.e30.AA")})).await;
    let last = client.next_of("disconnect").await;
    assert!(last["code"] == 1013 && last["retry"].as_u64().unwrap() > 0, "{last}");
}

#[tokio::test]
async fn a_backend_decides_who_comes_in_and_what_it_may() {
    let (url, _) = backend(|request| {
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        match (body["type"].as_str().unwrap(), body["token"].as_str(), body["channel"].as_str()) {
            ("connect", Some("good"), _) => (200, json!({"user": "ana", "info": 7}).to_string()),
            ("subscribe", _, Some("asked:in")) if body["user"] == "ana" => (204, String::new()),
            ("connect", Some("banned"), _) | ("publish", _, Some("asked:in")) => (403, String::new()),
            ("connect", ..) => (401, String::new()),
            _ => (500, String::new()),
        }
    })
    .await;
    let server = TestServer::with(|settings| {
        settings.auth_url = Some(url.parse().unwrap());
        let mut asked = settings.channels["default"].clone();
        (asked.subscribe, asked.publish) = (Access::Backend, Access::Backend);
        settings.channels.insert("asked".to_owned(), asked);
    })
    .await;
    for (token, code) in [(json!("banned"), 3003), (json!("bad"), 3000), (Value::Null, 3000)] {
        let mut client = Client::connect(&server).await;
        client.send(json!({"type": "connect", "token": token})).await;
        assert_eq!(closed(&mut client.socket).await.0, code, "{token}");
    }
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "connect", "token": "good"})).await;
    assert_eq!(client.next_of("welcome").await["user"], "ana");
    for (command, channel, expected) in [
        ("subscribe", "asked:in", "subscribed"),
        ("publish", "asked:in", "forbidden"),
        ("subscribe", "asked:out", "unavailable"),
        ("history", "asked:out", "unavailable"),
        ("publish", "free", "ok"),
    ] {
        let answer = client.ask(json!({"type": command, "id": 1, "channel": channel, "data": 1})).await;
        let said = answer.get("code").unwrap_or(&answer["type"]);
        assert_eq!(said, expected, "{command} {channel}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_never_says_who_it_is_is_closed_with_3008() {
    let server = server_with(|_| {}).await;
    let mut client = Client::connect(&server).await;
    let begun = std::time::Instant::now();
    let last = client.next_of("disconnect").await;
    assert_eq!(last["code"], 3008);
    assert!(begun.elapsed() > Duration::from_secs(9), "not before its time");
}
