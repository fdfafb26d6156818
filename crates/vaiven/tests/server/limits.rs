//! What the listener refuses, and how; what goes on all the same.

use crate::raw::{REQUEST, Raw, ask, echo, request_with, soon, start, status};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use vaiven::server::{
    DrainOptions, ForwardedField, Handshake, HostPolicy, Refusal, Scheme, Server, ServerConfig, ServerEvent,
    TrustedProxies,
};

#[track_caller]
fn check_refusal(answer: &str, status: &str, code_text: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nConnection: close"), "{answer}");
    assert!(answer.contains(code_text), "{answer}");
    if status == "503" || status == "429" {
        let (_, rest) = answer.split_once("\r\nRetry-After: ").expect("a hint when to come back");
        let seconds: u32 = rest.split_once("\r\n").unwrap().0.parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }
}

#[tokio::test]
async fn a_server_echoes_to_a_client() {
    let server = start(|_| {}, echo).await;
    let mut client = Raw::open(server.address).await;
    client.echoes().await;
    let counts = server.handle.counts();
    assert_eq!((counts.connections, counts.websockets, counts.accepted), (1, 1, 1));
    client.send(8, &1000_u16.to_be_bytes()).await;
    assert_eq!(client.close_code().await, 1000);
    assert_eq!(client.recv().await, None);
    soon(|| server.handle.counts().connections == 0).await;
    assert_eq!(server.handle.counts().websockets, 0);
}

#[tokio::test]
async fn headers_that_come_too_slowly_are_answered_with_408() {
    let server = start(|config| config.handshake_timeout = Duration::from_millis(700), echo).await;
    let mut client = Raw::connect(server.address).await;
    let begin = Instant::now();
    for byte in &REQUEST.as_bytes()[..5] {
        client.write(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check_refusal(&client.rest().await, "408", "not complete in time");
    assert!(begin.elapsed() >= Duration::from_millis(700));
    assert_eq!(server.handle.counts().refused, 1);
}

#[tokio::test]
async fn connections_above_the_cap_are_refused_with_503() {
    let server = start(|config| config.max_connections = 3, echo).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(Raw::open(server.address).await);
    }
    let mut last = Raw::open(server.address).await;
    for _ in 0..3 {
        check_refusal(&ask(server.address, REQUEST).await, "503", "as many connections");
    }
    last.echoes().await;
    drop(last);
    soon(|| server.handle.counts().connections == 2).await;
    Raw::open(server.address).await.echoes().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_counts_against_the_cap() {
    let server = start(|config| config.max_connections = 1, echo).await;
    let silent = Raw::connect(server.address).await;
    soon(|| server.handle.counts().connections == 1).await;
    check_refusal(&ask(server.address, REQUEST).await, "503", "as many connections");
    drop(silent);
    soon(|| server.handle.counts().connections == 0).await;
    Raw::open(server.address).await.echoes().await;
}

#[tokio::test]
async fn connections_of_one_address_above_its_cap_are_refused_with_429() {
    let server = start(|config| config.max_connections_per_ip = 2, echo).await;
    let first = Raw::open(server.address).await;
    let mut second = Raw::open(server.address).await;
    check_refusal(&ask(server.address, REQUEST).await, "429", "as many connections as one may have");
    second.echoes().await;
    drop(first);
    soon(|| server.handle.counts().connections == 1).await;
    Raw::open(server.address).await.echoes().await;
}

#[tokio::test]
async fn handshakes_of_one_address_above_its_rate_are_refused_with_429() {
    let adapt = |config: &mut ServerConfig| {
        config.handshake_burst_per_ip = 3;
        config.max_handshakes_per_second_per_ip = 1;
    };
    let server = start(adapt, echo).await;
    let answers = answers_at_once(server.address, 4).await;
    assert!(answers[..3].iter().all(|answer| answer.starts_with("HTTP/1.1 101 ")), "{answers:?}");
    check_refusal(&answers[3], "429", "Too many handshakes");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(status(server.address, REQUEST).await, "101");
}

/// What clients are told that connect one directly behind the other: the head, and the rest of a refusal.
async fn answers_at_once(address: SocketAddr, number: usize) -> Vec<String> {
    let mut clients = Vec::new();
    for _ in 0..number {
        clients.push(Raw::connect(address).await);
    }
    let mut answers = Vec::new();
    for mut client in clients {
        client.write(REQUEST.as_bytes()).await;
        let mut answer = client.head().await;
        if !answer.starts_with("HTTP/1.1 101 ") {
            answer += &client.rest().await;
        }
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn handshakes_above_the_rate_of_all_are_refused_with_503() {
    let server = start(|config| config.max_handshakes_per_second = 2, echo).await;
    let answers = answers_at_once(server.address, 3).await;
    assert!(answers[..2].iter().all(|answer| answer.starts_with("HTTP/1.1 101 ")), "{answers:?}");
    check_refusal(&answers[2], "503", "More clients connect at once");
}

#[tokio::test]
async fn refusals_beyond_their_number_are_closed_without_a_word() {
    let adapt = |config: &mut ServerConfig| {
        config.max_connections = 0;
        config.max_refusals = 1;
    };
    let server = start(adapt, echo).await;
    let mut told = Raw::connect(server.address).await;
    soon(|| server.handle.counts().refused == 1).await;
    assert_eq!(status(server.address, REQUEST).await, "");
    assert_eq!(server.handle.counts().dropped, 1);
    told.write(REQUEST.as_bytes()).await;
    check_refusal(&told.rest().await, "503", "as many connections");
}

/// Handshakes answer who they think the client is.
async fn who(handshake: Handshake) {
    let (ip, scheme) = (handshake.client_ip().unwrap(), handshake.scheme());
    let _ = handshake.refuse(Refusal::new(418, "who", format!("{ip} {scheme:?}"))).await;
}

#[tokio::test]
async fn a_forwarded_address_counts_from_trusted_proxies_only() {
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https";
    let untrusting = start(|_| {}, who).await;
    let answer = ask(untrusting.address, &request_with(fields)).await;
    assert!(answer.ends_with("127.0.0.1 Http\n"), "{answer}");
    let trusting = start(trust_loopback, who).await;
    let answer = ask(trusting.address, &request_with(fields)).await;
    assert!(answer.ends_with("192.0.2.7 Https\n"), "{answer}");
    let answer = ask(trusting.address, REQUEST).await;
    assert!(answer.ends_with("127.0.0.1 Unknown\n"), "{answer}");
}

fn trust_loopback(config: &mut ServerConfig) {
    config.trusted_proxies =
        TrustedProxies::new(["127.0.0.0/8".parse().unwrap()], ForwardedField::XForwardedFor);
}

#[tokio::test]
async fn the_limits_of_an_address_are_those_of_the_client_behind_a_trusted_proxy() {
    let adapt = |config: &mut ServerConfig| {
        trust_loopback(config);
        config.max_connections_per_ip = 1;
    };
    let server = start(adapt, echo).await;
    let mut clients = Vec::new();
    for number in 1..4 {
        let mut client = Raw::connect(server.address).await;
        client.write(request_with(&format!("X-Forwarded-For: 192.0.2.{number}")).as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        clients.push(client);
    }
    let again = ask(server.address, &request_with("X-Forwarded-For: 192.0.2.2")).await;
    check_refusal(&again, "429", "as many connections as one may have");
    // Without trust, what the field says would have made four clients of one.
    let server = start(|config| config.max_connections_per_ip = 1, echo).await;
    let first = Raw::open(server.address).await;
    let other = ask(server.address, &request_with("X-Forwarded-For: 192.0.2.9")).await;
    check_refusal(&other, "429", "as many connections as one may have");
    drop(first);
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_its_connection_alone_with_1011() {
    let server = start(
        |_| {},
        async |handshake| {
            let mut socket = handshake.accept().await.unwrap();
            while let Ok(Some(message)) = socket.recv().await {
                assert_ne!(message.as_bytes(), b"panic", "a panic that the test asked for");
                let _ = socket.send(message).await;
            }
        },
    )
    .await;
    let mut other = Raw::open(server.address).await;
    let mut client = Raw::open(server.address).await;
    client.send(1, b"panic").await;
    assert_eq!(client.close_code().await, 1011);
    other.echoes().await;
    soon(|| server.handle.counts().panics == 1).await;
    soon(|| server.handle.counts().connections == 1).await;
    Raw::open(server.address).await.echoes().await;
}

#[tokio::test]
async fn a_panic_in_a_task_that_took_the_socket_is_counted_and_told_too() {
    let server = start(
        |_| {},
        async |handshake| {
            let mut socket = handshake.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = socket.recv().await;
                panic!("a panic that the test asked for");
            });
        },
    )
    .await;
    let mut client = Raw::open(server.address).await;
    client.send(1, b"x").await;
    assert_eq!(client.close_code().await, 1011);
    soon(|| server.handle.counts().panics == 1).await;
    soon(|| server.handle.counts().connections == 0).await;
}

#[tokio::test]
async fn a_connection_that_becomes_another_protocols_counts_until_its_permit_is_dropped() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let server = start(|config| config.max_connections = 1, {
        let kept = Arc::clone(&kept);
        move |handshake| {
            kept.lock().unwrap().push(handshake.into_parts());
            std::future::ready(())
        }
    })
    .await;
    let mut client = Raw::connect(server.address).await;
    client.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").await;
    soon(|| kept.lock().unwrap().len() == 1).await;
    check_refusal(&ask(server.address, REQUEST).await, "503", "as many connections");
    let parts = kept.lock().unwrap().pop().unwrap();
    assert_eq!((parts.request.method(), &parts.read_ahead[..]), ("POST", &b"body"[..]));
    assert_eq!(parts.scheme, Scheme::Http);
    drop(parts);
    soon(|| server.handle.counts().connections == 0).await;
}

#[tokio::test]
async fn what_no_handler_sees_is_told_to_the_observer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).await.unwrap();
    let address = server.local_addr().unwrap();
    let server = server.observe({
        let seen = Arc::clone(&seen);
        move |event| {
            if let ServerEvent::Refused(_, refusal) = event {
                seen.lock().unwrap().push(refusal.code());
            }
        }
    });
    let task = tokio::spawn(server.serve(echo));
    check_refusal(&ask(address, "GET / HTTP/9.9\r\n\r\n").await, "505", "Use HTTP/1.1");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(8 << 10));
    check_refusal(&ask(address, &long).await, "414", "shorter URL");
    assert_eq!(*seen.lock().unwrap(), ["http_version", "start_line_too_long"]);
    task.abort();
}

#[tokio::test]
async fn small_messages_do_not_wait_for_acknowledgements() {
    let server = start(
        |_| {},
        async |handshake| {
            if let vaiven::Transport::Tcp(stream) = handshake.into_parts().transport {
                assert!(stream.nodelay().unwrap());
                let _ = tokio::io::AsyncWriteExt::write_all(&mut { stream }, b"yes").await;
            }
        },
    )
    .await;
    assert_eq!(ask(server.address, REQUEST).await, "yes");
}

#[tokio::test]
async fn a_port_that_is_in_use_is_named_in_the_error() {
    let first = Server::bind("127.0.0.1:0", ServerConfig::default()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = Server::bind(address, ServerConfig::default()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_pipelined_request_behind_a_refused_one_is_never_answered() {
    let server = start(|_| {}, echo).await;
    let refused = REQUEST.replace("Version: 13", "Version: 8");
    let answer = ask(server.address, &format!("{refused}{REQUEST}")).await;
    check_refusal(&answer, "426", "Sec-WebSocket-Version: 13");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn frames_behind_the_request_are_read_once_it_is_accepted() {
    let server = start(|_| {}, echo).await;
    let mut client = Raw::connect(server.address).await;
    client.write(&[REQUEST.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    let mut frame = [0; 4];
    client.stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x81, 2, b'h', b'i']);
}

#[tokio::test]
async fn a_sender_that_outlives_the_receiver_does_not_hold_the_connection() {
    let senders = Arc::new(Mutex::new(Vec::new()));
    let server = start(|_| {}, {
        let senders = Arc::clone(&senders);
        move |handshake| {
            let senders = Arc::clone(&senders);
            async move {
                let (sender, receiver) = handshake.accept().await.unwrap().split();
                sender.send("last words").await.unwrap();
                senders.lock().unwrap().push(sender);
                drop(receiver);
            }
        }
    })
    .await;
    let mut client = Raw::open(server.address).await;
    assert_eq!(client.recv().await, Some((1, b"last words".to_vec())));
    assert_eq!(client.recv().await, None);
    soon(|| server.handle.counts().connections == 0).await;
    assert!(!senders.lock().unwrap()[0].is_open());
}

#[tokio::test]
async fn times_too_long_for_the_clock_are_never_over() {
    let adapt = |config: &mut ServerConfig| {
        (config.handshake_timeout, config.tls_timeout) = (Duration::MAX, Duration::MAX);
        config.retry_after = Duration::MAX;
        (config.connection.write_timeout, config.connection.close_timeout) = (Duration::MAX, Duration::MAX);
    };
    let server = start(adapt, echo).await;
    let mut client = Raw::open(server.address).await;
    client.echoes().await;
    let mut options = DrainOptions::default().at_once();
    options.timeout = Duration::MAX;
    let drain = tokio::spawn(async move { server.handle.drain(options).await });
    assert_eq!(client.close_code().await, 1012);
    client.send(8, &1012_u16.to_be_bytes()).await;
    assert_eq!(drain.await.unwrap().aborted, 0);
    let full = start(|config| (config.max_connections, config.retry_after) = (0, Duration::MAX), echo).await;
    assert!(ask(full.address, REQUEST).await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_server_on_a_loopback_address_takes_no_foreign_name() {
    let named = |host: &str| {
        request_with(&format!("Origin: http://{host}")).replace("Host: localhost", &format!("Host: {host}"))
    };
    let server = start(|_| {}, echo).await;
    let answer = ask(server.address, &named("evil.example:8080")).await;
    check_refusal(&answer, "403", r#"allowed_hosts = ["evil.example"]"#);
    assert_eq!(status(server.address, &named("app.localhost:8080")).await, "101");
    let policy = HostPolicy::loopback().allow("app.test".parse().unwrap());
    let server = start(|config| config.allowed_hosts = Some(policy), echo).await;
    assert_eq!(status(server.address, &named("app.test")).await, "101");
    assert_eq!(status(server.address, &named("evil.example")).await, "403");
    // Other settings for a path take nothing away from what the listener is.
    let server = start(
        |_| {},
        async |mut handshake: Handshake| {
            handshake.set_config(ServerConfig::default());
            echo(handshake).await;
        },
    )
    .await;
    assert_eq!(status(server.address, &named("evil.example")).await, "403");
    // By which names a network calls the server is not known.
    let server = Server::bind("0.0.0.0:0", ServerConfig::default()).await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(server.serve(echo));
    assert_eq!(status(SocketAddr::from(([127, 0, 0, 1], port)), &named("evil.example")).await, "101");
}
