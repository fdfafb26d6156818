//! The server's side of the opening handshake against the catalogue of bad input, rows H1 to H26 and H34.

use crate::wire::{Random, head as request, whole_and_split};
use bytes::BytesMut;
use std::collections::BTreeSet;
use vaiven_proto::handshake::{
    AcceptanceError, FieldError, HeadLimits, HeadScanner, HttpVersion, OriginPolicy, Refusal, RequestHead,
    Scheme, Upgrade,
};

const REQUEST_LINE: &str = "GET /chat HTTP/1.1";
const FIELDS: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// What a server makes of the bytes: the status, and the answer.
fn answer(input: &[u8], pieces: &mut dyn Iterator<Item = usize>) -> Option<(u16, String)> {
    let mut scanner = HeadScanner::new(HeadLimits::default());
    let mut received = BytesMut::new();
    let mut rest = input;
    for piece in pieces {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        received.extend_from_slice(now);
        rest = later;
        let mut out = BytesMut::new();
        let refused = |refusal: Refusal| {
            let mut out = BytesMut::new();
            refusal.write(&mut out);
            Some((refusal.status(), String::from_utf8(out.to_vec()).unwrap()))
        };
        match RequestHead::take(&mut scanner, &mut received) {
            Ok(None) if rest.is_empty() => return None,
            Ok(None) => {}
            Err(error) => return refused(error.into()),
            Ok(Some(head)) => match head.upgrade() {
                Err(refusal) => return refused(refusal),
                Ok(upgrade) => {
                    let mut acceptance = upgrade.accept();
                    if let Some(name) = upgrade.choose_subprotocol(&["chat", "superchat"]) {
                        acceptance.subprotocol(name).unwrap();
                    }
                    acceptance.write(&mut out);
                    return Some((101, String::from_utf8(out.to_vec()).unwrap()));
                }
            },
        }
    }
    None
}

/// The answer has this status and this field, however the bytes come.
#[track_caller]
fn check_bytes(input: &[u8], status: u16, field: Option<&str>) -> String {
    let whole = whole_and_split(input, answer);
    let (found, text) = whole.expect("the head is complete");
    assert_eq!(found, status, "{}\n{text}", input.escape_ascii());
    let head = text.split_once("\r\n\r\n").unwrap().0;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    if let Some(field) = field {
        assert!(head.split("\r\n").any(|line| line == field), "{field} in {text}");
    }
    assert_eq!(status != 101, head.contains("Connection: close"), "{text}");
    text
}

#[track_caller]
fn check_line(line: &str, status: u16, field: Option<&str>) {
    check_bytes(request(line, &FIELDS).as_bytes(), status, field);
}

/// The right request with `name` left out and `fields` added.
#[track_caller]
fn check(name: &str, fields: &[(&str, &str)], status: u16, field: Option<&str>) -> String {
    let mut all: Vec<_> = FIELDS.into_iter().filter(|(other, _)| *other != name).collect();
    all.extend(fields);
    check_bytes(request(REQUEST_LINE, &all).as_bytes(), status, field)
}

#[test]
fn a_right_request_is_accepted() {
    let text = check("", &[], 101, Some("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    check("Connection", &[("connection", "keep-alive ,\tUPGRADE")], 101, None);
    check("Connection", &[("Connection", "keep-alive"), ("Connection", "upgrade")], 101, None);
    check("Upgrade", &[("UPGRADE", "h2c, WebSocket")], 101, None);
    check("Host", &[("Host", "[::1]:8080")], 101, None);
    check("", &[("Content-Length", "0")], 101, None);
    // Frames that come before the answer do not disturb it.
    check_bytes(&[request(REQUEST_LINE, &FIELDS).as_bytes(), b"\x81\x85abcdHello\0"].concat(), 101, None);
}

#[test]
fn h1_another_method_is_not_allowed() {
    for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get"] {
        check_line(&format!("{method} /chat HTTP/1.1"), 405, Some("Allow: GET"));
    }
}

#[test]
fn h2_http_1_0_cannot_upgrade() {
    check_line("GET /chat HTTP/1.0", 400, None);
}

#[test]
fn h3_an_unknown_version_of_http_is_not_supported() {
    check_line("GET /chat HTTP/9.9", 505, None);
    check_line("PRI * HTTP/2.0", 505, None);
    let fields = FIELDS.map(|(name, value)| (name, value.as_bytes()));
    assert_eq!(Upgrade::check("GET", HttpVersion::Other, fields.into_iter()).unwrap_err().status(), 505);
}

#[test]
fn h4_host_comes_once() {
    check("Host", &[], 400, None);
    check("", &[("Host", "server.example.com")], 400, None);
    check("Host", &[("Host", "a/b")], 400, None);
    check("Host", &[("Host", "a b")], 400, None);
    check("Host", &[("Host", "user@a")], 400, None);
}

#[test]
fn h5_a_request_that_is_no_upgrade_is_told_to_upgrade() {
    let text = check("Upgrade", &[], 426, Some("Upgrade: websocket"));
    assert!(text.contains("This is a WebSocket endpoint"), "{text}");
    check("Upgrade", &[("Upgrade", "h2c")], 426, Some("Upgrade: websocket"));
    check("Upgrade", &[("Upgrade", "websockets")], 426, Some("Upgrade: websocket"));
    check("Upgrade", &[("Upgrade", "")], 426, Some("Upgrade: websocket"));
}

#[test]
fn h6_connection_names_upgrade() {
    check("Connection", &[], 400, None);
    check("Connection", &[("Connection", "keep-alive")], 400, None);
    check("Connection", &[("Connection", "upgraded")], 400, None);
}

#[test]
fn h7_only_version_13_is_spoken() {
    let field = Some("Sec-WebSocket-Version: 13");
    check("Sec-WebSocket-Version", &[], 426, field);
    for version in ["8", "12", "13x", "", "013", "13, 13", "14"] {
        check("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", version)], 426, field);
    }
    check("", &[("Sec-WebSocket-Version", "13")], 426, field);
}

#[test]
fn h8_the_key_comes_once() {
    check("Sec-WebSocket-Key", &[], 400, None);
    check("", &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")], 400, None);
}

#[test]
fn h9_the_key_is_sixteen_bytes_of_base64() {
    for key in
        ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZSEh", "*"]
    {
        check("Sec-WebSocket-Key", &[("Sec-WebSocket-Key", key)], 400, None);
    }
}

#[test]
fn h10_and_h12_subprotocols_are_unique_tokens() {
    for list in ["a,,b", "a,a", "a b", "", ",", "señal", "a,\u{2028}"] {
        check("", &[("Sec-WebSocket-Protocol", list)], 400, None);
    }
    check("", &[("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")], 400, None);
}

#[test]
fn h11_a_subprotocol_that_is_not_known_is_not_answered() {
    let text = check("", &[("Sec-WebSocket-Protocol", "mqtt")], 101, None);
    assert!(!text.contains("Sec-WebSocket-Protocol"), "{text}");
    let list = [("Sec-WebSocket-Protocol", "mqtt, superchat"), ("sec-websocket-protocol", "chat")];
    check("", &list, 101, Some("Sec-WebSocket-Protocol: superchat"));
}

#[test]
fn h13_malformed_extensions_are_refused() {
    for offer in ["", "a,,b", "a;", "a;b=", "a;b=\"c", "a b", "ñ", ";", "permessage-deflate; x=\"a b\""] {
        check("", &[("Sec-WebSocket-Extensions", offer)], 400, None);
    }
}

#[test]
fn h14_and_h15_offers_are_left_to_their_extensions() {
    let offers =
        ["x-unknown; a=1", "permessage-deflate; server_max_window_bits=1000; server_max_window_bits=8"];
    for offer in offers {
        let text = check("", &[("Sec-WebSocket-Extensions", offer)], 101, None);
        assert!(!text.contains("Sec-WebSocket-Extensions"), "{text}");
    }
    let fields = FIELDS.map(|(name, value)| (name, value.as_bytes()));
    let lines = offers.map(|offer| ("Sec-WebSocket-Extensions", offer.as_bytes()));
    let upgrade = Upgrade::check("GET", HttpVersion::Http11, fields.into_iter().chain(lines)).unwrap();
    assert_eq!(upgrade.extensions().len(), 2);
    assert_eq!(upgrade.extensions()[1].params.len(), 2);
    assert_eq!(upgrade.extensions_text(), Some(&*offers.join(", ")));
}

#[test]
fn h16_a_head_of_more_than_16_kib_is_too_large() {
    let fixed = request(REQUEST_LINE, &FIELDS).len() + "A: \r\n".len() * 3;
    for length in [16_383, 16_384, 16_385] {
        let rest = length - fixed - 10_000;
        let values = ["a".repeat(5_000), "b".repeat(5_000), "c".repeat(rest)];
        let fields = [("A", &*values[0]), ("B", &*values[1]), ("C", &*values[2])];
        let all: Vec<_> = FIELDS.into_iter().chain(fields).collect();
        let input = request(REQUEST_LINE, &all);
        assert_eq!(input.len(), length);
        check_bytes(input.as_bytes(), if length <= 16_384 { 101 } else { 431 }, None);
    }
}

#[test]
fn h17_more_than_100_fields_are_too_many() {
    for count in [99, 100, 101] {
        let fields = vec![("A", "b"); count - FIELDS.len()];
        check("", &fields, if count <= 100 { 101 } else { 431 }, None);
    }
}

#[test]
fn h18_a_request_line_of_more_than_8_kib_is_too_long() {
    for length in [8_191, 8_192, 8_193] {
        let line = format!("GET /{} HTTP/1.1", "a".repeat(length - 14));
        assert_eq!(line.len(), length);
        check_line(&line, if length <= 8_192 { 101 } else { 414 }, None);
    }
}

#[test]
fn h19_and_h20_an_upgrade_has_no_body() {
    check("", &[("Content-Length", "5")], 400, None);
    check("", &[("Content-Length", "00")], 400, None);
    check("", &[("Transfer-Encoding", "chunked")], 400, None);
    check("", &[("Transfer-Encoding", "")], 400, None);
    check("", &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")], 400, None);
}

#[test]
fn h21_what_parsers_read_differently_is_refused() {
    let right = request(REQUEST_LINE, &FIELDS);
    for (from, to) in [
        ("Host: ", "Host : "),
        ("Host: ", "Host\t: "),
        ("Host: ", " Host: "),
        ("websocket\r\n", "websocket\n"),
        ("Upgrade\r\n", "Upgrade\r\n folded\r\n"),
        ("Upgrade\r\n", "Upgrade\r\n\tfolded\r\n"),
        ("/chat", "/ch\0at"),
        ("Host: ", "Host: \0"),
        ("Host: ", "Ho\0st: "),
        ("Host: ", "X\r\nHost: "),
        ("Host: ", ": x\r\nHost: "),
        ("\r\n\r\n", "\r\n\n"),
        ("Host: ", "Host: \r"),
    ] {
        check_bytes(right.replacen(from, to, 1).as_bytes(), 400, None);
    }
}

#[test]
fn h22_what_is_pipelined_behind_a_refusal_stays_unread() {
    let refused = request("POST /chat HTTP/1.1", &FIELDS);
    let text = check_bytes(format!("{refused}GET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 405, None);
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
}

#[test]
fn h34_any_byte_in_any_value_is_refused_or_accepted() {
    let mut names: Vec<_> = FIELDS.map(|(name, _)| name).to_vec();
    names.extend([
        "Origin",
        "Cookie",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
    ]);
    for name in names {
        let value = FIELDS.into_iter().find(|(other, _)| *other == name).map_or("a", |(_, value)| value);
        for byte in 0..=u8::MAX {
            for position in [0, value.len() / 2, value.len()] {
                let mut bad = value.as_bytes().to_vec();
                bad.insert(position, byte);
                let others = FIELDS.into_iter().filter(|(other, _)| *other != name);
                let mut input = request(REQUEST_LINE, &others.clone().collect::<Vec<_>>()).into_bytes();
                input.truncate(input.len() - 2);
                input.extend([name.as_bytes(), b": ", &bad, b"\r\n\r\n"].concat());
                let (status, _) =
                    answer(&input, &mut std::iter::once(input.len())).expect("the head is complete");
                // A version or a name of a protocol that is not the right one has an answer of its own.
                assert!(matches!(status, 101 | 400 | 426), "{name} {byte:02x}: {status}");
                let of_parts = others.map(|(name, value)| (name, value.as_bytes())).chain([(name, &*bad)]);
                let parts = Upgrade::check("GET", HttpVersion::Http11, of_parts);
                let of_parts = parts.map_or_else(|refusal| refusal.status(), |_| 101);
                assert!(matches!(of_parts, 101 | 400 | 426), "{name} {byte:02x}: {of_parts}");
                // Control characters are for whoever reads the head.
                if byte == b'\t' || !byte.is_ascii_control() {
                    assert_eq!(of_parts, status, "{name} {byte:02x}");
                }
            }
        }
    }
}

#[test]
fn h24_to_h26_a_foreign_origin_is_forbidden_and_told_why() {
    let same = OriginPolicy::same_origin();
    let with_token = OriginPolicy::same_origin().allow_absent();
    let host = "server.example.com";
    for (policy, origin, allowed) in [
        (&same, Some("https://server.example.com"), true),
        (&same, Some("https://evil.example"), false),
        (&same, Some("null"), false),
        (&same, None, false),
        (&with_token, None, true),
        (&with_token, Some("https://evil.example"), false),
    ] {
        let Err(refused) = policy.check(origin, host, Scheme::Https) else {
            assert!(allowed, "{origin:?}");
            continue;
        };
        assert!(!allowed, "{origin:?}");
        let refusal = Refusal::forbidden_origin(&refused);
        assert_eq!((refusal.status(), refusal.code()), (403, "origin"));
        assert!(refusal.message().contains(host), "{refusal}");
        assert!(refusal.message().contains(origin.unwrap_or("no Origin")), "{refusal}");
    }
}

#[test]
fn a_repeated_or_foreign_looking_origin_is_refused() {
    check("", &[("Origin", "http://a"), ("Origin", "http://b")], 400, None);
    check("", &[("Origin", "http://señal.example")], 400, None);
    check("", &[("Origin", "null")], 101, None);
}

#[test]
fn no_mutated_request_makes_a_panic_or_depends_on_its_splits() {
    let offers = [
        ("Origin", "https://server.example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=\"12\", x-other"),
    ];
    let right = request(REQUEST_LINE, &FIELDS.into_iter().chain(offers).collect::<Vec<_>>());
    let mut statuses = BTreeSet::new();
    for seed in 0..2_000 {
        let input = Random(seed).mutate(right.as_bytes());
        let outcome = whole_and_split(&input, answer);
        statuses.extend(outcome.map(|(status, _)| status));
    }
    assert!(statuses.is_superset(&BTreeSet::from([101, 400, 405, 426])), "{statuses:?}");
}

#[test]
fn a_request_that_is_no_upgrade_can_be_handed_on() {
    let input = "POST /publish?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    let mut received = BytesMut::from(input);
    let head =
        RequestHead::take(&mut HeadScanner::new(HeadLimits::default()), &mut received).unwrap().unwrap();
    assert!(!head.wants_websocket());
    assert_eq!((head.method(), head.path(), head.query()), ("POST", "/publish", Some("a=b")));
    assert_eq!([&head.as_bytes()[..], &received].concat(), input.as_bytes());
}

#[test]
fn one_scanner_reads_one_head_after_the_other() {
    let mut received = BytesMut::new();
    for path in ["/a", "/longer/than/the/first", "/c"] {
        received.extend_from_slice(request(&format!("GET {path} HTTP/1.1"), &FIELDS).as_bytes());
    }
    let mut scanner = HeadScanner::new(HeadLimits::default());
    for path in ["/a", "/longer/than/the/first", "/c"] {
        let head = RequestHead::take(&mut scanner, &mut received).unwrap().unwrap();
        assert_eq!((head.path(), head.fields().len()), (path, FIELDS.len()));
    }
    assert_eq!(RequestHead::take(&mut scanner, &mut received), Ok(None));
}

#[test]
fn an_acceptance_holds_only_what_was_offered() {
    let fields = FIELDS.map(|(name, value)| (name, value.as_bytes()));
    let plain = Upgrade::check("GET", HttpVersion::Http11, fields.into_iter()).unwrap();
    let not_offered = AcceptanceError::SubprotocolNotOffered("chat".to_owned());
    assert_eq!(plain.accept().subprotocol("chat").unwrap_err(), not_offered);
    assert_eq!(
        plain.accept().extensions("permessage-deflate").unwrap_err(),
        AcceptanceError::ExtensionsNotOffered
    );
    for name in ["Upgrade", "Sec-WebSocket-Accept", "sec-websocket-protocol", "Transfer-Encoding"] {
        let reserved = AcceptanceError::Field(FieldError::Reserved(name.to_owned()));
        assert_eq!(plain.accept().field(name, &b"x"[..]).unwrap_err(), reserved);
    }
    for value in [&b"a\r\nSet-Cookie: b"[..], b"\n", b"\0"] {
        let invalid = AcceptanceError::Field(FieldError::InvalidValue("X-A".to_owned()));
        assert_eq!(plain.accept().field("X-A", value).unwrap_err(), invalid);
    }

    let offers =
        [("Sec-WebSocket-Protocol", &b"chat"[..]), ("Sec-WebSocket-Extensions", b"permessage-deflate")];
    let upgrade = Upgrade::check("GET", HttpVersion::Http11, fields.into_iter().chain(offers)).unwrap();
    let mut acceptance = upgrade.accept();
    acceptance.subprotocol("chat").unwrap().extensions("permessage-deflate").unwrap();
    acceptance.field("Set-Cookie", &b"a=b"[..]).unwrap();
    assert!(acceptance.extensions("a\r\nb").is_err());
    let mut out = BytesMut::new();
    acceptance.write(&mut out);
    assert_eq!(
        out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nSet-Cookie: a=b\r\n\r\n"
    );
}
