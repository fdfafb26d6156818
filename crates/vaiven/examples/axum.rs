//! A WebSocket in an axum router, with a drain that forgets no connection: `cargo run --example axum --features axum`.

use axum::extract::State;
use axum::response::Response;
use axum::{Router, routing::any, routing::get};
use tokio::net::TcpListener;
use vaiven::server::axum::WebSocketUpgrade;
use vaiven::server::{DrainOptions, ServerHandle};

async fn echo(State(sockets): State<ServerHandle>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        sockets.track(&socket);
        while let Ok(Some(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9003".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}/echo", listener.local_addr()?);
    let sockets = ServerHandle::detached();
    let router = Router::new()
        .route("/", get("The WebSocket is at /echo.\n"))
        .route("/echo", any(echo))
        .with_state(sockets.clone());
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    sockets.drain(DrainOptions::default().at_once()).await;
    Ok(())
}
