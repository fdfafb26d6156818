//! Upgrades inside hyper and axum.

use crate::raw::{REQUEST, Raw, ask, request_with, soon};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vaiven::WebSocket;
use vaiven::server::axum::WebSocketUpgrade;
use vaiven::server::{DrainOptions, ServerConfig, ServerHandle, refusal_response, upgrade};

async fn echo(mut socket: WebSocket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

async fn respond(
    mut request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    Ok(match upgrade(&mut request, &ServerConfig::default()) {
        Ok((response, socket)) => {
            tokio::spawn(async { echo(socket.await.unwrap()).await });
            response
        }
        Err(refusal) => refusal_response(&refusal),
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Http {
    One,
    Both,
    WithoutUpgrades,
}

async fn hyper_server(http: Http) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let io = TokioIo::new(listener.accept().await.unwrap().0);
            tokio::spawn(async move {
                let service = service_fn(respond);
                let one = hyper::server::conn::http1::Builder::new();
                let both = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                match http {
                    Http::One => drop(one.serve_connection(io, service).with_upgrades().await),
                    Http::Both => drop(both.serve_connection_with_upgrades(io, service).await),
                    Http::WithoutUpgrades => drop(one.serve_connection(io, service).await),
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn hyper_gives_its_connection_and_what_came_behind_the_request() {
    for http in [Http::One, Http::Both] {
        let address = hyper_server(http).await;
        let mut client = Raw::connect(address).await;
        let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        client.write(&[REQUEST.as_bytes(), &frame].concat()).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "{head}"
        );
        assert_eq!(client.recv().await, Some((1, b"hi".to_vec())), "{http:?}");
        client.echoes().await;
        client.send(8, &1000_u16.to_be_bytes()).await;
        assert_eq!(client.close_code().await, 1000);
        assert_eq!(client.recv().await, None);
    }
}

/// A refusal is the same text, whichever server gives it.
async fn check_refusals(address: SocketAddr) {
    let ours = crate::raw::start(|_| {}, crate::raw::echo).await;
    for request in [
        REQUEST.replace("Version: 13", "Version: 8"),
        REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        REQUEST.replace("GET", "POST"),
        request_with("Origin: https://evil.example"),
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
    ] {
        let (expected, answer) = (ask(ours.address, &request).await, ask(address, &request).await);
        let parts = |answer: &str| {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let mut lines: Vec<_> = head.lines().skip(1).map(str::to_ascii_lowercase).collect();
            lines.retain(|line| !line.starts_with("date:"));
            lines.sort();
            (head[..12].to_owned(), lines, body.to_owned())
        };
        assert_eq!(parts(&answer), parts(&expected));
    }
}

#[tokio::test]
async fn hyper_refuses_with_the_same_text() {
    check_refusals(hyper_server(Http::One).await).await;
}

#[tokio::test]
async fn a_server_that_keeps_its_connections_is_told_to_let_go() {
    // Without upgrades hyper gives the right to the connection and never redeems it.
    let address = hyper_server(Http::WithoutUpgrades).await;
    let mut client = Raw::connect(address).await;
    client.write(REQUEST.as_bytes()).await;
    client.head().await;
    assert_eq!(client.recv().await, None);
    let mut request = http::Request::new(());
    for (name, value) in [
        ("Host", "a"),
        ("Upgrade", "websocket"),
        ("Connection", "upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = upgrade::<_, String>(&mut request, &ServerConfig::default());
    assert_eq!(answer.unwrap_err().code(), "no_upgrade");
}

async fn axum_server(config: ServerConfig) -> (SocketAddr, ServerHandle, JoinHandle<()>) {
    let (config, sockets) = (Arc::new(config), ServerHandle::detached());
    let tracked = sockets.clone();
    let answer = move |upgrade: WebSocketUpgrade| async move {
        let decide = |_: &vaiven::server::Upgrade<'_>, acceptance: &mut vaiven::server::Acceptance<'_>| {
            acceptance.field("Set-Cookie", &b"a=b"[..]).unwrap();
            Ok(())
        };
        let response: Response = upgrade.config(config).on_upgrade_with(decide, async move |socket| {
            tracked.track(&socket);
            echo(socket).await;
        });
        response.into_response()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", any(answer));
    (address, sockets, tokio::spawn(async { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test]
async fn axum_hands_its_connection_over_and_it_is_drained() {
    let mut config = ServerConfig::default();
    config.subprotocols = vec!["chat.v1".to_owned()];
    let (address, sockets, _task) = axum_server(config).await;
    let mut client = Raw::connect(address).await;
    client.write(request_with("Sec-WebSocket-Protocol: chat.v2, chat.v1").as_bytes()).await;
    let head = client.head().await.to_ascii_lowercase();
    assert!(head.contains("sec-websocket-protocol: chat.v1") && head.contains("set-cookie: a=b"), "{head}");
    client.echoes().await;
    soon(|| sockets.counts().websockets == 1).await;
    let mut options = DrainOptions::default().at_once();
    options.timeout = Duration::from_secs(10);
    let drain = tokio::spawn({
        let sockets = sockets.clone();
        async move { sockets.drain(options).await }
    });
    assert_eq!(client.close_code().await, 1012);
    client.send(8, &1012_u16.to_be_bytes()).await;
    let report = drain.await.unwrap();
    assert_eq!((report.connections, report.closed, report.aborted), (1, 1, 0));
    // Who comes later is closed at once.
    let mut late = Raw::open(address).await;
    assert_eq!(late.close_code().await, 1012);
}

#[tokio::test]
async fn axum_refuses_with_the_same_text() {
    check_refusals(axum_server(ServerConfig::default()).await.0).await;
}
