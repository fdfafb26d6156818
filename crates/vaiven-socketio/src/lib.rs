//! Socket.IO for Vaivén: the server side of Engine.IO v4 and Socket.IO v5, for unmodified clients.
//!
//! ```text
//!   WebSocket, HTTP requests --> engine --> messages of a session, whatever its transport
//! ```
#![forbid(unsafe_code)]

pub mod engine;
