//! What a configuration adds to answers, and whom it lets in.

use crate::client::*;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::Empty;
use vaiven_socketio::engine::{Cookie, Cors, Engine, EngineBody, EngineConfig, Rejection, Transport};

async fn with_origin(engine: &Engine, method: Method, origin: &str) -> Response<EngineBody> {
    let request = Request::builder()
        .method(method)
        .uri(POLLING)
        .header("host", "localhost")
        .header("origin", origin)
        .header("access-control-request-headers", "x-custom");
    engine.handle(request.body(Empty::<bytes::Bytes>::new()).expect("the test's request is one")).await
}

fn field(response: &Response<EngineBody>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().expect("it is ASCII"))
}

#[tokio::test]
async fn no_cors_fields_are_sent_unless_origins_are_configured() {
    let (engine, _observed) = observed(EngineConfig::default());
    let response = with_origin(&engine, Method::GET, "http://localhost").await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    assert_eq!(with_origin(&engine, Method::GET, "https://app.example").await.status(), 403);
    assert_eq!(with_origin(&engine, Method::OPTIONS, "http://localhost").await.status(), 400);
}

#[tokio::test]
async fn listed_origins_are_told_that_they_may() {
    let mut config = EngineConfig::default();
    let origin = "https://app.example".parse().expect("it is an origin");
    config.cors = Some(Cors::list([origin]).allow_credentials());
    let (engine, _observed) = observed(config);
    let response = with_origin(&engine, Method::GET, "https://app.example").await;
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), Some("https://app.example"));
    assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS), Some("true"));
    assert_eq!(field(&response, header::VARY), Some("Origin"));

    let response = with_origin(&engine, Method::OPTIONS, "https://app.example").await;
    assert_eq!(response.status(), 204);
    assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_METHODS), Some("GET,POST"));
    assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_HEADERS), Some("x-custom"));

    for method in [Method::GET, Method::OPTIONS] {
        let response = with_origin(&engine, method, "https://evil.example").await;
        assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
        assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_METHODS), None);
    }
    assert_eq!(with_origin(&engine, Method::GET, "https://evil.example").await.status(), 403);
    assert_eq!(get(&engine, POLLING).await.0, 200, "a program sends no origin");
}

#[tokio::test]
async fn any_origin_may_where_that_is_configured() {
    let mut config = EngineConfig::default();
    config.cors = Some(Cors::any());
    let (engine, _observed) = observed(config);
    for origin in ["https://app.example", "null"] {
        let response = with_origin(&engine, Method::GET, origin).await;
        assert_eq!(response.status(), 200);
        assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), Some(origin));
        assert_eq!(field(&response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS), None);
    }
}

#[tokio::test]
async fn a_cookie_is_set_when_a_session_begins_and_only_where_it_is_configured() {
    let mut config = EngineConfig::default();
    let (engine, _observed) = observed(config.clone());
    let response = with_origin(&engine, Method::GET, "http://localhost").await;
    assert_eq!(field(&response, header::SET_COOKIE), None);

    config.cookie = Some(Cookie::new("io").expect("it is a name"));
    let (engine, _observed) = observed(config);
    let response = with_origin(&engine, Method::GET, "http://localhost").await;
    let cookie = field(&response, header::SET_COOKIE).expect("it is set").to_owned();
    let sid = sid_of(&body(response).await);
    assert_eq!(cookie, format!("io={sid}; Path=/; HttpOnly; SameSite=Lax"));
    assert!(Cookie::new("a\r\nb").is_err());
}

#[tokio::test]
async fn new_sessions_are_let_in_or_refused_and_given_header_fields() {
    let mut config = EngineConfig::default();
    config.admit_with(async |handshake: std::sync::Arc<vaiven_socketio::engine::Handshake>| {
        if handshake.query().any(|(key, _)| key == "deny") {
            return Err(Rejection::forbidden("not you"));
        }
        Ok(HeaderMap::from_iter([(header::SERVER, HeaderValue::from_static("a"))]))
    });
    let (engine, _observed) = observed(config);
    let denied = get(&engine, &format!("{POLLING}&deny=1")).await;
    assert_eq!(denied, (403, r#"{"code":4,"message":"not you"}"#.to_owned()));
    let denied = open_websocket(&engine, &format!("{WEBSOCKET}&deny=1")).await.expect_err("it is denied");
    assert_eq!((denied.status().as_u16(), denied.code(), denied.message()), (403, 4, "not you"));
    let response = with_origin(&engine, Method::GET, "http://localhost").await;
    assert_eq!(field(&response, header::SERVER), Some("a"));
    // Over a real socket, where the fast path writes the answer.
    let address = listen(&engine).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "GET {WEBSOCKET} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("the server reads");
    let mut answer = [0; 1024];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.expect("it answers");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 101") && answer.contains("server: a\r\n"), "{answer}");
}

#[tokio::test]
async fn a_transport_that_is_not_offered_is_unknown() {
    let mut config = EngineConfig::default();
    config.transports = vec![Transport::WebSocket];
    let (engine, _observed) = observed(config.clone());
    assert_eq!(get(&engine, POLLING).await.0, 400);
    open_websocket(&engine, WEBSOCKET).await.expect("it is offered");
    config.transports = vec![Transport::Polling];
    let (engine, _observed) = observed(config);
    let refused = open_websocket(&engine, WEBSOCKET).await.expect_err("it is not offered");
    assert_eq!(refused.code(), 0);
    let (_, packet) = get(&engine, POLLING).await;
    assert!(packet.contains(r#""upgrades":[]"#), "{packet}");
}
