//! The Vaivén server: one port with rooms, an echo, the chat page, health and metrics.
//!
//! In the order that data flows: [`Server`] takes connections, whose first request [`vaiven`] has read; `route` says
//! what its path means. A WebSocket becomes a `session`, which echoes or talks in a `room`; every other request is
//! answered by `http`, with one of the `pages`, the health or the `metrics`.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = vaiven_server::Server::bind(vaiven_server::Settings::default()).await?;
//! println!("{}", server.url());
//! server.run(async { tokio::time::sleep(std::time::Duration::from_secs(60)).await; 1001.into() }).await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod app;
mod auth;
mod events;
mod fetch;
mod http;
mod identity;
mod metrics;
mod opening;
mod pages;
mod protocol;
mod rate;
mod replay;
mod route;
mod server;
mod session;
pub mod settings;
mod store;
mod throttle;

pub use server::{Drained, Server, StartError};
pub use settings::Settings;
