//! Wrong requests, over real sockets: each with its exact answer, and with what becomes of the session.

use crate::client::*;
use vaiven::server::{Server, ServerConfig};
use vaiven_socketio::engine::{EndReason, Engine, EngineConfig, serve};

struct Fixture {
    address: std::net::SocketAddr,
    observed: Observed,
}

impl Fixture {
    async fn new() -> Self {
        let (engine, observed) = observed(EngineConfig::default());
        let address = listen(&engine).await;
        Self { address, observed }
    }

    async fn open(&mut self) -> String {
        let (status, packet) = send(self.address, "GET", POLLING, "", b"").await;
        assert_eq!(status, 200);
        self.observed.session().await;
        format!("{POLLING}&sid={}", sid_of(&packet))
    }

    async fn check_lives(&mut self, target: &str) {
        assert_eq!(send(self.address, "POST", target, "", b"4still").await, (200, "ok".to_owned()));
        assert_eq!(self.observed.message().await, "still".into());
    }

    async fn check_closed(&mut self, target: &str, reason: EndReason) {
        assert_eq!(self.observed.end().await, reason);
        check(send(self.address, "GET", target, "", b"").await, 400, 1);
    }
}

#[track_caller]
fn check((status, body): (u16, String), expected_status: u16, code: u8) {
    assert_eq!(status, expected_status, "{body}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("a refusal is JSON");
    assert_eq!(json["code"], code, "{body}");
    assert!(json["message"].is_string(), "{body}");
}

#[tokio::test]
async fn unknown_transports_get_code_0() {
    let fixture = Fixture::new().await;
    for target in
        ["?EIO=4", "?EIO=4&transport=abc", "?EIO=4&transport=webtransport", "?EIO=4&transport=__proto__"]
    {
        let target = format!("/engine.io/{target}");
        check(send(fixture.address, "GET", &target, "", b"").await, 400, 0);
        check(send_upgrade(fixture.address, &target).await, 400, 0);
    }
}

#[tokio::test]
async fn unknown_sessions_get_code_1() {
    let fixture = Fixture::new().await;
    let long = "a".repeat(4_000);
    for sid in ["x", "__proto__", "constructor", "AAAAAAAAAAAAAAAAAAAA", "%00%ff", "", &long] {
        let target = format!("{POLLING}&sid={sid}");
        check(send(fixture.address, "GET", &target, "", b"").await, 400, 1);
        check(send(fixture.address, "POST", &target, "", b"4x").await, 400, 1);
        check(send_upgrade(fixture.address, &format!("{WEBSOCKET}&sid={sid}")).await, 400, 1);
    }
}

#[tokio::test]
async fn sessions_begin_with_the_method_get_or_code_2() {
    let fixture = Fixture::new().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer = send(fixture.address, method, POLLING, "", b"").await;
        if method == "HEAD" {
            assert_eq!(answer, (400, String::new()));
        } else {
            check(answer, 400, 2);
        }
    }
}

#[tokio::test]
async fn other_versions_get_code_5() {
    let fixture = Fixture::new().await;
    for version in ["EIO=3&", "EIO=5&", "EIO=abc&", "EIO=&", "EIO=4.0&", "eio=4&", ""] {
        for transport in ["polling", "websocket"] {
            let target = format!("/engine.io/?{version}transport={transport}");
            let answer = if transport == "polling" {
                send(fixture.address, "GET", &target, "", b"").await
            } else {
                send_upgrade(fixture.address, &target).await
            };
            check(answer, 400, 5);
        }
    }
}

#[tokio::test]
async fn an_upgrade_with_another_version_gets_code_3_and_the_session_lives() {
    let mut fixture = Fixture::new().await;
    let target = fixture.open().await;
    let sid = target.rsplit_once('=').expect("it ends with the id").1;
    let upgrade = format!("/engine.io/?EIO=3&transport=websocket&sid={sid}");
    check(send_upgrade(fixture.address, &upgrade).await, 400, 3);
    fixture.check_lives(&target).await;
}

#[tokio::test]
async fn a_body_of_bytes_closes_the_session() {
    let mut fixture = Fixture::new().await;
    let target = fixture.open().await;
    let header = "Content-Type: application/octet-stream\r\n";
    check(send(fixture.address, "POST", &target, header, b"4hello").await, 400, 3);
    fixture.check_closed(&target, EndReason::ParseError).await;
}

#[tokio::test]
async fn a_second_poll_closes_the_session() {
    let mut fixture = Fixture::new().await;
    let target = fixture.open().await;
    let first = tokio::spawn({
        let (address, target) = (fixture.address, target.clone());
        async move { send(address, "GET", &target, "", b"").await }
    });
    // Whichever comes second is refused; the other one is told that the session is over.
    let second = send(fixture.address, "GET", &target, "", b"").await;
    let first = first.await.expect("it does not panic");
    let (told, refused) = if first.0 == 200 { (first, second) } else { (second, first) };
    assert_eq!(told, (200, "1".to_owned()));
    check(refused, 400, 3);
    fixture.check_closed(&target, EndReason::TransportError).await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_the_session_lives() {
    let mut fixture = Fixture::new().await;
    let target = fixture.open().await;
    let mut message = vec![b'a'; 1_000_001];
    message[0] = b'4';
    let (status, body) = send(fixture.address, "POST", &target, "", &message).await;
    assert_eq!((status, body.as_str()), (413, ""));
    let (status, body) = send(fixture.address, "POST", &target, "", &message[..1_000_000]).await;
    assert_eq!((status, body.as_str()), (200, "ok"));
    assert_eq!(fixture.observed.message().await.len(), 999_999);
    fixture.check_lives(&target).await;
}

#[tokio::test]
async fn more_packets_than_the_limit_close_the_session() {
    let mut fixture = Fixture::new().await;
    let target = fixture.open().await;
    for count in [1_023, 1_024] {
        let payload = vec!["4a"; count].join("\x1e");
        let answer = send(fixture.address, "POST", &target, "", payload.as_bytes()).await;
        assert_eq!(answer, (200, "ok".to_owned()));
        for _ in 0..count {
            assert_eq!(fixture.observed.message().await, "a".into());
        }
    }
    let payload = vec!["4a"; 1_025].join("\x1e");
    check(send(fixture.address, "POST", &target, "", payload.as_bytes()).await, 400, 3);
    fixture.check_closed(&target, EndReason::ParseError).await;
}

#[tokio::test]
async fn what_is_no_packet_closes_the_session() {
    let wrong: [&[u8]; 12] = [
        b"7", b"", b"\x1e", b"4a\x1e", b"\x1e4a", b"abc", b"0{}", b"2", b"5", b"b!!!!", b"4\xff", b"4a\x1e8",
    ];
    for payload in wrong {
        let mut fixture = Fixture::new().await;
        let target = fixture.open().await;
        check(send(fixture.address, "POST", &target, "", payload).await, 400, 3);
        fixture.check_closed(&target, EndReason::ParseError).await;
        assert!(fixture.observed.messages.try_recv().is_err(), "nothing of a wrong payload is delivered");
    }
}

#[tokio::test]
async fn a_wrong_packet_closes_a_websocket() {
    for packet in ["7", "", "abc", "0{}", "2", "2probe", "5", "33"] {
        let mut fixture = Fixture::new().await;
        let url = format!("ws://{}{WEBSOCKET}", fixture.address);
        let mut socket = vaiven::connect(&url).await.expect("it is accepted");
        sid_of(&text(&mut socket).await);
        socket.send(packet).await.expect("it is open");
        closed(&mut socket).await;
        assert_eq!(fixture.observed.end().await, EndReason::ParseError, "{packet:?}");
    }
}

#[tokio::test]
async fn a_message_above_the_limit_closes_a_websocket_with_its_code_alone() {
    let mut fixture = Fixture::new().await;
    let url = format!("ws://{}{WEBSOCKET}", fixture.address);
    let mut socket = vaiven::connect(&url).await.expect("it is accepted");
    text(&mut socket).await;
    socket.send(format!("4{}", "a".repeat(999_999))).await.expect("it is open");
    assert_eq!(fixture.observed.message().await.len(), 999_999);
    socket.send(format!("4{}", "a".repeat(1_000_000))).await.expect("it is open");
    closed(&mut socket).await;
    let frame = socket.close_frame().expect("it is told");
    assert_eq!((frame.code.value(), frame.reason.as_str()), (1009, ""));
    assert_eq!(fixture.observed.end().await, EndReason::TransportError);
}

#[tokio::test]
async fn a_transport_that_is_not_asked_for_in_its_own_way_gets_code_3() {
    let mut fixture = Fixture::new().await;
    check(send(fixture.address, "GET", WEBSOCKET, "", b"").await, 400, 3);
    check(send_upgrade(fixture.address, POLLING).await, 400, 3);
    let target = fixture.open().await;
    check(send(fixture.address, "PUT", &target, "", b"").await, 400, 3);
    fixture.check_lives(&target).await;
}

#[tokio::test]
async fn foreign_origins_are_refused_and_own_ones_are_not() {
    let fixture = Fixture::new().await;
    let own = format!("Origin: http://{}\r\n", fixture.address);
    assert_eq!(send(fixture.address, "GET", POLLING, &own, b"").await.0, 200);
    for foreign in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: \r\n"] {
        check(send(fixture.address, "GET", POLLING, foreign, b"").await, 403, 4);
    }
}

#[tokio::test]
async fn other_paths_and_hosts_are_not_the_engines() {
    let fixture = Fixture::new().await;
    assert_eq!(send(fixture.address, "GET", "/", "", b"").await.0, 404);
    assert_eq!(send(fixture.address, "GET", "/engine.iox/?EIO=4&transport=polling", "", b"").await.0, 404);
    assert_eq!(send_upgrade(fixture.address, "/other/?EIO=4&transport=websocket").await.0, 404);
    assert_eq!(send(fixture.address, "GET", "/engine.io?EIO=4&transport=polling", "", b"").await.0, 200);
    let two_hosts = send(fixture.address, "GET", POLLING, "Host: localhost\r\n", b"").await;
    assert_eq!(two_hosts.0, 400);
}

#[tokio::test]
async fn a_name_that_may_lead_here_by_rebinding_is_refused() {
    let engine = Engine::new(EngineConfig::default(), |_| async {});
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).await.expect("a port is free");
    let address = server.local_addr().expect("it listens");
    tokio::spawn(serve(server, engine));
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let request = format!("GET {POLLING} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.expect("the server answers");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}
