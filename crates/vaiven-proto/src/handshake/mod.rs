//! The opening handshake (RFC 6455 section 4): bytes to a request or a response that is proven right, and back.

pub mod extension;
