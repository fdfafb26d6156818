//! Mode `sio`, for the test suite of Socket.IO v5.

use crate::loopback::serve_on_loopback;
use std::io;
use std::time::Duration;
use vaiven_socketio::{Ack, AckError, Args, Data, EmitError, Io, IoConfig, Namespace, Socket, Value};

pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let mut config = IoConfig::default();
    config.engine.ping_interval = Duration::from_millis(300);
    config.engine.ping_timeout = Duration::from_millis(200);
    config.engine.max_payload = 1_000_000;
    config.connect_timeout = Duration::from_secs(1);
    let io = Io::builder().config(config).namespace("/", echo()).namespace("/custom", echo()).build();
    serve_on_loopback(port, io.engine().clone()).await
}

fn echo() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket, Data(auth): Data<Value>| socket.emit("auth", (auth,)))
        .on("message", async |socket: Socket, args: Args| socket.emit("message-back", &args))
        .on("message-with-ack", async |args: Args, ack: Ack| ack.send(&args))
        .on("emit-with-ack", emit_with_ack)
        .concurrency(16)
}

async fn emit_with_ack(socket: Socket, args: Args) -> Result<(), AckError> {
    let answer = socket.emit_with_ack("emit-with-ack", &args).await?;
    socket.emit("emit-with-ack", &answer).map_err(|error: EmitError| AckError::Emit(error))
}
