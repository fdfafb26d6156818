//! The opening handshake (RFC 6455 section 4): bytes to a request or a response that is proven right, and back.
//!
//! It knows no socket and no clock: bytes come in through a [`BytesMut`](bytes::BytesMut), bytes go out into one.
//!
//! 1. [`HeadScanner`] finds the end of a head in growing input and enforces [`HeadLimits`];
//!    [`RequestHead`] and [`ResponseHead`] are what the head says.
//! 2. A server calls [`RequestHead::upgrade`] (or [`Upgrade::check`] when another parser read the request), asks
//!    its [`HostPolicy`] and its [`OriginPolicy`], and answers with an [`Acceptance`] or a [`Refusal`].
//! 3. A client writes a [`ClientRequest`] and reads the answer with the [`ResponseReader`] that belongs to it.

mod acceptance;
mod client;
mod error;
pub mod extension;
mod field;
mod fields;
mod head;
mod host;
mod key;
mod origin;
mod refusal;
mod request;
mod response;
mod server;
mod subprotocol;

pub use acceptance::{Acceptance, AcceptanceError};
pub use client::{Accepted, ClientRequest, MAX_INTERIM_RESPONSES, ResponseReader};
pub use error::HandshakeError;
pub use extension::{Extension, MalformedExtensions};
pub use field::FieldError;
pub use fields::Fields;
pub use head::{HeadError, HeadExtent, HeadLimits, HeadScanner};
pub use host::{AllowedHost, HostPolicy, HostRefusal, ParseHostError};
pub use key::{AcceptKey, Key};
pub use origin::{Origin, OriginPolicy, OriginRefusal, ParseOriginError, Scheme};
pub use refusal::Refusal;
pub use request::{HttpVersion, RequestHead};
pub use response::ResponseHead;
pub use server::Upgrade;
