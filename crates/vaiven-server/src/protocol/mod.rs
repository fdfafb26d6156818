//! `vaiven.v1.json`, the protocol of docs/protocol.md, as types: messages in and out, and nothing of what they do.
//!
//! In the order that data flows: [`json`] judges how deep a text nests, [`command`] makes of it what a client asks,
//! [`reply`] is what the server says, with the codes of [`code`]; [`wire`] is how the hub's publications are written,
//! for clients of this protocol and for plain ones.

pub(crate) mod code;
pub(crate) mod command;
pub(crate) mod json;
pub(crate) mod reply;
pub(crate) mod wire;

/// The name of the protocol in the opening handshake.
pub(crate) const SUBPROTOCOL: &str = "vaiven.v1.json";
