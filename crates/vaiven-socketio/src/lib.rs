//! Socket.IO for Vaivén: the server side of Engine.IO v4 and Socket.IO v5, for unmodified clients.
//!
//! ```text
//!   WebSocket, HTTP requests --> engine --> messages of a session, whatever its transport
//!                                  --> packet --> events and acknowledgements, with binary attachments
//!                                       --> server --> namespaces, handlers, rooms, recovery
//! ```
#![forbid(unsafe_code)]

pub mod engine;
pub mod packet;
mod server;

pub use packet::{Args, Arguments, Binary, Parser, Value};
pub use server::*;
