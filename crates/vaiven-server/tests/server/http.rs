//! What is no WebSocket, or becomes one later.

use crate::support::{TestServer, next};
use std::time::Duration;
use vaiven::CloseCode;
use vaiven_server::settings::AllowedFrom;

#[track_caller]
fn has(answer: &str, field: &str) {
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.lines().any(|line| line == field.to_ascii_lowercase()), "{field} is not in {head}");
}

#[tokio::test]
async fn the_page_comes_with_what_a_browser_should_know() {
    let server = TestServer::start().await;
    for (path, content_type) in [
        ("/", "text/html"),
        ("/arena", "text/html"),
        ("/demos/chat/chat.js", "text/javascript"),
        ("/demos/shared/base.css", "text/css"),
        ("/?room=a", "text/html"),
    ] {
        let answer = server.ask(&server.get(path, "")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        has(&answer, &format!("content-type: {content_type}; charset=utf-8"));
        has(&answer, "x-content-type-options: nosniff");
        has(&answer, "cache-control: no-cache");
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert_eq!(head.matches("cache-control").count(), 1);
        assert!(
            head.contains("content-security-policy: default-src 'self'; connect-src 'self' ws: wss:;"),
            "{head}"
        );
        assert!(!head.contains("server:") && !head.contains("strict-transport-security"), "{head}");
    }
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let server = TestServer::start().await;
    let answer = server.ask(&server.get("/demos/shared/base.css", "")).await;
    let tag = answer.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let mut wire = server.wire().await;
    wire.send(
        &server.get(
            "/demos/shared/base.css",
            &format!("If-None-Match: \"x\", W/{tag}\r\nConnection: close\r\n"),
        ),
    )
    .await;
    let answer = wire.rest().await;
    assert!(answer.starts_with("HTTP/1.1 304 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = server.ask(&server.get("/demos/shared/base.css", "If-None-Match: \"x\"\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn requests_get_the_status_that_says_what_is_wrong() {
    let server = TestServer::start().await;
    let host = format!("Host: {}\r\n", server.address);
    for (request, status) in [
        (server.get("/health", ""), 200),
        (format!("HEAD / HTTP/1.1\r\n{host}Connection: close\r\n\r\n"), 200),
        (server.get("/nothing", ""), 404),
        (server.get("/c/", ""), 404),
        (server.get("/c/%zz", ""), 404),
        (server.get("/c/%ff", ""), 404),
        (server.upgrade("/nothing", ""), 404),
        (server.upgrade("/c/%zz", ""), 404),
        (server.upgrade("/c/%00", ""), 404),
        (server.upgrade("/", ""), 200),
        (server.get("/c/sala", ""), 426),
        (server.get("/echo", ""), 426),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"), 405),
        (format!("POST / HTTP/1.1\r\n{host}Content-Length: 2\r\n\r\nab"), 405),
        (server.upgrade("/echo", "Sec-WebSocket-Version: 8\r\n"), 426),
        (server.upgrade("/echo", "Content-Length: 5\r\n"), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (server.get("/", "Host: other\r\n"), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 505),
        (server.get(&format!("/{}", "a".repeat(9000)), ""), 414),
        (server.get("/", &"A: b\r\n".repeat(101)), 431),
    ] {
        let mut wire = server.wire().await;
        wire.send(&request).await;
        let answer = if request.starts_with("HEAD") { wire.rest().await } else { wire.answer().await };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{answer}");
        has(&answer, "x-content-type-options: nosniff");
    }
}

#[tokio::test]
async fn an_endpoint_without_upgrade_says_how_to_connect() {
    let server = TestServer::start().await;
    let answer = server.ask(&server.get("/c/sala", "")).await;
    has(&answer, "upgrade: websocket");
    assert!(answer.contains("new WebSocket("), "{answer}");
}

#[tokio::test]
async fn a_connection_serves_pages_and_then_becomes_a_websocket() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    for path in ["/", "/demos/chat/chat.js", "/health"] {
        wire.send(&server.get(path, "")).await;
        assert!(wire.answer().await.starts_with("HTTP/1.1 200 "), "{path}");
    }
    wire.send(&server.upgrade("/c/late", "")).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    has(&answer, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let mut late = wire.into_websocket();
    let mut early = server.connect("/c/late").await;
    server.metric_becomes("vaiven_members", 2.0).await;
    // Each has one place, and the one that asks.
    server.metric_becomes("vaiven_tcp_connections_open", 3.0).await;
    late.send("hi").await.unwrap();
    assert_eq!(next(&mut early).await, "hi".into());
    assert_eq!(next(&mut late).await, "hi".into());
    // Nor is a place kept that nobody has.
    drop((late, early));
    server.metric_becomes("vaiven_tcp_connections_open", 1.0).await;
}

#[tokio::test]
async fn a_frame_right_behind_a_late_upgrade_is_not_lost() {
    let server = TestServer::start().await;
    // The text "hi", masked with zeros.
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    for before in [String::new(), server.get("/health", "")] {
        let mut wire = server.wire().await;
        let mut bytes = format!("{before}{}", server.upgrade("/echo", "")).into_bytes();
        bytes.extend_from_slice(&frame);
        wire.send_bytes(&bytes).await;
        if !before.is_empty() {
            assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
        }
        assert!(wire.answer().await.starts_with("HTTP/1.1 101 "));
        assert_eq!(next(&mut wire.into_websocket()).await, "hi".into());
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = TestServer::start().await;
    let mut wire = server.wire().await;
    wire.send(&format!("{}{}", server.get("/health", ""), server.get("/nothing", ""))).await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
    assert!(wire.answer().await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn behind_a_refused_upgrade_nothing_is_answered() {
    let server = TestServer::start().await;
    let refused = [
        server.upgrade("/c/a", "Origin: https://other.example\r\n"),
        server.upgrade("/nothing", ""),
        server.get("/echo", ""),
        server.upgrade("/echo", "Sec-WebSocket-Key: x\r\n"),
    ];
    for request in refused {
        // Once as the first request of a connection, once behind a page.
        for before in [String::new(), server.get("/health", "")] {
            let mut wire = server.wire().await;
            wire.send(&format!("{before}{request}{}", server.get("/health", ""))).await;
            if !before.is_empty() {
                assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
            }
            let rest = wire.rest().await;
            assert!(rest.starts_with("HTTP/1.1 4"), "{request}\n{rest}");
            assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{request}\n{rest}");
        }
    }
}

#[tokio::test]
async fn metrics_are_for_this_machine_unless_opened() {
    let server = TestServer::start().await;
    let answer = server.ask(&server.get("/metrics", "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(answer.contains("vaiven_build_info{version="), "{answer}");
    let forwarded = server.get("/metrics", "X-Forwarded-For: 203.0.113.9\r\n");
    let answer = server.ask(&forwarded).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("metrics_from"), "{answer}");
    let server = TestServer::with(|settings| settings.metrics_from = AllowedFrom::Anywhere).await;
    let answer = server.ask(&forwarded).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn labels_name_routes_and_not_paths() {
    let server = TestServer::start().await;
    let _room = server.connect("/c/secret-name").await;
    server.ask(&server.get("/secret-path", "")).await;
    let answer = server.ask(&server.get("/metrics", "")).await;
    assert!(answer.contains("vaiven_connections_open{route=\"/c/{room}\"} 1"), "{answer}");
    assert!(answer.contains("vaiven_http_requests_total{route=\"none\",status=\"404\"} 1"), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn a_slow_request_is_timed_out_on_a_new_connection_and_on_a_used_one() {
    let server = TestServer::with(|settings| settings.handshake_timeout = Duration::from_millis(300)).await;
    let mut wire = server.wire().await;
    wire.send("GET / HTTP/1.1\r\n").await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 408 "));
    let mut wire = server.wire().await;
    wire.send(&server.get("/health", "")).await;
    wire.answer().await;
    wire.send("GET / HTTP/1.1\r\n").await;
    let rest = wire.rest().await;
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
}

#[tokio::test]
async fn a_client_that_reads_no_page_gives_its_place_up() {
    let server = TestServer::with(|settings| settings.write_timeout = Duration::from_millis(300)).await;
    let mut deaf = Vec::new();
    for _ in 0..3 {
        let mut wire = server.wire().await;
        // Many times what the system keeps between the two.
        wire.send(&server.get("/demos/chat/chat.js", "").repeat(1000)).await;
        deaf.push(wire);
    }
    // Only the one that asks is left.
    server.metric_becomes("vaiven_tcp_connections_open", 1.0).await;
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 0);
    drop(deaf);
}

#[tokio::test]
async fn a_time_too_long_for_the_clock_is_as_good_as_a_long_one() {
    let server = TestServer::with(|settings| {
        (settings.handshake_timeout, settings.write_timeout) = (Duration::MAX, Duration::MAX);
        (settings.drain_timeout, settings.close_timeout) = (Duration::MAX, Duration::MAX);
    })
    .await;
    let mut wire = server.wire().await;
    for _ in 0..2 {
        wire.send(&server.get("/health", "")).await;
        assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
    }
    drop(wire);
    assert_eq!(server.stop(CloseCode::RESTART).await.dropped, 0);
}
