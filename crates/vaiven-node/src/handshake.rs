//! The opening handshake for JavaScript: header fields that Node's HTTP parser read to answers and refusals.
//!
//! Every rule is `vaiven_proto::handshake`'s; this file only carries values over.

use crate::ffi::{Env, Failure, Value, argument};
use vaiven_proto::handshake::Key;

/// `acceptKey(key)`: the value of `Sec-WebSocket-Accept`, or null where the key is none (RFC 6455 section 4.2.2).
pub(crate) fn accept_key<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
    let key = env.string(argument(arguments, 0)?)?;
    match Key::parse(key.as_bytes()) {
        Some(key) => env.text(key.accept().as_str()),
        None => env.null(),
    }
}
