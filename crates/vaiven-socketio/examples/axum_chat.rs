//! A chat for unmodified `socket.io-client` in a dozen lines, in axum.
//!
//! ```console
//! $ cargo run --features axum --example axum_chat     # then open http://127.0.0.1:3000 twice
//! ```

use axum::{Router, response::Html, routing::get};
use vaiven_socketio::{Data, Io, Namespace, Socket};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Chat</title>
<ul id="messages"></ul><form id="form"><input id="input" autofocus></form>
<script src="https://cdn.socket.io/4.8.1/socket.io.min.js"></script>
<script>
  const socket = io();
  socket.on("message", (text) => messages.appendChild(document.createElement("li")).textContent = text);
  form.onsubmit = (event) => { event.preventDefault(); socket.emit("message", input.value); form.reset(); };
</script>"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let chat = Namespace::new().on("message", async |socket: Socket, Data(text): Data<String>| {
        socket.everybody().emit("message", text)
    });
    let io = Io::builder().namespace("/", chat).build();
    let router =
        Router::new().route("/", get(async || Html(PAGE))).route_service("/socket.io/", io.engine().clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, router).await
}
