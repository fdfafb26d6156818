//! sockudo-ws: echo, echo with permessage-deflate, and fan-out through its own pub/sub.

use std::sync::Arc;

use bench_peers::{MAX_MESSAGE_BYTES, Mode, Options, Step, echo, serve};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::server::WebSocketServer;
use sockudo_ws::stream::{CompressedWebSocketStream, WebSocketStream};
use sockudo_ws::{Config, Error, Http1, Message, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const ROOM: &str = "room";

fn main() {
    let options = Options::from_args();
    let config = Config::builder().max_payload_length(MAX_MESSAGE_BYTES).build();
    let server = Arc::new(WebSocketServer::<Http1>::new(config.clone()));
    let room = Arc::new(PubSub::new());
    if options.deflate {
        serve(options.listen, move |stream| deflated(stream, config.clone(), options.mode()));
    } else if options.fanout {
        serve(options.listen, move |stream| {
            member(stream, Arc::clone(&server), Arc::clone(&room), options.batched)
        });
    } else {
        serve(options.listen, move |stream| {
            let server = Arc::clone(&server);
            async move {
                let (socket, _) = server.accept_raw(stream).await?;
                echo(socket, options.mode(), step).await
            }
        });
    }
}

fn step(received: Result<Message>) -> Step<Message> {
    match received {
        Ok(message) if message.is_text() || message.is_binary() => Step::Echo(message),
        Ok(_) => Step::Skip,
        Err(_) => Step::End,
    }
}

/// Its HTTP server negotiates no extension on bare TCP, so the parts are put together here.
async fn deflated(mut stream: TcpStream, config: Config, mode: Mode) -> Result<()> {
    let mut request = BytesMut::with_capacity(1024);
    let deflate = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            // The fast level, which all peers are asked for.
            let policy = DeflateConfig { compression_level: 1, ..DeflateConfig::default() };
            let deflate = negotiate_server_deflate(request.extensions.unwrap_or_default(), &policy)
                .ok_or(Error::ConnectionClosed)?;
            let accept = generate_accept_key(request.key);
            let response = build_response(&accept, None, Some(&deflate.to_response_header()));
            stream.write_all(&response).await?;
            break deflate.config;
        }
    };
    echo(CompressedWebSocketStream::server(stream, config, deflate), mode, step).await
}

async fn member(
    stream: TcpStream,
    server: Arc<WebSocketServer<Http1>>,
    room: Arc<PubSub>,
    batched: bool,
) -> Result<()> {
    let (mut socket, _): (WebSocketStream<TcpStream>, _) = server.accept_raw(stream).await?;
    let (sender, mut broadcasts) = mpsc::unbounded_channel();
    let subscriber = room.create_subscriber(sender);
    room.subscribe(subscriber, ROOM);
    loop {
        tokio::select! {
            received = socket.next() => match received.map(step) {
                Some(Step::Echo(message)) => drop(room.publish(ROOM, message)),
                Some(Step::Skip) => {}
                Some(Step::End) | None => break,
            },
            Some(message) = broadcasts.recv() => if batched {
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
    room.remove_subscriber(subscriber);
    Ok(())
}
