//! The Vaivén server: channels for WebSockets and for programs, an echo, the chat page, health and metrics on one port.
//!
//! In the order that data flows: [`Server`] takes connections, whose first request [`vaiven`] has read; `route` says
//! what its path means, and `opening` who asks. A WebSocket becomes a `session`: an echo, a plain member of a room, or a
//! client of `vaiven.v1.json`, whose messages are the types of `protocol`. Every other request is answered by `http`:
//! with a `stream` of events for the same sessions, by the `api` for the operator's programs, the `admin` page for the
//! operator, with one of the demos' `pages`, the health or the `metrics`. `auth` says who may do what, and [`vaiven_hub`] has the channels.
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

mod admin;
mod api;
mod app;
mod auth;
mod drain;
mod environment;
mod events;
mod fetch;
mod http;
mod identity;
mod metrics;
mod opening;
mod pages;
mod protocol;
mod rate;
mod reload;
mod route;
mod server;
mod service;
mod session;
pub mod settings;
mod store;
mod stream;
mod throttle;

pub use drain::Drained;
pub use environment::Environment;
pub use reload::Reload;
pub use server::{Server, StartError};
pub use service::Service;
pub use settings::Settings;
