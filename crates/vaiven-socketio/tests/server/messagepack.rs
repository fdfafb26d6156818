//! The other parser, and both side by side.

use crate::client::*;
use vaiven::Message;
use vaiven_socketio::packet::{Decoder, Packet, PacketLimits, Parser};
use vaiven_socketio::{Ack, Args, Binary, IoConfig, Namespace, Parsers, Socket};

const CONNECT: &[u8] = b"\x82\xa4type\x00\xa3nsp\xa1/";

fn namespace() -> Namespace {
    Namespace::new()
        .on("echo", async |args: Args, ack: Ack| ack.send(&args))
        .on("all", async |socket: Socket, args: Args| socket.everybody().emit("all", &args))
}

/// What the server said, as if it were a client's word: events look the same both ways.
fn event(message: Option<Message>) -> (String, String, usize) {
    let mut decoder = Decoder::new(Parser::MsgPack, PacketLimits::default());
    let packet = decoder.decode(message.expect("a message")).expect("a packet").expect("a whole one");
    let Packet::Event { name, args, .. } = packet else { panic!("an event, not {packet:?}") };
    (name.as_str().to_owned(), args.json().to_owned(), args.attachments().len())
}

#[tokio::test(start_paused = true)]
async fn clients_of_both_parsers_hear_each_other() {
    let mut config = IoConfig::default();
    config.parsers = Parsers::Either;
    let io = server_with(config, namespace());
    let (mut json, _) = Client::join(&io).await;
    let mut msgpack = Client::open(&io).await;
    msgpack.send_binary(CONNECT).await;
    assert!(matches!(msgpack.next().await, Some(Message::Binary(_))));

    // ["all", Uint8Array [1, 2]]
    msgpack.send_binary(b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3all\xc4\x02\x01\x02").await;
    json.expect(r#"51-["all",{"_placeholder":true,"num":0}]"#).await;
    assert_eq!(json.next().await, Some(vec![1, 2].into()));
    let placeholder = r#"{"_placeholder":true,"num":0}"#.to_owned();
    assert_eq!(event(msgpack.next().await), ("all".to_owned(), placeholder, 1));

    json.send(r#"2["all",0.1,"é"]"#).await;
    json.expect(r#"2["all",0.1,"é"]"#).await;
    assert_eq!(event(msgpack.next().await), ("all".to_owned(), r#"0.1,"é""#.to_owned(), 0));
    io.emit("bytes", Binary::from(vec![7])).expect("sent");
    assert_eq!(event(msgpack.next().await).2, 1);

    // ["echo", 1] with the number 5.
    msgpack.send_binary(b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x05\xa4data\x92\xa4echo\x01").await;
    let ack = msgpack.next().await.expect("an acknowledgement");
    assert_eq!(ack.as_bytes(), b"\x84\xa4type\x03\xa3nsp\xa1/\xa2id\x05\xa4data\x91\x01");
}

#[tokio::test(start_paused = true)]
async fn a_server_of_one_parser_refuses_the_other() {
    for (parsers, is_binary) in [(Parsers::Json, true), (Parsers::MsgPack, false)] {
        let mut config = IoConfig::default();
        config.parsers = parsers;
        let io = server_with(config, namespace());
        let mut client = Client::open(&io).await;
        if is_binary {
            client.send_binary(CONNECT).await;
        } else {
            client.send("0").await;
        }
        assert_eq!(client.end().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_come_back_to_the_last_bit() {
    let mut config = IoConfig::default();
    config.parsers = Parsers::Either;
    let io = server_with(config, namespace());
    let mut msgpack = Client::open(&io).await;
    msgpack.send_binary(CONNECT).await;
    msgpack.next().await.expect("the reply");
    for number in [
        0.1 + 0.2,
        1.0 / 3.0,
        2.225_073_858_507_201e-308,
        1.797_693_134_862_315_7e308,
        31.245_270_191_439_438,
    ] {
        let mut packet = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa3all\xcb".to_vec();
        packet.extend_from_slice(&f64::to_be_bytes(number));
        msgpack.send_binary(&packet).await;
        assert_eq!(msgpack.next().await.expect("an event").as_bytes(), packet, "{number}");
    }
}
