//! The opening handshake for JavaScript: header fields that Node's HTTP parser read to agreements and refusals.
//!
//! Every rule is `vaiven_proto::handshake`'s and `vaiven_proto::deflate`'s; this file only carries values over. Raw
//! headers are Node's: a list of names and values in turn, each character of which is a byte.

use crate::ffi::{Env, Failure, Value, argument};
use bytes::{BufMut, BytesMut};
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, WindowBits};
use vaiven_proto::handshake::{
    ClientRequest, Extension, HandshakeError, HeadLimits, HttpVersion, Key, OriginPolicy, Refusal, Scheme,
    Upgrade,
};

type Answer<'a> = Result<Value<'a>, Failure>;

/// `acceptKey(key)`: the value of `Sec-WebSocket-Accept`, or null where the key is none (RFC 6455 section 4.2.2).
pub(crate) fn accept_key<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let key = env.string(argument(arguments, 0)?)?;
    match Key::parse(key.as_bytes()) {
        Some(key) => env.text(key.accept().as_str()),
        None => env.null(),
    }
}

/// `checkUpgrade(method, httpVersion, rawHeaders)`: what a request offers that is a right opening handshake, or the
/// refusal to answer with.
pub(crate) fn check_upgrade<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (method, version) = (env.string(argument(arguments, 0)?)?, env.string(argument(arguments, 1)?)?);
    let version = match version.as_str() {
        "1.1" => HttpVersion::Http11,
        "1.0" => HttpVersion::Http10,
        _ => return Err(Failure::from("the version is neither 1.0 nor 1.1")),
    };
    let fields = raw_headers(env, argument(arguments, 2)?)?;
    let fields = fields.iter().map(|(name, value)| (name.as_str(), &value[..]));
    let upgrade = match Upgrade::check(&method, version, fields) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return env.object(&[("refusal", refusal_object(env, &refusal)?)]),
    };
    let subprotocols = upgrade.subprotocols().iter().map(|name| env.text(name));
    let subprotocols: Vec<_> = subprotocols.collect::<Result<_, _>>()?;
    env.object(&[
        ("accept", env.text(upgrade.accept_key().as_str())?),
        ("host", env.text(upgrade.host())?),
        ("origin", upgrade.origin().map_or_else(|| env.null(), |origin| env.text(origin))?),
        ("subprotocols", env.array(&subprotocols)?),
        ("extensions", upgrade.extensions_text().map_or_else(|| env.null(), |text| env.text(text))?),
    ])
}

/// `checkOrigin(allowed, origin, host, isSecure)`: null, or the refusal to answer with. In the list, `same-origin`, `null`,
/// `absent` and `*` stand for what they say.
pub(crate) fn check_origin<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let allowed = env.elements(argument(arguments, 0)?)?;
    let allowed = allowed.into_iter().map(|value| env.string(value)).collect::<Result<Vec<_>, _>>()?;
    let has = |name: &str| allowed.iter().any(|allowed| allowed == name);
    let mut policy = match (has("*"), has("same-origin")) {
        (true, _) => OriginPolicy::any(),
        (false, true) => OriginPolicy::same_origin(),
        (false, false) => OriginPolicy::list([]),
    };
    for origin in &allowed {
        policy = match origin.as_str() {
            "*" | "same-origin" => policy,
            "null" => policy.allow_null(),
            "absent" => policy.allow_absent(),
            origin => policy.allow(origin.parse().map_err(failure)?),
        };
    }
    let origin = argument(arguments, 1)?;
    let origin = if env.is_null(origin)? { None } else { Some(env.string(origin)?) };
    let host = env.string(argument(arguments, 2)?)?;
    let scheme = if env.truth(argument(arguments, 3)?)? { Scheme::Https } else { Scheme::Http };
    match policy.check(origin.as_deref(), &host, scheme) {
        Ok(()) => env.null(),
        Err(refusal) => refusal_object(env, &Refusal::forbidden_origin(&refusal)),
    }
}

/// `offerDeflate(config)`: the element that a client puts into `Sec-WebSocket-Extensions`.
pub(crate) fn offer_deflate<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.text(&config(env, argument(arguments, 0)?)?.offer())
}

/// `acceptDeflate(config, extensions)`: a server's choice among the offers of a request, with the element of the answer,
/// or null to go on without compression.
pub(crate) fn accept_deflate<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let config = config(env, argument(arguments, 0)?)?;
    let extensions = env.string(argument(arguments, 1)?)?;
    let offers = Extension::parse_list([extensions.as_bytes()]).map_err(failure)?;
    match config.accept(&offers) {
        Some((params, answer)) => {
            let agreed = deflate_object(env, params, &config)?;
            env.object(&[("agreed", agreed), ("answer", env.text(&answer)?)])
        }
        None => env.null(),
    }
}

/// `checkResponse(nonce, subprotocols, config, rawHeaders)`: what a server's 101 agreed to, or the error that fails the
/// connection. `config` is what `offerDeflate` was given, or null.
pub(crate) fn check_response<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let nonce: [u8; 16] = (&*env.bytes(argument(arguments, 0)?)?)
        .try_into()
        .map_err(|_| Failure::from("a nonce of 16 bytes was expected"))?;
    let subprotocols = env.elements(argument(arguments, 1)?)?;
    let config_value = argument(arguments, 2)?;
    let config = if env.is_null(config_value)? { None } else { Some(config(env, config_value)?) };
    let mut request = ClientRequest::new("host", "/", nonce).map_err(failure)?;
    for name in subprotocols {
        request.subprotocol(&env.string(name)?).map_err(failure)?;
    }
    if let Some(config) = &config {
        request.extensions(&config.offer()).map_err(failure)?;
    }
    // Node has parsed the head; it is put together again, so that one reader judges every response.
    let mut head = BytesMut::from(&b"HTTP/1.1 101 Switching Protocols\r\n"[..]);
    for (name, value) in raw_headers(env, argument(arguments, 3)?)? {
        for part in [name.as_bytes(), b": ", &value, b"\r\n"] {
            head.put_slice(part);
        }
    }
    head.put_slice(b"\r\n");
    let accepted = match request.response_reader(HeadLimits::default()).take(&mut head) {
        Ok(Some(accepted)) => accepted,
        Ok(None) => return Err(Failure::from("the head does not end")),
        Err(error) => return error_object(env, &error),
    };
    let params = config.map(|config| (config, config.confirm(&accepted.extensions())));
    let agreed = match params {
        Some((config, Ok(Some(params)))) => deflate_object(env, params, &config)?,
        Some((_, Err(reason))) => {
            let (name, reason) = ("permessage-deflate".to_owned(), reason.to_string());
            return error_object(env, &HandshakeError::InvalidExtension { name, reason });
        }
        Some((_, Ok(None))) | None => env.null()?,
    };
    let lines = accepted.head().fields().all("sec-websocket-extensions");
    let extensions: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    env.object(&[
        ("subprotocol", env.text(accepted.subprotocol().unwrap_or_default())?),
        ("extensions", env.text(&extensions.join(", "))?),
        ("deflate", agreed),
    ])
}

/// Names and values in turn. A header that another parser let through is refused where it could change the head.
fn raw_headers<'a>(env: Env<'a>, value: Value<'a>) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let texts = env.elements(value)?.into_iter().map(|value| env.string(value));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    if texts.iter().any(|text| text.contains(['\r', '\n', '\0'])) {
        return Err(Failure::from("a header holds a line break or a NUL"));
    }
    let field = |pair: &[String]| match pair {
        // Each character is a byte; what is none cannot have come from a socket.
        [name, value] => {
            let bytes = value.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect();
            Ok((name.clone(), bytes))
        }
        _ => Err(Failure::from("a header has no value")),
    };
    texts.chunks(2).map(field).collect()
}

/// `DeflateConfig` of handshake.ts.
fn config<'a>(env: Env<'a>, value: Value<'a>) -> Result<DeflateConfig, Failure> {
    let truth = |name| env.truth(env.property(value, name)?);
    let number = |name| env.index::<u32>(env.property(value, name)?);
    let bits = |bits: u32| {
        let bits = u8::try_from(bits).ok().and_then(WindowBits::new);
        bits.ok_or_else(|| Failure::from("a window has 8 to 15 bits"))
    };
    let mut config = DeflateConfig::server();
    config.server_no_context_takeover = truth("serverNoContextTakeover")?;
    config.client_no_context_takeover = truth("clientNoContextTakeover")?;
    config.server_max_window_bits = bits(number("serverMaxWindowBits")?)?;
    config.client_max_window_bits = match number("clientMaxWindowBits")? {
        0 => None,
        number => Some(bits(number)?),
    };
    config.level = u8::try_from(number("level")?).unwrap_or(u8::MAX);
    config.min_bytes = number("threshold")? as usize;
    Ok(config)
}

/// `Deflate` of link.ts.
fn deflate_object<'a>(env: Env<'a>, params: DeflateParams, config: &DeflateConfig) -> Answer<'a> {
    env.object(&[
        ("serverNoContextTakeover", env.boolean(params.server_no_context_takeover)?),
        ("clientNoContextTakeover", env.boolean(params.client_no_context_takeover)?),
        ("serverMaxWindowBits", env.number(params.server_max_window_bits.bits().into())?),
        ("clientMaxWindowBits", env.number(params.client_max_window_bits.bits().into())?),
        ("level", env.number(config.level.into())?),
        ("threshold", env.number(config.min_bytes)?),
    ])
}

/// `Refusal` of handshake.ts.
fn refusal_object<'a>(env: Env<'a>, refusal: &Refusal) -> Answer<'a> {
    let fields = refusal.fields().flat_map(|(name, value)| [env.text(name), env.text(value)]);
    let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
    env.object(&[
        ("status", env.number(refusal.status().into())?),
        ("code", env.text(refusal.code())?),
        ("message", env.text(refusal.message())?),
        ("headers", env.array(&fields)?),
    ])
}

/// `{ error: { name, message } }`: the name is that of the variant.
fn error_object<'a>(env: Env<'a>, error: &HandshakeError) -> Answer<'a> {
    let variant = format!("{error:?}");
    let name = variant.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
    let error = env.object(&[("name", env.text(name)?), ("message", env.text(&error.to_string())?)])?;
    env.object(&[("error", error)])
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}
