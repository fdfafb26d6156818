//! Socket.IO for Vaivén: the server side of Engine.IO v4 and Socket.IO v5, for unmodified clients.
//!
//! ```text
//!   WebSocket, HTTP requests --> engine --> messages of a session, whatever its transport
//!                                  --> packet --> events and acknowledgements, with binary attachments
//!                                       --> server --> namespaces, handlers, rooms, recovery
//! ```
//!
//! What happens in a namespace is said once, with handlers whose parameters are taken from the event ([`Namespace`]); an
//! [`Io`] is the server, and a [`Socket`] one client in one namespace.
//!
//! ```no_run
//! use vaiven::server::{Server, ServerConfig};
//! use vaiven_socketio::{Ack, Data, Io, Namespace, Socket, engine::serve};
//!
//! # async fn run() -> std::io::Result<()> {
//! let chat = Namespace::new()
//!     .on("join", async |socket: Socket, Data(room): Data<String>, ack: Ack| {
//!         socket.join(&room);
//!         ack.send("welcome")
//!     })
//!     .on("say", async |socket: Socket, Data((room, text)): Data<(String, String)>| {
//!         socket.to(&room).emit("said", text)
//!     });
//! let io = Io::builder().namespace("/", chat).build();
//!
//! let listener = Server::bind("127.0.0.1:3000", ServerConfig::default()).await?;
//! serve(listener, io.engine().clone()).await;
//! # Ok(())
//! # }
//! ```
//!
//! In axum it is a service (feature `axum`): `router.route_service("/socket.io/", io.engine().clone())`; see
//! `examples/axum_chat.rs`. For hyper there is [`Engine::handle`](engine::Engine::handle).
//!
//! # What is different from the official server
//! - Handlers belong to a namespace and not to a socket, and those of one socket run one after the other unless
//!   [`concurrency`](Namespace::concurrency) says otherwise.
//! - What the official parser lets pass and no client sends ends the connection: numbers as event names, packets that are
//!   called binary and have no attachments, acknowledgements without a number.
//! - A full outbox ends the connection, where the official server keeps everything in memory.
//! - A client that had no event yet recovers too, and one whose old connection the server has not missed yet.
//! - There is no WebTransport, no JSONP, and no Engine.IO 3.
#![forbid(unsafe_code)]

pub mod engine;
pub mod packet;
mod server;

pub use packet::{Args, Arguments, Binary, Parser, Value};
pub use server::*;
