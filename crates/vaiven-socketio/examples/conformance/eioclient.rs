//! Mode `eioclient`, for the own tests of npm `engine.io-client`: greets, answers a few questions, sends the rest back.

use crate::loopback::serve_on_loopback;
use http::{HeaderMap, HeaderValue, header};
use std::io;
use std::time::Duration;
use vaiven::Message;
use vaiven_socketio::engine::{Connection, Engine, EngineConfig, Handshake, Headers, Rejection};

/// Of these a client that keeps cookies sends the first two back.
const COOKIES: [&str; 4] = [
    "1=1; Max-Age=86400",
    "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
    "3=3; Max-Age=0",
    "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
];

pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let mut config = EngineConfig::default();
    config.ping_interval = Duration::from_millis(500);
    config.max_payload = 100;
    config.admit_with(async |handshake: std::sync::Arc<Handshake>| admit(&handshake));
    serve_on_loopback(port, Engine::new(config, answer)).await
}

fn admit(handshake: &Handshake) -> Result<HeaderMap, Rejection> {
    if handshake.query().any(|(key, _)| key == "deny") {
        return Err(Rejection::forbidden("Forbidden"));
    }
    let cookies = COOKIES.map(|cookie| (header::SET_COOKIE, HeaderValue::from_static(cookie)));
    let mut headers = HeaderMap::new();
    for (name, value) in cookies {
        headers.append(name, value);
    }
    Ok(headers)
}

async fn answer(mut connection: Connection) {
    let sender = connection.sender();
    let mut sent = sender.try_send(&["hi".into()]);
    while let (Ok(()), Some(message)) = (sent, connection.recv().await) {
        let reply = match message.as_text() {
            Some("give binary") => Message::binary(vec![0, 1, 2, 3, 4]),
            Some("give utf8") => "пойду спать всем спокойной ночи".into(),
            Some("sendHeaders") => headers_as_json(connection.request_headers().as_deref()).into(),
            _ => message,
        };
        sent = sender.try_send(&[reply]);
    }
}

fn headers_as_json(headers: Option<&Headers>) -> String {
    let fields = headers.into_iter().flat_map(Headers::iter);
    let fields = fields.map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into()));
    serde_json::Value::Object(fields.collect()).to_string()
}
