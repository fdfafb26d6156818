//! Mode `eio`, for the test suite of Engine.IO v4: whatever comes is sent back.

use crate::loopback::serve_on_loopback;
use std::io;
use std::time::Duration;
use vaiven_socketio::engine::{Connection, Engine, EngineConfig};

pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let mut config = EngineConfig::default();
    config.ping_interval = Duration::from_millis(300);
    config.ping_timeout = Duration::from_millis(200);
    config.max_payload = 1_000_000;
    serve_on_loopback(port, Engine::new(config, echo)).await
}

async fn echo(mut connection: Connection) {
    let sender = connection.sender();
    while let Some(message) = connection.recv().await {
        if sender.try_send(&[message]).is_err() {
            break;
        }
    }
}
