//! The server over real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod admin;
mod api;
mod faults;
mod host;
mod http;
mod memory;
mod origin;
mod rooms;
mod signature;
mod stop;
mod store;
mod stream;
mod support;
mod tls;
mod token;
mod v1;
