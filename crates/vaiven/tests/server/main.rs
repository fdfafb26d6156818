//! The server over real sockets: limits, refusals, panics, drain, TLS.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod drain;
#[cfg(all(feature = "axum", unix))]
mod examples;
mod limits;
#[cfg(all(feature = "tls", target_os = "linux"))]
mod process;
mod raw;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "axum")]
mod upgrades;
