//! What is read as which packet, and what is refused.

use super::*;
use bytes::Bytes;
use vaiven::Message;

fn decoder() -> Decoder {
    Decoder::new(Parser::Json, PacketLimits::default())
}

fn messages(texts_and_bytes: &[&str]) -> Vec<Message> {
    // What begins with a tilde is an attachment.
    texts_and_bytes
        .iter()
        .map(|message| match message.strip_prefix('~') {
            Some(bytes) => Message::binary(bytes.as_bytes().to_vec()),
            None => Message::text(*message),
        })
        .collect()
}

/// Decodes all messages: the last one must complete the packet.
#[track_caller]
fn read(input: &[&str]) -> Packet {
    let mut decoder = decoder();
    let mut messages = messages(input);
    let last = messages.pop().expect("at least one message");
    for message in messages {
        assert_eq!(decoder.decode(message), Ok(None));
    }
    let packet = decoder.decode(last).expect("a packet").expect("a complete packet");
    assert_eq!(decoder.pending_bytes(), 0);
    packet
}

/// Decodes all messages: the last one must be refused, and leave nothing behind.
#[track_caller]
fn refused(input: &[&str], expected: PacketError) {
    let mut decoder = decoder();
    let mut messages = messages(input);
    let last = messages.pop().expect("at least one message");
    for message in messages {
        assert_eq!(decoder.decode(message), Ok(None), "{input:?}");
    }
    assert_eq!(decoder.decode(last), Err(expected), "{input:?}");
    assert_eq!(decoder.pending_bytes(), 0, "{input:?}");
}

fn event(namespace: &str, id: Option<u64>, name: &str, json: &str, attachments: &[&'static str]) -> Packet {
    let attachments = attachments.iter().map(|bytes| Bytes::from_static(bytes.as_bytes())).collect();
    let args = Args::from_parts(Text::from(json), attachments);
    Packet::Event { namespace: Text::from(namespace), id, name: Text::from(name), args }
}

#[test]
fn every_type_of_packet_is_read() {
    let connect = |namespace: &str, auth: Option<&str>| Packet::Connect {
        namespace: Text::from(namespace),
        auth: auth.map(Text::from),
    };
    assert_eq!(read(&["0"]), connect("/", None));
    assert_eq!(read(&["0{\"a\":1}"]), connect("/", Some("{\"a\":1}")));
    for text in ["0/custom", "0/custom,"] {
        assert_eq!(read(&[text]), connect("/custom", None));
    }
    assert_eq!(read(&["0/custom,{\"a\":[]}"]), connect("/custom", Some("{\"a\":[]}")));
    for text in ["1/a", "1/a,"] {
        assert_eq!(read(&[text]), Packet::Disconnect { namespace: Text::from("/a") });
    }
    assert_eq!(read(&["2[\"hi\"]"]), event("/", None, "hi", "", &[]));
    assert_eq!(read(&["2/a,12[\"hi\",1, {\"b\":[]} ]"]), event("/a", Some(12), "hi", "1, {\"b\":[]}", &[]));
    assert_eq!(read(&["2[ \"a\\u00e9\\\"\" , 1]"]), event("/", None, "aé\"", "1", &[]));
    assert_eq!(read(&["29007199254740992[\"x\"]"]), event("/", Some(1 << 53), "x", "", &[]));
    let args = Args::new((1, "a")).unwrap();
    assert_eq!(
        read(&["3/a,7[1,\"a\"]"]),
        Packet::Ack { namespace: Text::from("/a"), id: 7, args: args.clone() }
    );
    assert_eq!(read(&["30[]"]), Packet::Ack { namespace: Text::from("/"), id: 0, args: Args::default() });
}

#[test]
fn attachments_are_put_together_with_their_packet() {
    let json = r#"{"_placeholder":true,"num":1},{"a":[{"num":0,"_placeholder":true}]}"#;
    let text = format!("52-/a,3[\"b\",{json}]");
    assert_eq!(read(&[&text, "~one", "~two"]), event("/a", Some(3), "b", json, &["one", "two"]));
    let json = r#"{"_placeholder":true,"num":0}"#;
    let ack = read(&[&format!("61-5[{json}]"), "~x"]);
    let Packet::Ack { id: 5, args, .. } = ack else { panic!("an acknowledgement") };
    assert_eq!((args.json(), &args.attachments()[0][..]), (json, &b"x"[..]));
    // In a packet without attachments it is data like any other.
    let text = format!("2[\"b\",{json}]");
    assert_eq!(read(&[&text]), event("/", None, "b", json, &[]));
}

#[test]
fn what_breaks_a_rule_is_refused_and_leaves_nothing() {
    use PacketError as E;
    let too_long = format!("0/{}", "n".repeat(MAX_NAMESPACE_BYTES));
    let deep = format!("51-[\"x\",{}{}]", "[".repeat(200), "]".repeat(200));
    for (text, error) in [
        ("", E::Type),
        ("abc", E::Type),
        ("4{}", E::Type),
        ("7", E::Type),
        ("50-[\"x\"]", E::AttachmentCount),
        ("5-[\"x\"]", E::AttachmentCount),
        ("5x-[\"x\"]", E::AttachmentCount),
        ("501-[\"x\"]", E::AttachmentCount),
        ("5+1-[\"x\"]", E::AttachmentCount),
        ("51", E::AttachmentCount),
        ("511-[\"x\"]", E::TooManyAttachments),
        ("5999999999-[\"x\"]", E::TooManyAttachments),
        ("599999999999999999999999-[\"x\"]", E::TooManyAttachments),
        (r#"51-["x",{"_placeholder":true,"num":1}]"#, E::Placeholder),
        (r#"51-["x",{"_placeholder":true,"num":-1}]"#, E::Placeholder),
        (r#"51-["x",{"_placeholder":true,"num":"0"}]"#, E::Placeholder),
        (r#"51-["x",{"_placeholder":true,"num":0.5}]"#, E::Placeholder),
        (r#"51-["x",{"_placeholder":true}]"#, E::Placeholder),
        (r#"51-["x",{"a":[{"_place\u0068older":true,"num":9}]}]"#, E::Placeholder),
        (r#"61-3[{"_placeholder":true,"num":1}]"#, E::Placeholder),
        (&too_long, E::Namespace),
        (&deep, E::Payload),
        ("29007199254740993[\"x\"]", E::AckId),
        ("299999999999999999999[\"x\"]", E::AckId),
        ("3[1]", E::AckId),
        ("01{}", E::AckId),
        ("0[]", E::Payload),
        ("0\"x\"", E::Payload),
        ("0{", E::Payload),
        ("0/a,{\"a\"}", E::Payload),
        ("1{}", E::Payload),
        ("2", E::Payload),
        ("2{}", E::Payload),
        ("2abc[\"x\"]", E::Payload),
        ("2[\"x\"", E::Payload),
        ("2[\"x\",]", E::Payload),
        ("2[\"x\"]]", E::Payload),
        ("31{}", E::Payload),
        ("2[]", E::EventName),
        ("2[1]", E::EventName),
        ("2[null,\"x\"]", E::EventName),
        ("2[\"connect\"]", E::ReservedEvent),
        ("2[\"disconnecting\",1]", E::ReservedEvent),
        ("2[\"dis\\u0063onnect\"]", E::ReservedEvent),
    ] {
        refused(&[text], error);
    }
    refused(&["~x"], E::UnexpectedBinary);
    refused(&[r#"52-["x"]"#, "~a", "2[\"y\"]"], E::TextForAttachment);
    refused(&[r#"51-["x"]"#, "1"], E::TextForAttachment);
}

#[test]
fn reserved_names_are_all_refused() {
    for name in RESERVED_EVENTS {
        refused(&[&format!("2[\"{name}\"]")], PacketError::ReservedEvent);
    }
}

#[test]
fn a_packet_is_bounded_with_all_of_its_attachments() {
    let text = r#"52-["x"]"#;
    let max = 100;
    let limits = PacketLimits { max_packet_bytes: max, ..PacketLimits::default() };
    for (second, expected) in
        [(max - text.len() - 41, true), (max - text.len() - 40, true), (max - text.len() - 39, false)]
    {
        let mut decoder = Decoder::new(Parser::Json, limits);
        assert_eq!(decoder.decode(text.into()), Ok(None));
        assert_eq!(decoder.decode(vec![0; 40].into()), Ok(None));
        assert_eq!(decoder.pending_bytes(), text.len() + 40);
        let last = decoder.decode(vec![0; second].into());
        assert_eq!(last.is_ok(), expected, "{second}");
        assert_eq!(decoder.pending_bytes(), 0);
    }
    for (len, expected) in [(max - 1, true), (max, true), (max + 1, false)] {
        let text = format!("2[\"{}\"]", "x".repeat(len - 5));
        let read = Decoder::new(Parser::Json, limits).decode(text.into());
        assert_eq!(read.is_ok(), expected, "{len}");
    }
}

#[test]
fn as_many_attachments_as_the_limit_says() {
    for (count, expected) in [(9, true), (10, true), (11, false)] {
        let read = decoder().decode(format!("5{count}-[\"x\"]").into());
        assert_eq!(read.is_ok(), expected, "{count}");
    }
}

#[track_caller]
fn written(encoded: &Encoded, expected: &[&str]) {
    assert_eq!(encoded.messages(), messages(expected));
}

#[test]
fn every_type_of_packet_is_written() {
    let json = Parser::Json;
    written(&Encoded::connect(json, "/", "{\"sid\":\"a\"}"), &["0{\"sid\":\"a\"}"]);
    written(&Encoded::connect(json, "/a", "{\"sid\":\"a\"}"), &["0/a,{\"sid\":\"a\"}"]);
    written(&Encoded::disconnect(json, "/"), &["1"]);
    written(&Encoded::disconnect(json, "/a"), &["1/a,"]);
    written(&Encoded::connect_error(json, "/x", "{\"message\":\"no\"}"), &["4/x,{\"message\":\"no\"}"]);
    let event =
        |id, args: &dyn Arguments, offset| Encoded::event(json, "/", id, "e\"", args, offset).unwrap();
    written(&event(None, &(), None), &[r#"2["e\""]"#]);
    written(&event(None, &(), Some("o")), &[r#"2["e\"","o"]"#]);
    written(&event(Some(5), &(1, "é"), Some("o")), &[r#"25["e\"",1,"é","o"]"#]);
    let bytes = Binary::from(b"ab".to_vec());
    written(&event(Some(0), &(&bytes,), None), &[r#"51-0["e\"",{"_placeholder":true,"num":0}]"#, "~ab"]);
    written(&Encoded::ack(json, "/a", 3, &()).unwrap(), &["3/a,3[]"]);
    written(
        &Encoded::ack(json, "/", 3, &(&bytes, &bytes)).unwrap(),
        &[r#"62-3[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#, "~ab", "~ab"],
    );
}

#[test]
fn arguments_that_cannot_be_written_are_an_error() {
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(Encoded::event(Parser::Json, "/", None, "e", &&map, None).is_err());
}

#[test]
fn messagepack_says_what_the_official_parser_says() {
    // { type: 2, data: ['hi', 1, { a: Uint8Array [7] }], nsp: '/a', id: 300 }
    let wire = b"\x84\xa4type\x02\xa4data\x93\xa2hi\x01\x81\xa1a\xc4\x01\x07\xa3nsp\xa2/a\xa2id\xcd\x01\x2c";
    let mut decoder = Decoder::new(Parser::MsgPack, PacketLimits::default());
    let packet = decoder.decode(Message::binary(&wire[..])).unwrap().unwrap();
    let json = r#"1,{"a":{"_placeholder":true,"num":0}}"#;
    assert_eq!(packet, event("/a", Some(300), "hi", json, &["\x07"]));
    let Packet::Event { args, .. } = packet else { unreachable!("compared above") };
    let encoded = Encoded::event(Parser::MsgPack, "/a", Some(300), "hi", &args, None).unwrap();
    let [message] = encoded.messages() else { panic!("one message") };
    // The same members in another order.
    assert_eq!(
        message.as_bytes(),
        b"\x84\xa4type\x02\xa3nsp\xa2/a\xa2id\xcd\x01\x2c\xa4data\x93\xa2hi\x01\x81\xa1a\xc4\x01\x07"
    );
}

#[test]
fn messagepack_comes_back_as_it_was_written() {
    let long: Vec<u32> = (0..70_000).collect();
    let wide = serde_json::to_value(vec![-1, -32, -33, -129, -32_769, 127, 128, 256, 65_536]).unwrap();
    let args = Args::new((
        long,
        wide,
        "é".repeat(40),
        "x".repeat(300),
        (u64::MAX, i64::MIN, 1.5, true, None::<u8>),
        Binary::from(vec![1; 70_000]),
    ))
    .unwrap();
    let encoded = Encoded::event(Parser::MsgPack, "/", None, "e", &args, None).unwrap();
    let mut decoder = Decoder::new(Parser::MsgPack, PacketLimits::default());
    let packet = decoder.decode(encoded.messages()[0].clone()).unwrap().unwrap();
    let Packet::Event { args: again, .. } = packet else { panic!("an event") };
    assert_eq!(again.json(), args.json());
    assert_eq!(again.attachments(), args.attachments());
}

#[test]
fn messagepack_that_breaks_a_rule_is_refused() {
    use PacketError as E;
    let deep =
        [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x".to_vec(), vec![0x91; 200], vec![0x90]].concat();
    let cases: &[(&[u8], E)] = &[
        (b"", E::MsgPack),
        (b"\xc1", E::MsgPack),
        (b"\x01", E::MsgPack),
        (b"\x80", E::Namespace),
        (b"\x82\xa4type\x02\xa3nsp\xa1/", E::Payload),
        (b"\x82\xa4type\x05\xa3nsp\xa1/", E::Type),
        (b"\x82\xa4type\xff\xa3nsp\xa1/", E::Type),
        (b"\x82\xa4type\x00\xa3nsp\xa1x", E::Namespace),
        (b"\x82\xa4type\x00\xa3nsp\xa4/a,b", E::Namespace),
        (b"\x82\xa4type\x00\xa3nsp\xa1/\x00", E::MsgPack),
        (b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x90", E::Payload),
        (b"\x83\xa4type\x01\xa3nsp\xa1/\xa2id\x01", E::AckId),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x90", E::EventName),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\x01", E::EventName),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa7connect", E::ReservedEvent),
        (b"\x83\xa4type\x03\xa3nsp\xa1/\xa4data\x90", E::AckId),
        (b"\x84\xa4type\x03\xa3nsp\xa1/\xa2id\xff\xa4data\x90", E::AckId),
        (b"\x84\xa4type\x03\xa3nsp\xa1/\xa2id\xcf\x00\x20\x00\x00\x00\x00\x00\x01\xa4data\x90", E::AckId),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff", E::MsgPack),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x\xc6\xff\xff\xff\xff", E::MsgPack),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x\x81\xac_placeholder\xc3", E::Placeholder),
        (b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x9c\xa1x\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0\xc4\0",
            E::TooManyAttachments),
        (&deep, E::MsgPack),
    ];
    for (wire, error) in cases {
        let mut decoder = Decoder::new(Parser::MsgPack, PacketLimits::default());
        assert_eq!(decoder.decode(Message::binary(wire.to_vec())), Err(*error), "{wire:x?}");
    }
    let text = Decoder::new(Parser::MsgPack, PacketLimits::default()).decode("0".into());
    assert_eq!(text, Err(E::MsgPack));
}
