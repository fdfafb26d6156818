//! The native core of the npm package `vaiven`: calls of JavaScript to the protocol crate, and back.
//!
//! It is a Node-API add-on on `vaiven-proto` alone: no runtime, no threads. Everything happens on the thread of the
//! JavaScript that calls. What `unsafe` the foreign interfaces need stands in `ffi` and nowhere else.

mod connection;
mod engine;
#[cfg(target_os = "linux")]
mod event_loop;
mod events;
mod ffi;
mod functions;
mod handshake;
mod outgoing;
mod publish;
#[cfg(target_os = "linux")]
mod socket;
mod text;
