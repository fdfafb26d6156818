//! socketioxide on axum, with its defaults: rooms and acknowledgements.

use axum::Router;
use axum::serve::ListenerExt;
use bench_peers::Options;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpListener;

fn main() {
    let options = Options::from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (layer, io) = SocketIo::new_layer();
        io.ns("/", connected);
        let listener = TcpListener::bind(options.listen).await.expect("a free port");
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("TCP_NODELAY"));
        axum::serve(listener, Router::new().layer(layer)).await.expect("it serves for ever");
    });
}

async fn connected(socket: SocketRef) {
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        // The load generator sees it from the other side.
        let _ = ack.send("ok");
    });
    socket.on("pub", async |io: SocketIo, Data::<(String, String)>((room, text))| {
        let _ = io.to(room).emit("msg", &text).await;
    });
}
