//! Sends every message back.
//!
//! `cargo run --example echo_server`, then in a browser's console on any page of http://127.0.0.1:9001, or from any
//! program: `new WebSocket('ws://127.0.0.1:9001')`.

use vaiven::server::{Handshake, Server, ServerConfig};

async fn echo(handshake: Handshake) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut socket = handshake.accept().await?;
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let server = Server::bind(address, ServerConfig::default()).await?;
    println!("ws://{}", server.local_addr()?);
    server
        .serve(async |handshake| {
            if let Err(error) = echo(handshake).await {
                eprintln!("{error}");
            }
        })
        .await;
    Ok(())
}
