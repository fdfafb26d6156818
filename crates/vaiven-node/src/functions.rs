//! What the add-on exports: the one list of functions that JavaScript sees, and what they keep between calls.
//!
//! native.ts declares the same functions with their types.

use crate::connection::{Connection, Part};
use crate::engine::{Engine, now};
#[cfg(target_os = "linux")]
use crate::event_loop::EventLoop;
use crate::events::Events;
#[cfg(unix)]
use crate::ffi::descriptor;
use crate::ffi::{Env, Failure, Function, Memory, Value, argument};
use crate::handshake;
use crate::outgoing::{Manner, Outgoing};
#[cfg(target_os = "linux")]
use crate::socket::Socket;
use crate::text::{self, Units};
use std::cell::{RefCell, RefMut};
#[cfg(target_os = "linux")]
use std::os::fd::IntoRawFd;
use std::time::Duration;
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, Inflater, WindowBits};
use vaiven_proto::{
    CloseFrame, Decoder, Encoder, Keepalive, KeepaliveConfig, Limits, OpCode, Role, Violation,
};

/// Every function by its name.
pub(crate) const FUNCTIONS: &[(&str, Function)] = &[
    ("acceptDeflate", handshake::accept_deflate),
    ("acceptKey", handshake::accept_key),
    ("addresses", addresses),
    ("adopt", adopt),
    ("answer", answer),
    ("answerPing", answer_ping),
    ("attach", attach),
    ("checkOrigin", handshake::check_origin),
    ("checkResponse", handshake::check_response),
    ("checkUpgrade", handshake::check_upgrade),
    ("close", close),
    ("collect", collect),
    ("create", create),
    ("decodeText", decode_text),
    ("duplicate", duplicate),
    ("end", end),
    ("feed", feed),
    ("flush", flush),
    ("handleTimeouts", handle_timeouts),
    ("heldBytes", held_bytes),
    ("joinEventLoop", join_event_loop),
    ("keepAlive", keep_alive),
    ("offerDeflate", handshake::offer_deflate),
    ("ping", ping),
    ("pong", pong),
    ("progressed", progressed),
    ("publish", publish),
    ("release", release),
    ("send", send),
    ("sendFragment", send_fragment),
    ("setAmounts", set_amounts),
    ("setReading", set_reading),
    ("take", take),
    ("takeOwned", take_owned),
    ("unacknowledged", unacknowledged),
    ("violation", violation),
    ("waiting", waiting),
];

type Answer<'a> = Result<Value<'a>, Failure>;

/// What an environment, which is a thread of JavaScript, keeps for the add-on.
#[derive(Default)]
pub(crate) struct Instance {
    engine: RefCell<Option<Engine>>,
}

impl Instance {
    /// The engine. No function calls JavaScript while it holds it.
    pub(crate) fn engine(&self) -> Result<RefMut<'_, Engine>, Failure> {
        let engine = self.engine.try_borrow_mut().map_err(|_| Failure::from("the engine is in use"))?;
        RefMut::filter_map(engine, Option::as_mut).map_err(|_| Failure::from("the engine was not created"))
    }
}

/// The connection that a call is about.
fn id(env: Env<'_>, arguments: &[Value<'_>]) -> Result<u32, Failure> {
    env.index(argument(arguments, 0)?)
}

/// `create(records, aside, outgoingRecords, outgoingPayloads, amounts)`: begins the engine of this thread.
fn create<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let memory = |index| Memory::of(env, argument(arguments, index)?);
    let events = Events::new(memory(0)?, memory(1)?)?;
    let outgoing = Outgoing::new(memory(2)?, memory(3)?);
    let mut engine = env.instance()?.engine.borrow_mut();
    *engine = Some(Engine::new(events, outgoing, memory(4)?));
    env.undefined()
}

/// `setAmounts(amounts)`: larger memory for what waits in each connection.
fn set_amounts<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.instance()?.engine()?.set_amounts(Memory::of(env, argument(arguments, 0)?)?);
    env.undefined()
}

/// Bits of `attach`'s second argument.
const SERVER: u32 = 1;
const SERVER_NO_CONTEXT_TAKEOVER: u32 = 1 << 1;
const CLIENT_NO_CONTEXT_TAKEOVER: u32 = 1 << 2;

/// `attach(flags, maxPayload, maxFragments, maxIdleFrames, deflateWindows, deflateLevel, deflateThreshold,
/// pingInterval, pongTimeout)`: a connection after its opening handshake. Windows are the server's bits and, times
/// sixteen, the client's, or 0 without compression; times are milliseconds, 0 without keepalive.
fn attach<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let number = |index| env.index::<u32>(argument(arguments, index)?);
    let flags = number(0)?;
    let role = if flags & SERVER == 0 { Role::Client } else { Role::Server };
    let mut limits = if role == Role::Server { Limits::server() } else { Limits::client() };
    limits.max_message_bytes = number(1)? as usize;
    limits.max_fragments = number(2)?;
    limits.max_idle_frames = number(3)?;
    let deflate = deflate(flags, number(4)?, number(5)?, number(6)?)?;
    let (interval, timeout) = (u64::from(number(7)?), u64::from(number(8)?));
    let now = now();
    let inflater = deflate.map(|(params, _)| Inflater::new(role, &params));
    let decoder = Decoder::new(role, limits, inflater, now);
    let mut encoder = Encoder::new(role, |key| rand::Rng::fill_bytes(&mut rand::rng(), key));
    if let Some((params, config)) = deflate {
        encoder = encoder.with_deflate(params, &config);
    }
    let keepalive = (interval > 0).then(|| {
        let (interval, timeout) = (Duration::from_millis(interval), Duration::from_millis(timeout));
        Keepalive::new(KeepaliveConfig { interval, timeout }, rand::random(), now)
    });
    let id = env.instance()?.engine()?.attach(|id| {
        let connection = Connection::new(id, role, decoder, encoder).with_keepalive(keepalive);
        if deflate.is_some() { connection.with_deflate() } else { connection }
    })?;
    env.number(id as usize)
}

/// What was agreed of permessage-deflate.
fn deflate(
    flags: u32,
    windows: u32,
    level: u32,
    threshold: u32,
) -> Result<Option<(DeflateParams, DeflateConfig)>, Failure> {
    if windows == 0 {
        return Ok(None);
    }
    let bits = |bits: u32| {
        let bits = u8::try_from(bits).ok().and_then(WindowBits::new);
        bits.ok_or_else(|| Failure::from("a window has 8 to 15 bits"))
    };
    let params = DeflateParams {
        server_no_context_takeover: flags & SERVER_NO_CONTEXT_TAKEOVER != 0,
        client_no_context_takeover: flags & CLIENT_NO_CONTEXT_TAKEOVER != 0,
        server_max_window_bits: bits(windows & 15)?,
        client_max_window_bits: bits(windows >> 4)?,
    };
    let mut config = DeflateConfig::server();
    config.level = u8::try_from(level).unwrap_or(9);
    config.min_bytes = threshold as usize;
    Ok(Some((params, config)))
}

/// `joinEventLoop(slab, dispatch)`: watches sockets from Node's own event loop; `dispatch` is called with each batch. False
/// where that is not possible.
#[cfg(target_os = "linux")]
fn join_event_loop<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let slab = Memory::of(env, argument(arguments, 0)?)?;
    let event_loop = EventLoop::start(env, slab, argument(arguments, 1)?)?;
    let has_joined = event_loop.is_some();
    env.instance()?.engine()?.event_loop = event_loop;
    env.boolean(has_joined)
}

/// `adopt(connection, descriptor)`: reads and writes the socket of a connection itself from now on.
#[cfg(target_os = "linux")]
fn adopt<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let descriptor = env.index(argument(arguments, 1)?)?;
    env.instance()?.engine()?.adopt(id(env, arguments)?, descriptor)?;
    env.undefined()
}

/// `duplicate(connection)`: another descriptor of an adopted socket, which is the caller's to close.
#[cfg(target_os = "linux")]
fn duplicate<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let fd = env.instance()?.engine()?.duplicate(id(env, arguments)?)?;
    env.number(usize::try_from(fd.into_raw_fd()).map_err(|_| "a descriptor is below zero")?)
}

/// `addresses(connection)`: those of an adopted socket, or null where it has none.
#[cfg(target_os = "linux")]
fn addresses<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let mut engine = env.instance()?.engine()?;
    let socket = engine.connection(id(env, arguments)?)?.socket.as_ref();
    let Some((remote, local)) = socket.and_then(Socket::addresses) else { return env.null() };
    env.object(&[
        ("remoteAddress", env.text(&remote.ip().to_string())?),
        ("remotePort", env.number(remote.port().into())?),
        ("remoteFamily", env.text(if remote.is_ipv4() { "IPv4" } else { "IPv6" })?),
        ("localAddress", env.text(&local.ip().to_string())?),
        ("localPort", env.number(local.port().into())?),
    ])
}

/// `addresses(connection)`: null, as no socket is adopted here.
#[cfg(not(target_os = "linux"))]
fn addresses<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    env.null()
}

/// `setReading(connection, isReading)`: reads from an adopted socket, or does not. A peer that is not listened to is not
/// silent, whatever carries its bytes.
fn set_reading<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let is_reading = env.truth(argument(arguments, 1)?)?;
    let mut engine = env.instance()?.engine()?;
    let id = id(env, arguments)?;
    engine.connection(id)?.is_paused = !is_reading;
    #[cfg(target_os = "linux")]
    engine.set_reading(id, is_reading)?;
    env.undefined()
}

/// `keepAlive(alive)`: whether the process stays alive for the sake of adopted sockets.
#[cfg(target_os = "linux")]
fn keep_alive<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let alive = env.truth(argument(arguments, 0)?)?;
    if let Some(event_loop) = &env.instance()?.engine()?.event_loop {
        event_loop.keep_alive(alive);
    }
    env.undefined()
}

/// `joinEventLoop(slab, dispatch)`: false, as sockets are read by Node here.
#[cfg(not(target_os = "linux"))]
fn join_event_loop<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    env.boolean(false)
}

#[cfg(not(target_os = "linux"))]
use not_joined as adopt;
#[cfg(not(target_os = "linux"))]
use not_joined as duplicate;
#[cfg(not(target_os = "linux"))]
use not_joined as keep_alive;

/// What an event loop would be needed for that was not joined.
#[cfg(not(target_os = "linux"))]
fn not_joined<'a>(_: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    Err(Failure::from("the event loop was not joined"))
}

/// `end(connection)`: ends this direction of the transport behind what waits.
fn end<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.instance()?.engine()?.change(id(env, arguments)?, |connection| connection.is_ending = true)?;
    env.undefined()
}

/// `release(connection)`: forgets a connection.
fn release<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.instance()?.engine()?.release(id(env, arguments)?);
    env.undefined()
}

/// `feed(connection, bytes, start)`: decodes what a stream gave from `start` on; says where it stopped.
fn feed<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (read, start) = (env.bytes(argument(arguments, 1)?)?, env.index(argument(arguments, 2)?)?);
    let taken = env.instance()?.engine()?.feed(id(env, arguments)?, read, start)?;
    env.number(taken)
}

/// `collect()`: makes records of the notices that wait; says how many.
fn collect<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    let count = env.instance()?.engine()?.collect();
    env.number(count)
}

/// `flush()`: writes everything that waits; says whether there are notices to collect.
fn flush<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    let has_notices = env.instance()?.engine()?.flush();
    env.boolean(has_notices)
}

/// `send(connection, flags, payload)`: sends a message that is too long for the shared memory.
fn send<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (flags, payload) = (env.index(argument(arguments, 1)?)?, env.bytes(argument(arguments, 2)?)?);
    env.instance()?.engine()?.send(id(env, arguments)?, flags, payload)?;
    env.undefined()
}

/// `publish(connections, flags, payload)`: sends one message to many connections, whose numbers are 32 bits each.
fn publish<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let manner = Manner::of(env.index(argument(arguments, 1)?)?);
    let (connections, payload) = (env.bytes(argument(arguments, 0)?)?, env.bytes(argument(arguments, 2)?)?);
    env.instance()?.engine()?.publish(connections, manner, payload)?;
    env.undefined()
}

/// `sendFragment(connection, part, payload, isAwaited)`: part is 0 for more binary, 1 for more text, each the first, 2 for one in
/// the middle, 3 for the last.
fn send_fragment<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let part = match env.index::<u32>(argument(arguments, 1)?)? {
        0 => Part::First(OpCode::Binary),
        1 => Part::First(OpCode::Text),
        2 => Part::Middle,
        _ => Part::Last,
    };
    let payload = env.bytes(argument(arguments, 2)?)?;
    let is_awaited = env.truth(argument(arguments, 3)?)?;
    env.instance()?.engine()?.change(id(env, arguments)?, |connection| {
        connection.send_fragment(part, payload, is_awaited);
    })?;
    env.undefined()
}

/// `ping(connection, payload)`
fn ping<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let payload = env.bytes(argument(arguments, 1)?)?;
    env.instance()?.engine()?.change(id(env, arguments)?, |connection| {
        // After a Close frame nothing is sent; JavaScript knows that one was queued.
        let _ = connection.encoder.ping(payload);
    })?;
    env.undefined()
}

/// `pong(connection, payload)`
fn pong<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let payload = env.bytes(argument(arguments, 1)?)?;
    env.instance()?.engine()?.change(id(env, arguments)?, |connection| {
        let _ = connection.encoder.pong(payload);
    })?;
    env.undefined()
}

/// `close(connection, code, reason)`: begins the closing handshake; code 0 is the empty body.
fn close<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (code, reason) = (env.index::<u16>(argument(arguments, 1)?)?, env.string(argument(arguments, 2)?)?);
    let frame = (code != 0).then(|| CloseFrame::new(code, &reason));
    env.instance()?.engine()?.change(id(env, arguments)?, |connection| {
        connection.encoder.close(frame.as_ref());
    })?;
    env.undefined()
}

/// `answer(connection)`: answers the peer's Close frame, or the rule that it broke.
fn answer<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.instance()?.engine()?.change(id(env, arguments)?, Connection::answer)?;
    env.undefined()
}

/// `answerPing(connection, payload)`: answers a ping, behind the messages that wait.
fn answer_ping<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let payload = env.bytes(argument(arguments, 1)?)?;
    let mut engine = env.instance()?.engine()?;
    engine.change(id(env, arguments)?, |connection| connection.answer_ping(payload))?;
    env.undefined()
}

/// `waiting(connection)`: how many bytes wait for a stream to write them.
fn waiting<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let waiting = env.instance()?.engine()?.waiting(id(env, arguments)?)?;
    env.number(waiting)
}

/// `take(connection, out)`: fills `out` with the first bytes that wait; says how many payload bytes that are.
fn take<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let out = env.bytes(argument(arguments, 1)?)?;
    let gone = env.instance()?.engine()?.take(id(env, arguments)?, out)?;
    env.number(gone)
}

/// `progressed(connection)`: the peer of a stream takes what is sent to it, and so is there.
fn progressed<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    env.instance()?.engine()?.progressed(id(env, arguments)?)?;
    env.undefined()
}

/// `unacknowledged(descriptor)`: how many bytes of a socket of Node's the peer's system does not have yet.
#[cfg(unix)]
fn unacknowledged<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let bytes = descriptor::unacknowledged_of(env.index(argument(arguments, 0)?)?);
    env.number(bytes as usize)
}

/// `unacknowledged(descriptor)`: 0, as sockets have no descriptors here.
#[cfg(not(unix))]
fn unacknowledged<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    env.number(0)
}

/// `takeOwned(index)`: the payload of a record that has a buffer of its own.
fn take_owned<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let bytes = env.instance()?.engine()?.take_owned(env.index(argument(arguments, 0)?)?)?;
    env.buffer(bytes)
}

/// `decodeText(text, start, end, out)`: the part of `text` as Latin-1 or UTF-16 at the beginning of `out`. Says how many
/// units that are, times two, and one more where it is UTF-16; 0 where it is not UTF-8 or there is no room.
fn decode_text<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let (start, end): (usize, usize) =
        (env.index(argument(arguments, 1)?)?, env.index(argument(arguments, 2)?)?);
    let bytes = &*env.bytes(argument(arguments, 0)?)?;
    let part = bytes.get(start..end).ok_or("the text ends before its end")?;
    env.number(match text::decode(part, env.bytes(argument(arguments, 3)?)?) {
        Some(Units::Latin1(count)) => count << 1,
        Some(Units::Utf16(count)) => count << 1 | 1,
        None => 0,
    })
}

/// `handleTimeouts()`: lets time act on every connection; says whether there are notices to collect.
fn handle_timeouts<'a>(env: Env<'a>, _: &[Value<'a>]) -> Answer<'a> {
    let mut engine = env.instance()?.engine()?;
    engine.handle_timeouts();
    let has_notices = engine.flush();
    env.boolean(has_notices)
}

/// `violation(index)`: code, name and sentence of a rule, separated by line breaks.
fn violation<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let index: usize = env.index(argument(arguments, 0)?)?;
    let violation = Violation::ALL.get(index).ok_or("there is no such violation")?;
    env.text(&format!("{}\n{violation:?}\n{violation}", violation.close_code()))
}

/// `heldBytes(connection)`: what the connection holds beyond what waits to be written.
fn held_bytes<'a>(env: Env<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let held = env.instance()?.engine()?.connection(id(env, arguments)?)?.held_bytes();
    env.number(held)
}
