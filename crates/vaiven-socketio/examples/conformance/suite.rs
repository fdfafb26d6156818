//! Modes `suite`, `suite-recovery` and `suite-msgpack`, for the tests in `tests/socketio`: a heartbeat of 400 ms, messages
//! of at most 100,000 bytes, and handlers that do what a test tells them. `suite-recovery` keeps a session for 1,500 ms,
//! `suite-msgpack` speaks MessagePack.
//!
//! Namespaces: `/`, `/other` and `/dynamic-<number>` are open, `/guarded` wants a token, in `/silent` nothing happens.
//! `tests/socketio/reference/suite.js` is the same for the official server.

use crate::loopback::serve_on_loopback;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, json};
use std::io;
use std::time::Duration;
use tokio::time::sleep;
use vaiven_socketio::packet::EncodeError;
use vaiven_socketio::{
    Ack, Args, Arguments, ConnectError, Data, EmitError, Io, IoConfig, Namespace, Parsers, Recovery, Socket,
    Value,
};

/// How long the server waits for acknowledgements.
const ACK_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a session can be recovered, in the mode that has it on.
const RECOVERABLE: Duration = Duration::from_millis(1500);

/// What the modes differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Plain,
    Recovery,
    MsgPack,
}

pub(crate) async fn serve(port: u16, variant: Variant) -> io::Result<()> {
    let mut config = IoConfig::default();
    config.engine.ping_interval = Duration::from_millis(400);
    config.engine.ping_timeout = Duration::from_millis(400);
    config.engine.max_payload = 100_000;
    if variant == Variant::MsgPack {
        config.parsers = Parsers::MsgPack;
    }
    let open = || {
        let namespace = rooms(talk(Namespace::new()));
        // A handler that awaits an acknowledgement holds up nobody.
        let namespace = namespace.concurrency(64).on_connect(greet).on_disconnect(tell_who_left);
        if variant == Variant::Recovery { namespace.recovery(recovery()) } else { namespace }
    };
    let is_dynamic = |name: &str| {
        let number = name.strip_prefix("/dynamic-");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let io = Io::builder()
        .config(config)
        .namespace("/", open())
        .namespace("/other", open())
        .dynamic(is_dynamic, open())
        .namespace("/guarded", open().middleware(guard))
        .namespace("/silent", Namespace::new())
        .build();
    serve_on_loopback(port, io.engine().clone()).await
}

fn recovery() -> Recovery {
    let mut recovery = Recovery::default();
    recovery.max_disconnection = RECOVERABLE;
    recovery
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    token: Option<String>,
    welcomes: u32,
}

/// Lets in who has the word, at once or, with `slow`, after a while.
async fn guard(socket: Socket) -> Result<(), ConnectError> {
    let token = socket.auth::<Auth>().unwrap_or_default().token;
    match token.as_deref() {
        Some("sesame") => Ok(()),
        Some("slow") => {
            sleep(ACK_TIMEOUT).await;
            Ok(())
        }
        _ => Err(ConnectError::new("not allowed").with_data(&json!({"code": "wrong-token", "token": token}))),
    }
}

/// As many events as the client asks for, right after the CONNECT packet.
async fn greet(socket: Socket) -> Result<(), EmitError> {
    let Auth { welcomes, .. } = socket.auth().unwrap_or_default();
    (1..=welcomes).try_for_each(|number| socket.emit("welcome", number))
}

async fn tell_who_left(socket: Socket) -> Result<(), EmitError> {
    let reason = socket.disconnect_reason().map_or("none", |reason| reason.as_str());
    socket.everybody().to("watchers").emit("left", (socket.id().as_str(), reason))
}

/// What a test has told the server to keep with a socket.
struct Remembered(serde_json::Value);

/// Events, acknowledgements and ends.
fn talk(namespace: Namespace) -> Namespace {
    namespace
        .on("whoami", async |socket: Socket, ack: Ack| ack.send(who_is(&socket)))
        .on("remember", async |socket: Socket, Data(data): Data<serde_json::Value>, ack: Ack| {
            socket.insert(Remembered(data));
            ack.send(())
        })
        .on("echo", async |args: Args, ack: Ack| ack.send(&args))
        .on("say", async |socket: Socket, Data(event): Data<String>, args: Args| {
            socket.emit(&event, Behind(1, args))
        })
        .on("say-volatile", async |socket: Socket, Data(event): Data<String>, args: Args| {
            socket.volatile().emit(&event, Behind(1, args))
        })
        .on("ask", async |socket: Socket, Data(event): Data<String>, args: Args| {
            match socket.timeout(ACK_TIMEOUT).emit_with_ack(&event, Behind(1, args)).await {
                Ok(answers) => socket.emit("answered", &answers),
                Err(_) => socket.emit("unanswered", event),
            }
        })
        .on("silence", async || {})
        .on(
            "leave-me",
            async |socket: Socket, Data(closes): Data<bool>| {
                if closes { socket.disconnect_client() } else { socket.disconnect() }
            },
        )
}

fn who_is(socket: &Socket) -> serde_json::Value {
    let text = |(key, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        (key.into_owned(), value.into_owned().into())
    };
    let query: Map<String, serde_json::Value> = socket.handshake().query().map(text).collect();
    let remembered = socket.get::<Remembered>().map(|remembered| json!({"remembered": remembered.0}));
    let rooms: Vec<String> = socket.rooms().iter().map(ToString::to_string).collect();
    json!({
        "id": socket.id().as_str(),
        "namespace": socket.namespace().as_str(),
        "rooms": rooms,
        "data": remembered.unwrap_or_else(|| json!({})),
        "auth": socket.auth().unwrap_or_else(|_| json!({})),
        "query": query,
    })
}

/// Rooms of the namespace.
fn rooms(namespace: Namespace) -> Namespace {
    namespace
        .on("join", async |socket: Socket, Data(room): Data<String>, ack: Ack| {
            socket.join(room);
            ack.send(())
        })
        .on("leave", async |socket: Socket, Data(room): Data<String>, ack: Ack| {
            socket.leave(room);
            ack.send(())
        })
        .on("to", async |socket: Socket, Data((room, event)): Data<(String, String)>, args: Args| {
            socket.to(room).emit(&event, Behind(2, args))
        })
        .on("to-volatile", async |socket: Socket, Data((room, event)): Data<(String, String)>, args: Args| {
            socket.to(room).volatile().emit(&event, Behind(2, args))
        })
        .on("in", async |socket: Socket, Data((room, event)): Data<(String, String)>, args: Args| {
            socket.everybody().to(room).emit(&event, Behind(2, args))
        })
        .on("except", async |socket: Socket, Data((room, event)): Data<(String, String)>, args: Args| {
            socket.everybody().except(room).emit(&event, Behind(2, args))
        })
        .on("broadcast", async |socket: Socket, Data(event): Data<String>, args: Args| {
            socket.broadcast().emit(&event, Behind(1, args))
        })
        .on("all", async |socket: Socket, Data(event): Data<String>, args: Args| {
            socket.everybody().emit(&event, Behind(1, args))
        })
        .on("poll-room", poll_room)
        .on("kick-room", async |socket: Socket, Data(room): Data<String>| {
            socket.everybody().to(room).disconnect();
        })
}

async fn poll_room(
    socket: Socket,
    Data((room, event)): Data<(String, String)>,
    ack: Ack,
) -> Result<(), EmitError> {
    let answers = socket.everybody().to(room).timeout(ACK_TIMEOUT).emit_with_ack(&event, ())?;
    let expected = answers.expected();
    let answers = answers.all().await;
    let is_late = answers.len() < expected;
    let answers = answers.iter().map(|(_, args)| args.get(0).unwrap_or(Value::Null)).collect();
    let members = [("late", Value::Bool(is_late)), ("answers", Value::Array(answers))];
    ack.send((Value::Object(members.map(|(key, value)| (key.to_owned(), value)).into()),))
}

/// The arguments behind so many.
struct Behind(usize, Args);

impl Arguments for Behind {
    fn write(&self, out: &mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError> {
        let Self(count, args) = self;
        let texts: Vec<&str> = args.iter().skip(*count).collect();
        out.extend_from_slice(texts.join(",").as_bytes());
        Ok(args.attachments().to_vec())
    }
}
