//! What `rust_socketio` does with a server: `socketio-client URL TRANSPORT`, where the server is in the mode `suite`.
//!
//! Names each thing that works; the first that does not ends it with a panic.

use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Where a client goes, and how.
struct Way {
    url: String,
    transport: TransportType,
}

impl Way {
    fn to(&self, namespace: &str) -> ClientBuilder {
        let builder = ClientBuilder::new(self.url.clone()).namespace(namespace.to_owned());
        builder.transport_type(self.transport.clone()).reconnect(false)
    }

    /// A client that is connected, and what it is told under some names.
    fn connect(&self, namespace: &str, auth: &Value, events: &[&str]) -> (Client, Receiver<Payload>) {
        let (sender, told) = channel();
        let mut builder = self.to(namespace).auth(auth.clone());
        let events = events.iter().map(|event| Event::from(*event)).chain([Event::Connect]);
        for event in events {
            let sender = sender.clone();
            builder = builder.on(event, move |payload: Payload, _: RawClient| {
                // Nobody may be there any more.
                let _ = sender.send(payload);
            });
        }
        let client = builder.connect().expect("the server lets everybody in");
        told.recv_timeout(PATIENCE).expect("CONNECT is answered");
        (client, told)
    }
}

/// Emits, and gives what is acknowledged.
fn ask(client: &Client, event: &str, arguments: impl Into<Payload>) -> Payload {
    let (sender, answer) = channel();
    let answered = move |payload: Payload, _: RawClient| {
        let _ = sender.send(payload);
    };
    client.emit_with_ack(event, arguments, PATIENCE, answered).expect("the connection stands");
    answer.recv_timeout(PATIENCE).expect("an acknowledgement")
}

#[track_caller]
fn texts(payload: Payload) -> Vec<Value> {
    let Payload::Text(values) = payload else { panic!("no text: {payload:?}") };
    values
}

fn it_learns_who_it_is(way: &Way) {
    let (client, _told) = way.connect("/", &json!({"token": "día"}), &[]);
    let answers = texts(ask(&client, "whoami", Payload::Text(Vec::new())));
    // This client gives the list of an acknowledgement's arguments as one argument.
    let who = &answers[0][0];
    assert_eq!((&who["namespace"], &who["auth"]), (&json!("/"), &json!({"token": "día"})));
    client.disconnect().expect("the connection stands");
}

fn events_go_both_ways_in_order(way: &Way) {
    let (client, told) = way.connect("/other", &json!({}), &["told"]);
    let values = [json!(1), json!("día 🚀"), json!(null), json!({"deep": [1.5, {"a": true}]})];
    for value in values.iter().cycle().take(40) {
        client.emit("say", Payload::Text(vec![json!("told"), value.clone()])).expect("the connection stands");
    }
    for value in values.iter().cycle().take(40) {
        assert_eq!(texts(told.recv_timeout(PATIENCE).expect("an event")), std::slice::from_ref(value));
    }
    client.disconnect().expect("the connection stands");
}

fn a_room_hears(way: &Way) {
    let (ana, told) = way.connect("/", &json!({}), &["told"]);
    let (luis, _) = way.connect("/", &json!({}), &[]);
    ask(&ana, "join", "rust");
    luis.emit("to", Payload::Text(vec![json!("rust"), json!("told"), json!("hola")]))
        .expect("the connection stands");
    assert_eq!(texts(told.recv_timeout(PATIENCE).expect("an event")), [json!("hola")]);
    for client in [ana, luis] {
        client.disconnect().expect("the connection stands");
    }
}

/// Panics where something does not work.
type Check = fn(&Way);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, transport] = words.as_slice() else { panic!("usage: socketio-client URL TRANSPORT") };
    let transport = match transport.as_str() {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        "upgrade" => TransportType::WebsocketUpgrade,
        other => panic!("no transport: {other}"),
    };
    let way = Way { url: url.clone(), transport };
    let checks: [(&str, Check); 3] = [
        ("it learns who it is", it_learns_who_it_is),
        ("events go both ways in order", events_go_both_ways_in_order),
        ("a room hears", a_room_hears),
    ];
    for (name, check) in checks {
        check(&way);
        println!("ok {name}");
    }
}
