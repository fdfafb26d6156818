//! The client of Vaivén's channels that comes back: it resumes in both directions, and loses and doubles nothing.
//!
//! In the order that data flows: `driver` makes connections and carries messages; `wire` reads and writes them
//! (`vaiven.v1.json`, see docs/protocol.md); `machine` is the state, without I/O and clock: `channel` is one
//! subscription of it, `publishing` what waits to be acknowledged, `retry` when to come back. [`Client`] and
//! [`Subscription`] are the handles.
//!
//! What it promises on a `reliable` channel: every publication that the server acknowledged to anybody while a
//! subscription stood is given to it once and in order, or [`Event::Subscribed`] says `recovered: Some(false)`; every
//! publication of its own is kept once, or its future fails.
#![forbid(unsafe_code)]

mod channel;
mod client;
mod driver;
mod error;
mod machine;
mod pacer;
mod publication;
mod publishing;
mod retry;
mod wire;

pub use client::{Builder, Client, HistoryQuery, Publishing, Subscribe, Subscription};
pub use error::Error;
pub use machine::Status;
pub use publication::{
    Contract, Data, Event, History, Member, NewPublication, Position, Presence, Publication, Published,
};
