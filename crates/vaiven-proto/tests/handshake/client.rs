//! The client's side of the opening handshake against the catalogue of bad input: rows K1, K2, K3 (what proto
//! knows of it), K4, K6, K9, K10, K11 and K15, and a round trip against the server's side.

use crate::wire::{Random, head as response, whole_and_split};
use bytes::BytesMut;
use vaiven_proto::handshake::{
    ClientRequest, FieldError, HandshakeError, HeadError, HeadLimits, HeadScanner, MAX_INTERIM_RESPONSES,
    MalformedExtensions, RequestHead,
};

const STATUS_LINE: &str = "HTTP/1.1 101 Switching Protocols";
const FIELDS: [(&str, &str); 3] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

fn client_request() -> ClientRequest {
    let mut request = ClientRequest::new("server.example.com", "/chat", *b"the sample nonce").unwrap();
    request.subprotocol("chat").unwrap().subprotocol("superchat").unwrap();
    request.extensions("permessage-deflate; client_max_window_bits, x-other").unwrap();
    request
}

/// What a client makes of the bytes: the subprotocol, and what stands behind the response.
type Outcome = Option<Result<(Option<String>, Vec<u8>), HandshakeError>>;

fn read(input: &[u8], pieces: &mut dyn Iterator<Item = usize>) -> Outcome {
    let mut reader = client_request().response_reader(HeadLimits::default());
    let mut received = BytesMut::new();
    let mut rest = input;
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        received.extend_from_slice(now);
        rest = later;
        match reader.take(&mut received) {
            Ok(None) if rest.is_empty() => return None,
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let behind = [&received[..], rest].concat();
                return Some(Ok((accepted.subprotocol().map(str::to_owned), behind)));
            }
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// The outcome, which is the same however the bytes come.
#[track_caller]
fn check_bytes(input: &[u8]) -> Outcome {
    let whole = whole_and_split(input, read);
    if let Some(Err(error)) = &whole {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.contains(char::is_control), "{text}");
    }
    whole
}

/// The right response with `name` left out and `fields` added.
fn respond(name: &str, fields: &[(&str, &str)]) -> String {
    let mut all: Vec<_> = FIELDS.into_iter().filter(|(other, _)| *other != name).collect();
    all.extend(fields);
    response(STATUS_LINE, &all)
}

#[track_caller]
fn check_accepted(input: &str, subprotocol: Option<&str>) {
    let expected = Some(Ok((subprotocol.map(str::to_owned), Vec::new())));
    assert_eq!(check_bytes(input.as_bytes()), expected, "{input}");
}

#[track_caller]
fn check_failed(input: &str, expected: HandshakeError) {
    assert_eq!(check_bytes(input.as_bytes()), Some(Err(expected)), "{input}");
}

#[test]
fn a_right_response_is_accepted() {
    check_accepted(&respond("", &[]), None);
    check_accepted(&respond("Connection", &[("connection", "keep-alive, UPGRADE")]), None);
    check_accepted(&respond("Upgrade", &[("UPGRADE", "WebSocket")]), None);
    check_accepted(&respond("", &[("Sec-WebSocket-Protocol", "superchat")]), Some("superchat"));
    check_accepted(
        &respond("", &[("Sec-WebSocket-Extensions", "permessage-deflate, x-other; a=\"b\"")]),
        None,
    );
    let right = respond("", &[]);
    for end in 0..right.len() {
        assert_eq!(check_bytes(&right.as_bytes()[..end]), None);
    }
}

#[test]
fn k1_the_accept_key_answers_the_request() {
    let name = "Sec-WebSocket-Accept";
    check_failed(&respond(name, &[]), HandshakeError::MissingAccept);
    check_failed(&respond("", &[FIELDS[2]]), HandshakeError::RepeatedAccept);
    for wrong in
        ["", "x", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "dGhlIHNhbXBsZSBub25jZQ=="]
    {
        check_failed(&respond(name, &[(name, wrong)]), HandshakeError::WrongAccept);
    }
}

#[test]
fn upgrade_and_connection_are_confirmed() {
    check_failed(&respond("Upgrade", &[]), HandshakeError::Upgrade);
    check_failed(&respond("Upgrade", &[("Upgrade", "h2c")]), HandshakeError::Upgrade);
    check_failed(&respond("", &[("Upgrade", "websocket")]), HandshakeError::Upgrade);
    check_failed(&respond("Connection", &[]), HandshakeError::Connection);
    check_failed(&respond("Connection", &[("Connection", "close")]), HandshakeError::Connection);
    check_failed(&response("HTTP/1.0 101 Switching Protocols", &FIELDS), HandshakeError::HttpVersion);
}

#[test]
fn k2_another_status_fails_and_says_what_it_means() {
    for (line, fields, hint) in [
        (
            "HTTP/1.1 200 OK",
            &FIELDS[..],
            "200 OK instead of 101 Switching Protocols: the address is of a web page",
        ),
        ("HTTP/1.1 204 No Content", &[], "204 No Content"),
        ("HTTP/1.1 401 Unauthorized", &[("WWW-Authenticate", "Basic")], "credentials"),
        ("HTTP/1.1 403 Forbidden", &[], "origin"),
        ("HTTP/1.1 404", &[], "404 instead"),
        ("HTTP/1.1 503 \x09", &[("Retry-After", "7")], "try again after 7"),
        ("HTTP/1.1 304 Not Modified", &[("Location", "/x")], "304 Not Modified"),
        ("HTTP/1.1 302 Found", &[], "302 Found"),
        ("HTTP/1.1 999 Odd", &[], "999 Odd"),
    ] {
        let Some(Err(error)) = check_bytes(response(line, fields).as_bytes()) else { panic!("{line}") };
        assert!(error.to_string().contains(hint), "{error}");
        let HandshakeError::Status(head) = error else { panic!("{line}: {error}") };
        assert_eq!(head.status().to_string(), line.split(' ').nth(1).unwrap());
        assert_eq!(head.fields().len(), fields.len());
    }
}

#[test]
fn k3_a_redirect_names_its_target() {
    for status in [301, 302, 303, 307, 308] {
        let line = format!("HTTP/1.1 {status} Moved");
        let location = "wss://other.example/chat".to_owned();
        check_failed(
            &response(&line, &[("location", &location)]),
            HandshakeError::Redirect { status, location },
        );
    }
}

#[test]
fn k4_the_subprotocol_is_one_of_the_request() {
    let unoffered = |name: &str| HandshakeError::UnofferedSubprotocol(name.to_owned());
    for name in ["mqtt", "Chat", "", "señal"] {
        check_failed(&respond("", &[("Sec-WebSocket-Protocol", name)]), unoffered(name));
    }
    check_failed(
        &respond("", &[("Sec-WebSocket-Protocol", "chat, superchat")]),
        unoffered("chat, superchat"),
    );
    let twice = [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "chat")];
    check_failed(&respond("", &twice), unoffered("chat, chat"));
}

#[test]
fn k6_an_extension_is_one_of_the_offer() {
    let answer = |value| respond("", &[("Sec-WebSocket-Extensions", value)]);
    let unoffered = |name: &str| HandshakeError::UnofferedExtension(name.to_owned());
    check_failed(&answer("permessage-bzip2"), unoffered("permessage-bzip2"));
    check_failed(&answer("permessage-deflate, bbf"), unoffered("bbf"));
    check_failed(
        &answer("permessage-deflate, permessage-deflate"),
        HandshakeError::RepeatedExtension("permessage-deflate".to_owned()),
    );
    for bad in
        ["", "permessage-deflate;", "permessage-deflate,", "permessage-deflate; server_max_window_bits="]
    {
        check_failed(&answer(bad), HandshakeError::MalformedExtensions(MalformedExtensions));
    }
}

#[test]
fn k7_and_k8_parameters_are_handed_to_the_extension_as_they_came() {
    for bits in ["7", "16", "1000", "08"] {
        let answer = format!("permessage-deflate; server_max_window_bits={bits}; client_max_window_bits");
        let mut received = BytesMut::from(&*respond("", &[("Sec-WebSocket-Extensions", &answer)]));
        let mut reader = client_request().response_reader(HeadLimits::default());
        let accepted = reader.take(&mut received).unwrap().unwrap();
        let expected = [("server_max_window_bits", Some(bits)), ("client_max_window_bits", None)];
        assert_eq!(accepted.extensions()[0].params, expected);
    }
}

#[test]
fn k9_a_frame_in_the_same_segment_is_kept() {
    let input = [respond("", &[]).as_bytes(), b"\x81\x05Hello\r\n\r\n\0"].concat();
    assert_eq!(check_bytes(&input), Some(Ok((None, b"\x81\x05Hello\r\n\r\n\0".to_vec()))));
}

#[test]
fn k10_interim_responses_are_skipped_up_to_a_limit() {
    for count in [MAX_INTERIM_RESPONSES - 1, MAX_INTERIM_RESPONSES, MAX_INTERIM_RESPONSES + 1] {
        let interim: String = (0..count)
            .map(|n| {
                if n % 2 == 0 { "HTTP/1.1 100 Continue\r\n\r\n" } else { "HTTP/1.1 103 Hint\r\nA: b\r\n\r\n" }
            })
            .collect();
        let input = format!("{interim}{}", respond("", &[]));
        if count <= MAX_INTERIM_RESPONSES {
            check_accepted(&input, None);
        } else {
            check_failed(&input, HandshakeError::TooManyInterimResponses);
        }
    }
}

#[test]
fn k11_a_response_keeps_to_the_limits_of_a_head() {
    for count in [99, 100, 101] {
        let input = respond("", &vec![("A", "b"); count - FIELDS.len()]);
        if count <= 100 {
            check_accepted(&input, None);
        } else {
            check_failed(&input, HandshakeError::Head(HeadError::TooManyFields));
        }
    }
    let fixed = respond("", &[("A", ""), ("B", ""), ("C", "")]).len();
    for length in [16_383, 16_384, 16_385] {
        let values = ["a".repeat(5_000), "b".repeat(5_000), "c".repeat(length - fixed - 10_000)];
        let input = respond("", &[("A", &values[0]), ("B", &values[1]), ("C", &values[2])]);
        assert_eq!(input.len(), length);
        if length <= 16_384 {
            check_accepted(&input, None);
        } else {
            check_failed(&input, HandshakeError::Head(HeadError::TooLarge));
        }
    }
}

#[test]
fn bytes_that_are_not_http_fail_with_a_hint() {
    for (input, expected) in [
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", HeadError::InvalidStartLine),
        ("HTTP/2.0 101 a\r\n\r\n", HeadError::UnsupportedVersion),
        ("HTTP/1.1 101 a\n\n", HeadError::BareLineFeed),
        ("\x15\x03\x01\0\x02\x02\x50", HeadError::Tls),
    ] {
        check_failed(input, HandshakeError::Head(expected));
    }
}

#[test]
fn k15_what_would_split_the_request_is_refused_before_connecting() {
    let new = |host: &str, target: &str| ClientRequest::new(host, target, [0; 16]).map(|_| ());
    for host in ["", "a b", "a\r\nb", "a/b", "user@a", "señal"] {
        assert_eq!(new(host, "/"), Err(HandshakeError::InvalidHost(host.to_owned())));
    }
    for target in ["", "chat", "/a b", "/a\r\nHost: b", "/ñ", "/a#b", "/\0"] {
        assert_eq!(new("a", target), Err(HandshakeError::InvalidTarget), "{target:?}");
    }
    let mut request = client_request();
    for name in ["", "a b", "a\r\nb", "a,b", "ñ", "a\0"] {
        let error = request.subprotocol(name).unwrap_err();
        assert_eq!(error, HandshakeError::InvalidSubprotocol(name.to_owned()));
        assert!(!error.to_string().contains(char::is_control));
    }
    let repeated = HandshakeError::RepeatedSubprotocol("chat".to_owned());
    assert_eq!(request.subprotocol("chat").unwrap_err(), repeated);
    for origin in ["", "http://a\r\nb", "http://a b", "http://ñ"] {
        assert_eq!(request.origin(origin).unwrap_err(), HandshakeError::InvalidOrigin);
        assert_eq!(request.field("origin", origin.as_bytes()).unwrap_err(), HandshakeError::InvalidOrigin);
    }
    for (name, value, expected) in [
        ("X-A", &b"b\r\nC: d"[..], FieldError::InvalidValue("X-A".to_owned())),
        ("X-A\r\nB", b"c", FieldError::InvalidName("X-A\r\nB".to_owned())),
        ("Sec-WebSocket-Key", b"c", FieldError::Reserved("Sec-WebSocket-Key".to_owned())),
        ("host", b"c", FieldError::Reserved("host".to_owned())),
    ] {
        assert_eq!(request.field(name, value).unwrap_err(), HandshakeError::Field(expected));
    }
    assert!(request.extensions("a\r\nb").is_err());
}

#[test]
fn no_mutated_response_makes_a_panic_or_depends_on_its_splits() {
    let chosen = [
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=\"12\""),
    ];
    let right = format!("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n{}", respond("", &chosen));
    let (mut accepted, mut failed) = (0, 0);
    for seed in 0..2_000 {
        match check_bytes(&Random(seed).mutate(right.as_bytes())) {
            Some(Ok(_)) => accepted += 1,
            Some(Err(_)) => failed += 1,
            None => {}
        }
    }
    assert!(accepted > 20 && failed > 200, "{accepted} accepted, {failed} failed");
}

#[test]
fn server_accepts_what_the_client_writes_and_client_what_the_server_answers() {
    let mut request = client_request();
    request.field("Authorization", b"Bearer a").unwrap().field("Origin", b"https://app.example").unwrap();
    let mut wire = BytesMut::new();
    request.write(&mut wire);
    assert_eq!(
        wire,
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Origin: https://app.example\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other\r\n\
         Authorization: Bearer a\r\n\r\n"
    );

    let head = RequestHead::take(&mut HeadScanner::new(HeadLimits::default()), &mut wire).unwrap().unwrap();
    assert!(head.wants_websocket());
    assert_eq!(head.fields().first("authorization"), Some(&b"Bearer a"[..]));
    let upgrade = head.upgrade().unwrap();
    assert_eq!(upgrade.host(), "server.example.com");
    assert_eq!(upgrade.origin(), Some("https://app.example"));
    assert_eq!(upgrade.subprotocols(), ["chat", "superchat"]);
    assert_eq!(upgrade.extensions().len(), 2);
    let mut acceptance = upgrade.accept();
    acceptance.subprotocol("superchat").unwrap();
    acceptance.extensions("permessage-deflate; client_max_window_bits=12").unwrap();
    let mut wire = BytesMut::new();
    acceptance.write(&mut wire);

    let accepted = request.response_reader(HeadLimits::default()).take(&mut wire).unwrap().unwrap();
    assert!(wire.is_empty());
    assert_eq!(accepted.subprotocol(), Some("superchat"));
    assert_eq!(accepted.extensions()[0].params, [("client_max_window_bits", Some("12"))]);
}
