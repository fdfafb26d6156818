//! tokio-tungstenite: echo, and fan-out through a tokio broadcast channel.

use bench_peers::{MAX_MESSAGE_BYTES, Options, Step, echo, serve};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

fn main() {
    let options = Options::from_args();
    let mut config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    if let Some(bytes) = options.read_buffer {
        config = config.read_buffer_size(bytes);
    }
    let (room, _) = broadcast::channel(1024);
    serve(options.listen, move |stream| {
        let room = room.clone();
        async move {
            let socket = accept_async_with_config(stream, Some(config)).await?;
            if options.fanout {
                return member(socket, &room, options.batched).await;
            }
            echo(socket, options.mode(), step).await
        }
    });
}

fn step(received: Result<Message, Error>) -> Step<Message> {
    match received {
        Ok(message) if message.is_text() || message.is_binary() => Step::Echo(message),
        Ok(_) => Step::Skip,
        Err(_) => Step::End,
    }
}

async fn member(
    mut socket: WebSocketStream<TcpStream>,
    room: &broadcast::Sender<Message>,
    batched: bool,
) -> Result<(), Error> {
    let mut broadcasts = room.subscribe();
    loop {
        tokio::select! {
            received = socket.next() => match received.map(step) {
                Some(Step::Echo(message)) => drop(room.send(message)),
                Some(Step::Skip) => {}
                Some(Step::End) | None => return Ok(()),
            },
            message = broadcasts.recv() => {
                let message = message.expect("the window is smaller than the channel");
                if batched {
                    socket.feed(message).await?;
                    while let Ok(message) = broadcasts.try_recv() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                } else {
                    socket.send(message).await?;
                }
            }
        }
    }
}
