//! Sockets on Node's own event loop (Linux): readiness to events, and back to what JavaScript answers.
//!
//! libuv watches one epoll descriptor; the sockets are registered there. What is readable is read into one slab,
//! decoded where it lies and told to JavaScript as one batch; then everything that was sent leaves in one write for each
//! connection. While JavaScript runs, the engine is not borrowed.

use crate::connection::Connection;
use crate::engine::{Engine, now};
use crate::events::{self, Kind, Notice};
use crate::ffi::uv::{Dispatch, Poll};
use crate::ffi::{Env, Failure, Memory, Value, descriptor};
use crate::functions::Instance;
use crate::socket::{Read, Socket};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::time::Instant;

/// Sockets that one batch serves; more come with the next turn of the loop.
const MAX_READY: usize = 512;

/// The least room that a read is given.
const MIN_ROOM: usize = 64 << 10;

/// The engine's place in the event loop.
pub(crate) struct EventLoop {
    epoll: OwnedFd,
    poll: Poll,
    slab: Memory,
    /// How much of the slab this batch uses.
    used: usize,
    /// Of the last read, what is not decoded for want of room for its events.
    rest: Option<Range<usize>>,
    /// Tells connections apart that had the same number one after another.
    generation: u32,
    ready: Vec<epoll::Event>,
}

impl EventLoop {
    /// `None` where the runtime does not let its loop be joined.
    pub(crate) fn start(
        env: Env<'_>,
        mut slab: Memory,
        dispatch: Value<'_>,
    ) -> Result<Option<Self>, Failure> {
        if slab.bytes().len() < MIN_ROOM {
            return Err(Failure::from("the memory for reads is too small"));
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failure)?;
        let Some(poll) = Poll::start(env, epoll.as_fd(), dispatch, on_ready)? else { return Ok(None) };
        let ready = Vec::with_capacity(MAX_READY);
        Ok(Some(Self { epoll, poll, slab, used: 0, rest: None, generation: 0, ready }))
    }

    /// Whether the process stays alive for the sake of the sockets.
    pub(crate) fn keep_alive(&self, alive: bool) {
        self.poll.keep_alive(alive);
    }

    /// Fills `ready` with the sockets that have something to do.
    fn wait(&mut self) -> Vec<epoll::Event> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let room = rustix::buffer::spare_capacity(&mut ready);
        // Interrupted or not: what is missing comes with the next turn of the loop.
        let _ = epoll::wait(&self.epoll, room, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        ready
    }
}

fn failure(error: Errno) -> Failure {
    Failure(format!("the socket cannot be watched: {error}"))
}

/// Connection and generation in one number.
fn key(id: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(id)
}

impl Engine {
    /// Reads and writes the socket `fd` from now on for a connection.
    pub(crate) fn adopt(&mut self, id: u32, fd: RawFd) -> Result<(), Failure> {
        let event_loop = self.event_loop.as_mut().ok_or("the event loop was not joined")?;
        event_loop.generation = event_loop.generation.wrapping_add(1);
        let key = key(id, event_loop.generation);
        let fd = descriptor::duplicate(fd).map_err(failure)?;
        let socket = Socket::register(event_loop.epoll.as_fd(), fd, key).map_err(failure)?;
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        let connection = slot.ok_or("the connection is gone")?;
        connection.socket = Some(socket);
        Ok(())
    }

    /// Another descriptor of a connection's socket.
    pub(crate) fn duplicate(&mut self, id: u32) -> Result<OwnedFd, Failure> {
        let socket = self.connection(id)?.socket.as_ref().ok_or("the socket is not the engine's")?;
        socket.duplicate().map_err(failure)
    }

    /// Reads from a connection's socket, or does not.
    pub(crate) fn set_reading(&mut self, id: u32, is_reading: bool) -> Result<(), Failure> {
        let Some(event_loop) = &self.event_loop else { return Ok(()) };
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        let Some(socket) = slot.and_then(|connection| connection.socket.as_mut()) else { return Ok(()) };
        socket.set_reading(event_loop.epoll.as_fd(), is_reading).map_err(failure)
    }

    /// Makes epoll forget a connection's socket, before it is closed.
    pub(crate) fn deregister(&mut self, id: u32) {
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        if let Some(socket) = slot.and_then(|connection| connection.socket.as_mut())
            && let Some(event_loop) = &self.event_loop
        {
            // It can fail only if the socket is not registered.
            let _ = socket.deregister(event_loop.epoll.as_fd());
        }
    }

    /// Writes what waits in a connection, as far as the system takes it. False: it has no socket here.
    pub(crate) fn write_socket(&mut self, id: u32) -> bool {
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        let Some(connection) = slot else { return true };
        let (Some(socket), Some(event_loop)) = (&mut connection.socket, &self.event_loop) else {
            return false;
        };
        loop {
            match socket.write(event_loop.epoll.as_fd(), connection.encoder.outbox_mut()) {
                Ok(true) if connection.encoder.written() => {}
                Ok(true) => break,
                Ok(false) => {
                    connection.is_backlogged = true;
                    let amount = connection.settle_queued_bytes();
                    self.set_amount(id, amount);
                    return true;
                }
                Err(error) => {
                    connection.encoder.outbox_mut().clear();
                    socket.lost = Some(error);
                    // What the peer said before it went is still read, and then its end; unless nobody reads.
                    if !socket.is_reading() {
                        self.lose(id, Some(error));
                    }
                    return true;
                }
            }
        }
        if connection.finishes_now()
            && let Some(socket) = &connection.socket
        {
            socket.end();
            self.events.notice(Notice { connection: id, kind: Kind::Finished, offset: 0, len: 0 });
        }
        connection.queued_bytes = 0;
        let awaited = std::mem::take(&mut connection.awaited);
        if std::mem::take(&mut connection.is_backlogged) || awaited > 0 {
            self.events.notice(Notice { connection: id, kind: Kind::Drained, offset: 0, len: awaited });
        }
        self.set_amount(id, 0);
        true
    }

    /// The socket is of no more use: tells so, once.
    fn lose(&mut self, id: u32, error: Option<Errno>) {
        self.deregister(id);
        let offset = error.map_or(0, Errno::raw_os_error);
        self.events.notice(Notice { connection: id, kind: Kind::Ended, offset, len: 0 });
    }

    /// Reads one socket and decodes what came. False: there is no room; it is to be called again when the batch is told.
    fn receive(&mut self, key: u64, now: Instant) -> bool {
        let Self { connections, events, event_loop: Some(event_loop), .. } = self else { return true };
        let rest = event_loop.rest.take();
        let Some(connection) = called(connections, key) else { return true };
        let id = connection.id;
        let range = if let Some(rest) = rest {
            rest
        } else {
            let used = event_loop.used;
            let room = event_loop.slab.bytes().get_mut(used..).unwrap_or_default();
            if events.is_full() || room.len() < MIN_ROOM {
                return false;
            }
            match connection.read(room) {
                Read::Bytes(read) => {
                    connection.heard(now);
                    event_loop.used += read;
                    used..used + read
                }
                Read::Nothing => return true,
                Read::Ended(error) => {
                    self.lose(id, error);
                    return true;
                }
            }
        };
        let read = event_loop.slab.bytes().get_mut(range.clone()).unwrap_or_default();
        let progress = connection.decode(read, range.start, now, events);
        if progress.is_full {
            event_loop.rest = Some(range.start + progress.taken..range.end);
            return false;
        }
        self.touch(id);
        true
    }

    /// The system takes more of a connection's bytes.
    fn write_ready(&mut self, key: u64) {
        if let Some(connection) = called(&mut self.connections, key) {
            let id = connection.id;
            self.write_socket(id);
        }
    }
}

/// The connection whose socket events call `key`.
fn called(connections: &mut [Option<Box<Connection>>], key: u64) -> Option<&mut Connection> {
    // The low half is the number.
    let id = u32::try_from(key & u64::from(u32::MAX)).ok()?;
    let connection = connections.get_mut(id as usize)?.as_deref_mut()?;
    (connection.socket.as_ref()?.key() == key).then_some(connection)
}

/// Ends a batch that a panic left: the next one finds the engine at rest, and not for ever in the middle of this one.
struct Unfinished<'a>(&'a Instance);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end(self.0, Vec::with_capacity(MAX_READY));
        }
    }
}

/// libuv: some sockets have something to do.
fn on_ready(instance: &Instance, dispatch: &Dispatch) {
    let _unfinished = Unfinished(instance);
    let Some(ready) = begin(instance) else { return };
    let now = now();
    for event in &ready {
        let (flags, key) = (event.flags, event.data.u64());
        if flags.contains(epoll::EventFlags::OUT)
            && let Ok(mut engine) = instance.engine()
        {
            engine.write_ready(key);
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            while instance.engine().is_ok_and(|mut engine| !engine.receive(key, now)) {
                tell(instance, dispatch);
            }
        }
    }
    tell(instance, dispatch);
    // Who waited for what has just left is told, and what they send leaves too.
    if instance.engine().is_ok_and(|engine| engine.events.has_notices()) {
        tell(instance, dispatch);
    }
    if end(instance, ready) {
        dispatch.call();
    }
}

/// Begins a batch, unless one is running: a handler may run the event loop itself.
fn begin(instance: &Instance) -> Option<Vec<epoll::Event>> {
    let mut engine = instance.engine().ok()?;
    if engine.events.header(events::WALKING) != 0 {
        return None;
    }
    engine.events.set_header(events::WALKING, 1);
    engine.events.set_header(events::IN_BATCH, 1);
    engine.events.begin();
    engine.event_loop.as_mut().map(EventLoop::wait)
}

/// Tells what was decoded so far, writes what was answered, and makes room: what waits to be written never comes from more
/// than one slab.
fn tell(instance: &Instance, dispatch: &Dispatch) {
    let Ok(mut engine) = instance.engine() else { return };
    let count = engine.events.finish();
    drop(engine);
    let mut told = 0;
    while told < count {
        dispatch.call();
        let Ok(mut engine) = instance.engine() else { return };
        let cursor = engine.events.header(events::CURSOR);
        if cursor == told {
            // JavaScript does not run any more: the thread is being ended.
            break;
        }
        told = cursor;
    }
    let Ok(mut engine) = instance.engine() else { return };
    engine.flush();
    engine.events.begin();
    if let Some(event_loop) = &mut engine.event_loop {
        event_loop.used = event_loop.rest.as_ref().map_or(0, |rest| rest.end);
    }
}

/// Ends a batch. Says whether JavaScript has something to go on with.
fn end(instance: &Instance, ready: Vec<epoll::Event>) -> bool {
    let Ok(mut engine) = instance.engine() else { return false };
    if let Some(event_loop) = &mut engine.event_loop {
        event_loop.ready = ready;
        event_loop.used = 0;
        event_loop.rest = None;
    }
    engine.events.set_header(events::IN_BATCH, 0);
    engine.events.set_header(events::WALKING, 0);
    let waits = engine.events.header(events::WAITING) != 0 || engine.events.has_notices();
    engine.events.set_header(events::WAITING, 0);
    waits
}
