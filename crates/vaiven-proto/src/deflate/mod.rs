//! Compression of messages: permessage-deflate (RFC 7692).
//!
//! In reading order: [`DeflateConfig`] is what this side wants, [`DeflateParams`] is what both sides agreed in the
//! opening handshake, [`Deflater`] turns payloads into compressed ones, [`Inflater`] turns them back piece by piece
//! within a limit. Below them lie the bytes that context takeover refers back to (`history`), the check that a peer
//! keeps to the agreed window (`reach`) and the zlib states that the connections of a thread share (`pool`).
//!
//! This module knows payloads only: it sets no RSV1 bit, sees no frame, and learns of extensions from the parsed
//! header. DEFLATE itself (RFC 1951) is zlib-rs'.

mod config;
mod deflater;
mod history;
mod inflater;
mod params;
mod pool;
mod reach;

pub use config::DeflateConfig;
pub use deflater::{Compression, Deflater};
pub use inflater::Inflater;
pub use params::{DeflateParams, NegotiationError, WindowBits};

/// The end of every flushed DEFLATE stream: it is cut off when sending, put back when receiving (RFC 7692 section 7.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
