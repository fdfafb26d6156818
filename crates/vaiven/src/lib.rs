//! WebSocket client and server on tokio.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
