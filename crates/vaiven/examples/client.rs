//! The browser tutorial's conversation, in Rust: connect, greet, show what arrives, say when it is over.
//!
//!     cargo run --example client -- ws://127.0.0.1:8080/c/sala

use vaiven::{Error, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8080/c/sala".to_owned());
    if let Err(error) = talk(&url).await {
        eprintln!("Error en WebSocket: {error}");
    }
    println!("Conexión cerrada");
}

async fn talk(url: &str) -> Result<(), Error> {
    let mut socket = vaiven::connect(url).await?;
    println!("Conexión establecida");
    socket.send("Hola, servidor!").await?;
    while let Some(message) = socket.recv().await? {
        match message {
            Message::Text(text) => println!("Mensaje recibido: {text}"),
            Message::Binary(bytes) => println!("Datos binarios recibidos: {} bytes", bytes.len()),
        }
    }
    Ok(())
}
