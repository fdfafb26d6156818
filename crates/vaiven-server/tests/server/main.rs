//! The server over real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod host;
mod http;
mod origin;
mod rooms;
mod stop;
mod support;
mod tls;
mod v1;
