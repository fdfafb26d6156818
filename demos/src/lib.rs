//! The demos that the server shows: a chat and a game, on nothing but what every application can have.
//!
//! The chat is a page alone; a room of it is a channel. The game has a part that runs beside the hub: the [`bay`]. The
//! pages are in the binary, as [`File`]s.
#![forbid(unsafe_code)]

pub mod bay;
mod file;

pub use file::File;
