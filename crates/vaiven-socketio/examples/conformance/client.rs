//! Mode `client`, for the tests of the official client.

use crate::loopback::serve_on_loopback;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;
use vaiven_socketio::{
    Ack, AckError, Binary, ConnectError, Data, EmitError, Io, IoConfig, Namespace, Recovery, Socket, Value,
};

pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let mut config = IoConfig::default();
    config.engine.ping_interval = Duration::from_secs(2);
    config.engine.admit_with(async |_| {
        // The client's connect timeout is tested with delays shorter than this.
        sleep(Duration::from_millis(10)).await;
        Ok(HeaderMap::new())
    });
    let new = || Namespace::new().recovery(Recovery::default());
    let io = Io::builder()
        .config(config)
        .namespace("/", main_namespace())
        .namespace("/foo", new().on("getId", id))
        .namespace(
            "/abc",
            new().on_connect(async |socket: Socket| socket.emit("handshake", handshake(&socket))),
        )
        .namespace("/no", new().middleware(async || Err(ConnectError::new("Auth failed (custom namespace)"))))
        .namespace("/asd", new())
        .namespace("/valid", new())
        .namespace("/timeout_socket", new())
        .build();
    serve_on_loopback(port, io.engine().clone()).await
}

fn main_namespace() -> Namespace {
    let namespace = Namespace::new()
        .recovery(Recovery::default())
        // A handler that awaits an acknowledgement holds up nobody.
        .concurrency(64)
        .middleware(async |socket: Socket| {
            if socket.handshake().query().any(|(key, value)| key == "fail" && !value.is_empty()) {
                return Err(ConnectError::new("Auth failed (main namespace)"));
            }
            Ok(())
        })
        .on("hi", async |socket: Socket| socket.emit("hi", ()))
        .on("echo", async |Data(value): Data<Value>, ack: Ack| ack.send((value,)))
        .on("ack", ack)
        .on("getHandshake", async |socket: Socket, ack: Ack| ack.send(handshake(&socket)))
        .on("getId", id);
    binary(dates(namespace))
}

async fn id(socket: Socket, ack: Ack) -> Result<(), EmitError> {
    ack.send(socket.id().as_str())
}

async fn ack(socket: Socket) -> Result<(), AckError> {
    #[derive(Deserialize)]
    struct Test {
        test: bool,
    }
    let answer = socket.emit_with_ack("ack", ()).await?;
    if let Ok((5, Test { test: true })) = answer.parse::<(i32, Test)>() {
        return socket.emit("got it", ()).map_err(AckError::Emit);
    }
    Ok(())
}

fn handshake(socket: &Socket) -> serde_json::Value {
    let handshake = socket.handshake();
    let query: serde_json::Map<_, _> =
        handshake.query().map(|(key, value)| (key.into_owned(), value.into_owned().into())).collect();
    json!({
        "query": query,
        "auth": socket.auth::<serde_json::Value>().unwrap_or_default(),
        "url": handshake.target(),
        "secure": handshake.is_secure(),
        "address": handshake.client_ip(),
    })
}

fn dates(namespace: Namespace) -> Namespace {
    namespace
        .on("getAckDate", async |ack: Ack| ack.send(now()))
        .on("getDate", async |socket: Socket| socket.emit("takeDate", now()))
        .on("getDateObj", async |socket: Socket| socket.emit("takeDateObj", json!({"date": now()})))
        .on("false", async |socket: Socket| socket.emit("false", false))
        .on("getUtf8", async |socket: Socket| {
            for text in ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]
            {
                socket.emit("takeUtf8", text)?;
            }
            Ok::<(), EmitError>(())
        })
}

fn binary(namespace: Namespace) -> Namespace {
    namespace
        .on("doge", async |socket: Socket| socket.emit("doge", Binary::from(b"asdfasdf".to_vec())))
        .on("getbin", async |socket: Socket| socket.emit("takebin", Binary::from(b"asdfasdf".to_vec())))
        .on("buffa", async |socket: Socket, Data(_): Data<Binary>| socket.emit("buffack", ()))
        .on("jsonbuff", async |socket: Socket, Data(message): Data<WithBytes>| {
            answer(&socket, "jsonbuff-ack", &message)
        })
        .on("abuff1", async |socket: Socket, Data(_): Data<Binary>| socket.insert(First))
        .on("abuff2", async |socket: Socket| match socket.get::<First>() {
            Some(_) => socket.emit("abuff2-ack", ()),
            None => Ok(()),
        })
        .on("blob", async |socket: Socket, Data(_): Data<Binary>| socket.emit("back", ()))
        .on("jsonblob", async |socket: Socket, Data(message): Data<WithBytes>| {
            answer(&socket, "jsonblob-ack", &message)
        })
        .on("blob1", async |socket: Socket, Data(_): Data<Binary>| socket.insert(First))
        .on("blob2", async |socket: Socket, Data(text): Data<String>| {
            if socket.get::<First>().is_some() && text == "second" {
                socket.insert(Second);
            }
        })
        .on("blob3", async |socket: Socket, Data(_): Data<Binary>| match socket.get::<Second>() {
            Some(_) => socket.emit("blob3-ack", ()),
            None => Ok(()),
        })
}

/// The first of several messages has come.
struct First;

/// So has the second, behind it.
struct Second;

#[derive(Deserialize)]
struct WithBytes {
    hello: String,
    #[serde(rename = "message")]
    _message: Binary,
    goodbye: String,
}

fn answer(socket: &Socket, event: &str, message: &WithBytes) -> Result<(), EmitError> {
    if message.hello == "lol" && message.goodbye == "gotcha" {
        return socket.emit(event, ());
    }
    Ok(())
}

/// The time as JavaScript writes a date in JSON.
fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let mut day = days;
    let mut year = 1970;
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millisecond = since.subsec_millis();
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z", day + 1)
}

fn days_of(year: u64) -> u64 {
    if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) { 366 } else { 365 }
}
