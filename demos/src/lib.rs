//! The demos that the server shows: a chat and a game, on nothing but what every application can have.
//!
//! The game has a part that runs beside the hub: the [`bay`].
#![forbid(unsafe_code)]

pub mod bay;
