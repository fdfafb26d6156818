//! The opening handshake of both sides against the catalogue of bad input, through the public API.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod client;
mod server;
mod wire;
