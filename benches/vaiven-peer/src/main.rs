//! Vaivén: echo, echo with permessage-deflate, and fan-out to a room, in its public API and as its
//! documentation shows it. There is no batched variant: what arrived together is answered together
//! without being asked for.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use bench_peers::{MAX_MESSAGE_BYTES, Options, serve};
use vaiven::server::{Handshake, ServerConfig};
use vaiven::{DeflateConfig, Prepared, Sender, WebSocket, WindowBits};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Everyone who hears what is sent.
type Room = Mutex<Vec<Sender>>;

fn main() {
    let options = Options::from_args();
    let mut config = ServerConfig::default();
    config.connection.limits.max_message_bytes = MAX_MESSAGE_BYTES;
    if options.deflate {
        let mut deflate = DeflateConfig::server();
        // The client's offer decides about context takeover, as with the peers.
        deflate.server_no_context_takeover = false;
        // As they have it: a small window is for many connections, not for speed.
        deflate.server_max_window_bits = WindowBits::MAX;
        config.deflate = Some(deflate);
    }
    let config = Arc::new(config);
    let room = Arc::new(Room::default());
    serve(options.listen, move |stream| {
        let (config, room) = (Arc::clone(&config), Arc::clone(&room));
        async move {
            let socket = Handshake::read(stream, config).await?.accept().await?;
            if options.fanout { member(socket, &room).await } else { echo(socket).await }
        }
    });
}

async fn echo(mut socket: WebSocket) -> Result<()> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn member(mut socket: WebSocket, room: &Room) -> Result<()> {
    room.lock().unwrap_or_else(PoisonError::into_inner).push(socket.sender());
    while let Some(message) = socket.recv().await? {
        let prepared = Prepared::new(message);
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        room.retain(|member| member.try_send_prepared(&prepared));
    }
    Ok(())
}
