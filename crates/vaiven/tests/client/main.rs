//! The client over real sockets: TCP, TLS with certificates made here, proxies that are really spoken to, and servers
//! that answer the opening handshake as each test wrote down.

#![cfg(all(feature = "client", feature = "tls"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod authority;
mod dropped;
mod handshake;
mod proxies;
mod proxy;
mod script;
mod server;
mod tcp;
mod tls;
