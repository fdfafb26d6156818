//! Dialling over real sockets: TCP, TLS with certificates made here, and proxies that are really spoken to.

#![cfg(all(feature = "client", feature = "tls"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod authority;
mod proxies;
mod proxy;
mod server;
mod tcp;
mod tls;
