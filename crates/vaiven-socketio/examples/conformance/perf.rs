//! Mode `perf`, for measurements: rooms with the default settings.

use crate::loopback::serve_on_loopback;
use std::io;
use vaiven_socketio::{Ack, Data, Io, Namespace, Socket};

pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let rooms = Namespace::new()
        .on("join", async |socket: Socket, Data(room): Data<String>, ack: Ack| {
            socket.join(&room);
            ack.send("ok")
        })
        .on("pub", async |socket: Socket, Data((room, text)): Data<(String, String)>| {
            socket.everybody().to(&room).emit("msg", &text)
        });
    let io = Io::builder().namespace("/", rooms).build();
    serve_on_loopback(port, io.engine().clone()).await
}
