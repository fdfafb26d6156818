//! The opening handshake against a server that answers as written down: what is accepted, and what fails.

use crate::authority::{Authority, Identity, Validity};
use crate::script::{ACCEPT, accept_with, client, field, read_request, server, url};
use std::time::Duration;
use tokio::net::TcpListener;
use vaiven::client::{
    DialError, DialOptions, HandshakeError, HandshakeFailure, HandshakeProblem, RedirectPolicy, Refused,
    TlsProblem,
};
use vaiven::{Client, DeflateConfig, Error, Message};

/// Connects to a server that gives this answer.
async fn answered(client: &Client, answer: &str) -> Result<(), Error> {
    let (address, task) = server(vec![answer.to_owned()], b"").await;
    let result = client.connect(&url(address)).await.map(|_| ());
    let seen = task.await.unwrap();
    assert_eq!(seen[0].1, b"", "nothing may follow the request");
    result
}

fn failure(error: Error) -> HandshakeFailure {
    let Error::Handshake(failure) = error else { panic!("{error:?}") };
    assert!(!failure.to_string().contains("secret"), "{failure}");
    *failure
}

#[track_caller]
fn is_violation(failure: &HandshakeFailure, expected: impl Fn(&HandshakeError) -> bool) {
    let HandshakeProblem::Response(error) = failure.problem() else { panic!("{failure:?}") };
    assert!(expected(error), "{error:?}");
    assert!(!failure.is_transient());
}

async fn check_violation(client: &Client, answer: &str, expected: impl Fn(&HandshakeError) -> bool) {
    is_violation(&failure(answered(client, answer).await.unwrap_err()), expected);
}

#[tokio::test]
async fn a_right_answer_gives_a_connection_and_its_details() {
    let answer = accept_with("Sec-WebSocket-Protocol: chat.v1\r\nX-Node: a\r\nX-Node: b\r\nServer: script");
    let (address, task) = server(vec![answer], b"\x88\x02\x03\xe8").await;
    let client = client()
        .header("X-Token", "abc")
        .subprotocol("chat.v2")
        .subprotocol("chat.v1")
        .origin("https://app.example")
        .deflate(DeflateConfig::client());
    let (mut socket, response) =
        client.connect(&url(address).replace("ws://", "ws://ana:pw@")).await.unwrap();
    assert_eq!(response.subprotocol(), Some("chat.v1"));
    assert_eq!(response.peer_addr(), Some(address));
    assert_eq!(response.headers().get_all("x-node").iter().count(), 2);
    assert_eq!(response.target().as_str(), url(address));
    assert_eq!(response.deflate(), None);
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(socket.close_frame().unwrap().code, 1000.into());
    drop(socket);
    let request = &task.await.unwrap()[0].0;
    assert!(request.starts_with("GET /sala?t=secret HTTP/1.1\r\n"), "{request}");
    for (name, value) in [
        ("Host", address.to_string().as_str()),
        ("Origin", "https://app.example"),
        ("Sec-WebSocket-Protocol", "chat.v2, chat.v1"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
        ("X-Token", "abc"),
        ("Authorization", "Basic YW5hOnB3"),
    ] {
        assert_eq!(field(request, name), Some(value), "{request}");
    }
}

#[tokio::test]
async fn a_header_of_ones_own_takes_the_place_of_the_urls_credentials() {
    let (address, task) = server(vec![ACCEPT.to_owned()], b"").await;
    let client = client().header("authorization", "Bearer x");
    client.connect(&format!("ws://ana:pw@{address}/")).await.unwrap();
    let request = &task.await.unwrap()[0].0;
    assert_eq!(field(request, "authorization"), Some("Bearer x"));
    assert!(!request.contains("Basic"), "{request}");
}

#[tokio::test]
async fn every_connection_has_a_nonce_of_its_own() {
    let (address, task) = server(vec![ACCEPT.to_owned(); 3], b"").await;
    for _ in 0..3 {
        client().connect(&url(address)).await.unwrap();
    }
    let seen = task.await.unwrap();
    let keys: std::collections::HashSet<_> =
        seen.iter().map(|(request, _)| field(request, "Sec-WebSocket-Key").unwrap()).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn k1_a_wrong_missing_or_doubled_accept_fails() {
    let client = client();
    let line = "Sec-WebSocket-Accept: {accept}\r\n";
    check_violation(&client, &ACCEPT.replace("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), |error| {
        *error == HandshakeError::WrongAccept
    })
    .await;
    check_violation(&client, &ACCEPT.replace(line, ""), |error| *error == HandshakeError::MissingAccept)
        .await;
    check_violation(&client, &ACCEPT.replace(line, &line.repeat(2)), |error| {
        *error == HandshakeError::RepeatedAccept
    })
    .await;
}

fn refused(failure: &HandshakeFailure) -> &Refused {
    failure.refused().unwrap_or_else(|| panic!("{failure:?}"))
}

#[tokio::test]
async fn k2_another_status_than_101_fails_and_shows_the_servers_words() {
    for (status, is_transient) in [
        ("200 OK", false),
        ("204 No Content", false),
        ("401 Unauthorized", false),
        ("403 Forbidden", false),
        ("404 Not Found", false),
        ("426 Upgrade Required", false),
        ("429 Too Many Requests", true),
        ("503 Service Unavailable", true),
    ] {
        let answer =
            format!("HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nnot \x1b you and more");
        let failure = failure(answered(&client(), &answer).await.unwrap_err());
        assert_eq!(refused(&failure).status().as_str(), status.split(' ').next().unwrap());
        assert_eq!(refused(&failure).body(), b"not \x1b you");
        assert_eq!(refused(&failure).headers()["retry-after"], "7");
        let message = failure.to_string();
        assert!(
            message.contains(&format!("/sala refused the WebSocket: the server answered {status}")),
            "{message}"
        );
        assert!(message.ends_with("; it says: not \\u{1b} you"), "{message}");
        assert_eq!(failure.is_transient(), is_transient, "{status}");
    }
}

#[tokio::test]
async fn k2_a_refusal_whose_body_never_ends_is_told_within_a_second_or_two() {
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked", "X-None: a"] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{framing}\r\n\r\n3\r\nno!");
        let told = tokio::time::timeout(Duration::from_secs(10), answered(&client(), &answer)).await;
        let failure = failure(told.expect("the body has a limit of time").unwrap_err());
        assert!(failure.to_string().ends_with("no!"), "{failure}");
    }
}

#[tokio::test]
async fn k3_redirects_are_followed_only_when_asked_and_five_at_most() {
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n");
    let error = answered(&client(), &redirect("/next?t=secret")).await.unwrap_err();
    assert!(matches!(&error, Error::Dial(dial) if matches!(**dial, DialError::Redirect { .. })), "{error:?}");
    assert!(error.to_string().contains("/next; dial that, or allow redirects"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");

    let mut answers = vec![redirect("/next"); 5];
    answers.push(ACCEPT.to_owned());
    let (address, task) = server(answers, b"").await;
    let following = client().redirects(RedirectPolicy::limited(5)).header("Cookie", "a=b");
    let (_, response) = following.connect(&url(address)).await.unwrap();
    assert_eq!(response.target().resource(), "/next");
    let seen = task.await.unwrap();
    assert_eq!(seen.len(), 6);
    assert!(
        seen.iter().all(|(request, _)| field(request, "Cookie") == Some("a=b")),
        "the origin is the same"
    );

    let (address, task) = server(vec![redirect("/next"); 6], b"").await;
    let error = following.connect(&url(address)).await.unwrap_err();
    assert!(error.to_string().contains("after 5 redirects"), "{error}");
    task.await.unwrap();
}

#[tokio::test]
async fn k3_credentials_do_not_follow_to_another_origin() {
    let (other, other_task) = server(vec![ACCEPT.to_owned()], b"").await;
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{other}/there\r\n\r\n");
    let (address, task) = server(vec![answer], b"").await;
    let client = client()
        .redirects(RedirectPolicy::limited(1))
        .header("Cookie", "a=b")
        .header("AUTHORIZATION", "Bearer x")
        .header("X-Kept", "yes")
        .subprotocol("chat");
    let (_, response) = client.connect(&url(address)).await.unwrap();
    assert_eq!(response.peer_addr(), Some(other));
    assert_eq!(field(&task.await.unwrap()[0].0, "AUTHORIZATION"), Some("Bearer x"));
    let request = &other_task.await.unwrap()[0].0;
    assert!(request.starts_with("GET /there HTTP/1.1"), "{request}");
    assert_eq!(field(request, "X-Kept"), Some("yes"));
    assert_eq!(field(request, "Sec-WebSocket-Protocol"), Some("chat"));
    assert!(!request.contains("a=b") && !request.contains("Bearer"), "{request}");
}

#[tokio::test]
async fn k4_an_unrequested_subprotocol_fails() {
    for client in [client(), client().subprotocol("chat")] {
        let answer = accept_with("Sec-WebSocket-Protocol: other");
        check_violation(
            &client,
            &answer,
            |error| matches!(error, HandshakeError::UnofferedSubprotocol(name) if name == "other"),
        )
        .await;
    }
}

#[tokio::test]
async fn k5_no_subprotocol_of_the_requested_ones_is_accepted() {
    let (address, _) = server(vec![ACCEPT.to_owned()], b"").await;
    let (_, response) = client().subprotocol("chat").connect(&url(address)).await.unwrap();
    assert_eq!(response.subprotocol(), None);
}

#[tokio::test]
async fn k6_an_unoffered_extension_fails() {
    let unoffered = |error: &HandshakeError| matches!(error, HandshakeError::UnofferedExtension(_));
    check_violation(&client(), &accept_with("Sec-WebSocket-Extensions: permessage-deflate"), unoffered).await;
    let offering = client().deflate(DeflateConfig::client());
    check_violation(&offering, &accept_with("Sec-WebSocket-Extensions: x-other"), unoffered).await;
}

#[tokio::test]
async fn k7_a_bad_window_of_the_server_fails() {
    let offering = client().deflate(DeflateConfig::client());
    for value in ["=7", "=16", "=1000", "", "=08", "=\"\""] {
        let field = format!("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits{value}");
        let error = failure(answered(&offering, &accept_with(&field)).await.unwrap_err());
        is_violation(&error, |error| {
            matches!(error, HandshakeError::InvalidExtension { .. } | HandshakeError::MalformedExtensions(_))
        });
    }
    let (address, _) = server(
        vec![accept_with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8")],
        b"",
    )
    .await;
    let (_, response) = offering.connect(&url(address)).await.unwrap();
    assert_eq!(response.deflate().unwrap().server_max_window_bits.bits(), 8);
}

#[tokio::test]
async fn k8_a_window_of_the_client_that_was_not_offered_fails() {
    let mut config = DeflateConfig::client();
    config.client_max_window_bits = None;
    let answer = accept_with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12");
    check_violation(&client().deflate(config), &answer, |error| {
        matches!(error, HandshakeError::InvalidExtension { name, .. } if name == "permessage-deflate")
    })
    .await;
}

#[tokio::test]
async fn k9_a_frame_in_the_same_segment_as_the_answer_is_delivered() {
    let (address, _) = server(vec![ACCEPT.to_owned()], b"\x81\x04hola\x82\x01\x07\x88\x00").await;
    let mut socket = client().connect(&url(address)).await.unwrap().0;
    assert_eq!(socket.recv().await.unwrap(), Some("hola".into()));
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from(vec![7])));
    assert_eq!(socket.recv().await.unwrap(), None);
}

#[tokio::test]
async fn k10_eight_interim_answers_are_skipped_and_nine_fail() {
    let early = |count: usize| "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count) + ACCEPT;
    answered(&client(), &early(8)).await.unwrap();
    check_violation(&client(), &early(9), |error| *error == HandshakeError::TooManyInterimResponses).await;
}

#[tokio::test]
async fn k11_an_answer_at_its_limits_is_taken_and_beyond_them_fails() {
    let head = |fields: usize| accept_with(&vec!["X-A: b"; fields - 3].join("\r\n"));
    answered(&client(), &head(100)).await.unwrap();
    check_violation(&client(), &head(101), |error| matches!(error, HandshakeError::Head(_))).await;
    // `{accept}` stands for 28 bytes.
    let sized = |bytes: usize| {
        let padding = bytes - (ACCEPT.len() + 20) - 2 * "X-A: \r\n".len();
        let (first, second) = (padding / 2, padding - padding / 2);
        accept_with(&format!("X-A: {}\r\nX-A: {}", "a".repeat(first), "b".repeat(second)))
    };
    for bytes in [(16 << 10) - 1, 16 << 10] {
        answered(&client(), &sized(bytes)).await.unwrap();
    }
    check_violation(&client(), &sized((16 << 10) + 1), |error| matches!(error, HandshakeError::Head(_)))
        .await;
}

#[tokio::test]
async fn k12_a_server_that_does_not_answer_in_time_fails() {
    assert_eq!(Client::DEFAULT_HANDSHAKE_TIMEOUT, Duration::from_secs(30));
    for answer in ["", "HTTP/1.1 101 Switching"] {
        let client = client().handshake_timeout(Duration::from_millis(100));
        let failure = failure(answered(&client, answer).await.unwrap_err());
        assert!(matches!(failure.problem(), HandshakeProblem::Timeout(_)), "{failure:?}");
        assert!(failure.is_transient());
        assert!(
            failure.to_string().contains("did not answer the opening handshake within 100ms"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_from_one_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { read_request(&mut listener.accept().await.unwrap().0).await });
    let failure = failure(client().connect(&url(address)).await.unwrap_err());
    assert!(matches!(failure.problem(), HandshakeProblem::Disconnected), "{failure:?}");
    assert!(failure.to_string().contains("closed the connection without answering"), "{failure}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_protocol_is_an_answer_that_cannot_be_read() {
    let failure = failure(answered(&client(), "SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap_err());
    assert!(failure.to_string().contains("does not answer as a WebSocket server does"), "{failure}");
}

#[tokio::test]
async fn k15_what_cannot_be_sent_is_an_error_before_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap());
    for client in [
        client().subprotocol("a\r\nX-Evil: b"),
        client().subprotocol("a b"),
        client().subprotocol(""),
        client().subprotocol("a").subprotocol("a"),
        client().header("X-A", "b\r\nX-Evil: c"),
        client().header("X-A", "b\nc"),
        client().header("X-A\r\n", "b"),
        client().header("X A", "b"),
        client().header("Host", "other.example"),
        client().header("Sec-WebSocket-Key", "other"),
        client().origin("https://a\r\nX-Evil: b"),
    ] {
        let failure = failure(client.connect(&url).await.unwrap_err());
        assert!(matches!(failure.problem(), HandshakeProblem::Request(_)), "{failure:?}");
        assert!(failure.to_string().starts_with("nothing was sent to ws://"), "{failure}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(accepted.is_err(), "nobody may have connected");
}

#[tokio::test]
async fn k18_a_wrong_certificate_fails_and_no_byte_of_the_request_is_sent() {
    let authority = Authority::new();
    let wrong_name: fn(&TlsProblem) -> bool = |problem| matches!(problem, TlsProblem::WrongName { .. });
    for (server, expected) in [
        (authority.issue(&["other.example"], Validity::Now), wrong_name),
        (authority.issue(&["localhost"], Validity::Over), |problem| *problem == TlsProblem::Expired),
        (Identity::self_signed(&["localhost"]), |problem| *problem == TlsProblem::UnknownIssuer),
    ] {
        let (address, seen) = crate::server::tls_server(server.server()).await;
        let options = DialOptions::default().without_proxy().tls(authority.trusted().build().unwrap());
        let client = Client::new().dial_options(options).header("Authorization", "Bearer x");
        let url = format!("wss://localhost:{}/", address.port());
        let Error::Dial(error) = client.connect(&url).await.unwrap_err() else { panic!("no error of TLS") };
        let DialError::Tls { problem, .. } = &*error else { panic!("{error:?}") };
        assert!(expected(problem), "{problem:?}");
        assert_eq!(seen.await.unwrap().application_data, b"");
    }
}

#[tokio::test]
async fn a_stream_of_ones_own_is_used_as_it_is() {
    let (mine, mut theirs) = tokio::io::duplex(1 << 10);
    let server = tokio::spawn(async move {
        let request = read_request(&mut theirs).await;
        let answer = crate::script::fill(ACCEPT, &request);
        tokio::io::AsyncWriteExt::write_all(&mut theirs, &answer).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut theirs, b"\x81\x02ok").await.unwrap();
        (request, theirs)
    });
    let stream = vaiven::Transport::other(mine);
    let (mut socket, response) = client().connect_over(stream, "wss://a.example/x").await.unwrap();
    assert_eq!(response.peer_addr(), None);
    assert_eq!(socket.recv().await.unwrap(), Some("ok".into()));
    assert_eq!(field(&server.await.unwrap().0, "Host"), Some("a.example"));
}

#[tokio::test]
async fn over_a_stream_of_ones_own_a_redirect_is_an_error() {
    let (address, task) =
        server(vec!["HTTP/1.1 301 Moved\r\nLocation: //b.example/\r\n\r\n".to_owned()], b"").await;
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let following = client().redirects(RedirectPolicy::limited(5));
    let error = following.connect_over(tcp, &url(address)).await.unwrap_err();
    assert!(error.to_string().contains("ws://b.example/; dial that"), "{error}");
    task.await.unwrap();
}
