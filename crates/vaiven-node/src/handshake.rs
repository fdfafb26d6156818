//! The opening handshake for JavaScript: header fields that Node's HTTP parser read to answers and refusals.
//!
//! Every rule is `vaiven_proto::handshake`'s; this file only carries values over.

use crate::ffi::{Env, Failure, Value, argument};
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, WindowBits};
use vaiven_proto::handshake::{Extension, Key};

/// `acceptKey(key)`: the value of `Sec-WebSocket-Accept`, or null where the key is none (RFC 6455 section 4.2.2).
pub(crate) fn accept_key<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
    let key = env.string(argument(arguments, 0)?)?;
    match Key::parse(key.as_bytes()) {
        Some(key) => env.text(key.accept().as_str()),
        None => env.null(),
    }
}

/// `offerDeflate(takeover, serverBits, clientBits)`: a client's element of `Sec-WebSocket-Extensions`.
pub(crate) fn offer_deflate<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
    env.text(&client_config(env, arguments)?.offer())
}

/// `confirmDeflate(takeover, serverBits, clientBits, answer)`: what the server's answer to that offer agrees to, packed
/// as `takeover + 4 * serverBits + 64 * clientBits`. An answer that breaks a rule is an error that says which.
pub(crate) fn confirm_deflate<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
    let config = client_config(env, arguments)?;
    let answer = env.string(argument(arguments, 3)?)?;
    let answer = Extension::parse_list([answer.as_bytes()]).map_err(|error| Failure(error.to_string()))?;
    match config.confirm(&answer).map_err(|error| Failure(error.to_string()))? {
        Some(params) => env.number(packed(&params)),
        None => env.null(),
    }
}

/// Bits of `takeover`: who compresses every message on its own.
const SERVER_NO_CONTEXT_TAKEOVER: u8 = 1;
const CLIENT_NO_CONTEXT_TAKEOVER: u8 = 2;

fn client_config<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Result<DeflateConfig, Failure> {
    let number = |index| env.index::<u8>(argument(arguments, index)?);
    let bits = |bits| WindowBits::new(bits).ok_or_else(|| Failure::from("a window has from 8 to 15 bits"));
    let takeover = number(0)?;
    let mut config = DeflateConfig::client();
    config.server_no_context_takeover = takeover & SERVER_NO_CONTEXT_TAKEOVER != 0;
    config.client_no_context_takeover = takeover & CLIENT_NO_CONTEXT_TAKEOVER != 0;
    config.server_max_window_bits = bits(number(1)?)?;
    // 0: the parameter is not offered.
    config.client_max_window_bits = match number(2)? {
        0 => None,
        given => Some(bits(given)?),
    };
    Ok(config)
}

fn packed(params: &DeflateParams) -> usize {
    let takeover = |on, bit| if on { usize::from(bit) } else { 0 };
    takeover(params.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER)
        + takeover(params.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER)
        + 4 * usize::from(params.server_max_window_bits.bits())
        + 64 * usize::from(params.client_max_window_bits.bits())
}
