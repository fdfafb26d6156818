//! Who is in a namespace, and in which of its rooms.
//!
//! Everything that is sent to more than one socket is queued under this lock, so that all of them get it in one order,
//! which is the order of the log from which clients recover. Queuing writes to no socket: that happens at the end of the
//! wake-up.

use super::frames::{Frames, Parsers};
use super::io::{IoConfig, Shared};
use super::namespace::Namespace;
use super::recovery::{Past, Restored, Saved};
use super::socket::random_text;
use super::{DisconnectReason, EmitError, Socket, SocketId, lock};
use crate::engine::PreparedMessages;
use crate::packet::{Args, Arguments, Encoded, is_reserved_event};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::time::Instant;
use vaiven::{Compress, Text};

/// Who is meant by what is sent. The id of a socket is a room with that socket in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Everybody, where there are none.
    pub(super) rooms: Vec<Box<str>>,
    pub(super) except: Vec<Box<str>>,
}

impl Target {
    /// One socket.
    pub(super) fn one(id: &SocketId) -> Self {
        Self { rooms: vec![id.as_str().into()], except: Vec::new() }
    }

    /// Whether it means a socket that was in these rooms.
    pub(super) fn includes(&self, id: &SocketId, rooms: &[Arc<str>]) -> bool {
        let is_in = |name: &str| id.as_str() == name || rooms.iter().any(|room| **room == *name);
        (self.rooms.is_empty() || self.rooms.iter().any(|room| is_in(room)))
            && !self.except.iter().any(|room| is_in(room))
    }

    /// What it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        let names = self.rooms.iter().chain(&self.except);
        names.map(|name| name.len() + size_of::<Box<str>>()).sum()
    }
}

/// How something is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivery {
    /// Whoever cannot take it at once does not get it; else whoever cannot take it at all is ended.
    pub(super) is_volatile: bool,
    pub(super) compress: Compress,
}

/// A namespace that lives: its sockets and rooms.
pub(super) struct Adapter {
    name: Text,
    namespace: Arc<Namespace>,
    io: Weak<Shared>,
    config: Arc<IoConfig>,
    next_ack: AtomicU64,
    next_number: AtomicU64,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    sockets: HashMap<SocketId, Member>,
    rooms: HashMap<Arc<str>, HashMap<SocketId, Socket>>,
    past: Option<Box<Past>>,
}

struct Member {
    socket: Socket,
    rooms: Vec<Arc<str>>,
}

impl Adapter {
    pub(super) fn new(
        name: Text,
        namespace: Arc<Namespace>,
        io: Weak<Shared>,
        config: Arc<IoConfig>,
    ) -> Arc<Self> {
        let past = namespace.recovery_config().map(|config| Box::new(Past::new(*config, random_text(6))));
        Arc::new(Self {
            name,
            namespace,
            io,
            config,
            next_ack: AtomicU64::new(0),
            next_number: AtomicU64::new(0),
            members: Mutex::new(Members { past, ..Members::default() }),
        })
    }

    pub(super) fn name(&self) -> &Text {
        &self.name
    }

    pub(super) fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    pub(super) fn config(&self) -> &IoConfig {
        &self.config
    }

    pub(super) fn io(&self) -> Option<Arc<Shared>> {
        self.io.upgrade()
    }

    /// Whether what is sent is kept for clients that come back.
    pub(super) fn keeps_past(&self) -> bool {
        self.namespace.recovery_config().is_some()
    }

    /// Whether nobody is here and nobody can come back.
    pub(super) fn is_deserted(&self) -> bool {
        let members = lock(&self.members);
        members.sockets.is_empty() && members.past.as_ref().is_none_or(|past| past.is_empty())
    }

    pub(super) fn sweep(&self) {
        self.with_past(Past::sweep);
    }

    /// Does something with what is kept, where anything is.
    fn with_past<T>(&self, act: impl FnOnce(&mut Past) -> T) -> Option<T> {
        let mut members = lock(&self.members);
        let past = members.past.as_mut()?;
        let (done, forgotten) = (act(past), past.take_forgotten());
        drop(members);
        drop(forgotten);
        Some(done)
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.members).sockets.len()
    }

    // Coming and going.

    /// The session of a client that comes back. Where the server still believes in its old connection, that one ends.
    pub(super) fn restore(&self, pid: &str, offset: Option<&str>) -> Option<Restored> {
        let lost = {
            let members = lock(&self.members);
            let id = members.past.as_ref()?.present(pid);
            id.and_then(|id| members.sockets.get(id)).map(|member| member.socket.clone())
        };
        if let Some(lost) = lost {
            lost.client().end(DisconnectReason::TransportClose);
            lost.end(DisconnectReason::TransportClose);
        }
        self.with_past(|past| past.restore(pid, offset))?
    }

    /// Lets a socket in: it is sent `reply`, then what it missed, and from then on whatever is sent here.
    pub(super) fn admit(
        &self,
        socket: &Socket,
        restored: Option<Restored>,
        replay: &[PreparedMessages],
        reply: impl FnOnce(&Socket) -> Encoded,
    ) {
        let mut members = lock(&self.members);
        let Members { sockets, rooms, past } = &mut *members;
        let mut joined = Vec::new();
        let mut missed = Vec::new();
        if let Some(past) = past {
            let mut pid = None;
            let mut joined_at = past.end();
            if let Some(Restored { saved, from }) = restored {
                // What was there when the client asked may be gone since, while the middleware was asked.
                if let Some(frames) = past.missed(from, &saved.id, &saved.rooms) {
                    missed = frames.into_iter().cloned().collect();
                    socket.extensions().adopt(&saved.extensions);
                    joined = saved.rooms;
                    joined_at = saved.joined_at;
                    pid = Some(saved.pid);
                }
            }
            socket.set_recovered(pid.is_some());
            let pid = pid.unwrap_or_else(|| random_text(15));
            past.arrived(pid.clone(), socket.id().clone());
            socket.set_session(pid, joined_at);
        }
        // A failure has ended the connection already.
        let _ = socket.client().send(reply(socket).messages(), Compress::Auto);
        for frames in replay {
            let _ = socket.client().send_prepared(frames, Compress::Auto);
        }
        for frames in &missed {
            socket.deliver(frames, Delivery::default());
        }
        for room in &joined {
            rooms.entry(Arc::clone(room)).or_default().insert(socket.id().clone(), socket.clone());
        }
        sockets.insert(socket.id().clone(), Member { socket: socket.clone(), rooms: joined });
    }

    /// Takes a socket out of all rooms, and keeps its session if its client may come back.
    pub(super) fn remove(&self, socket: &Socket, reason: DisconnectReason) {
        let mut forgotten = Vec::new();
        let mut members = lock(&self.members);
        let Members { sockets, rooms, past } = &mut *members;
        // Another socket may have its id by now.
        if !sockets.get(socket.id()).is_some_and(|member| member.socket == *socket) {
            return;
        }
        let Some(member) = sockets.remove(socket.id()) else { return };
        for room in &member.rooms {
            leave(rooms, room, socket.id());
        }
        if let (Some(past), Some((pid, joined_at))) = (past, socket.session()) {
            past.left(pid, socket.id());
            if reason.is_recoverable() {
                past.save(Saved {
                    id: socket.id().clone(),
                    pid: pid.clone(),
                    rooms: member.rooms,
                    extensions: socket.extensions().share(),
                    joined_at,
                    since: Instant::now(),
                });
                forgotten = past.take_forgotten();
            }
        }
        shrink(sockets);
        shrink(rooms);
        drop(members);
        drop(forgotten);
    }

    /// Keeps a session again whose client was gone before it had joined.
    pub(super) fn put_back(&self, restored: Restored) {
        self.with_past(|past| past.save(restored.saved));
    }

    // Rooms.

    pub(super) fn join(&self, socket: &Socket, name: &str) {
        let mut members = lock(&self.members);
        let Members { sockets, rooms, .. } = &mut *members;
        let Some(member) = sockets.get_mut(socket.id()).filter(|member| member.socket == *socket) else {
            return;
        };
        if name == socket.id().as_str() || member.rooms.iter().any(|room| **room == *name) {
            return;
        }
        let room = rooms.get_key_value(name).map_or_else(|| Arc::from(name), |(room, _)| Arc::clone(room));
        member.rooms.push(Arc::clone(&room));
        rooms.entry(room).or_default().insert(socket.id().clone(), socket.clone());
    }

    pub(super) fn leave(&self, socket: &Socket, name: &str) {
        let mut members = lock(&self.members);
        let Members { sockets, rooms, .. } = &mut *members;
        let Some(member) = sockets.get_mut(socket.id()).filter(|member| member.socket == *socket) else {
            return;
        };
        if let Some(index) = member.rooms.iter().position(|room| **room == *name) {
            member.rooms.swap_remove(index);
            leave(rooms, name, socket.id());
        }
    }

    pub(super) fn rooms(&self, socket: &Socket) -> Vec<Arc<str>> {
        lock(&self.members).sockets.get(socket.id()).map_or_else(Vec::new, |member| member.rooms.clone())
    }

    pub(super) fn find(&self, id: &str) -> Option<Socket> {
        lock(&self.members).sockets.get(id).map(|member| member.socket.clone())
    }

    pub(super) fn select(&self, target: &Target) -> Vec<Socket> {
        let mut selected = Vec::new();
        lock(&self.members).each(target, |socket| selected.push(socket.clone()));
        selected
    }

    // Sending.

    /// Sends an event to all whom `target` means.
    pub(super) fn emit(
        &self,
        target: Target,
        delivery: Delivery,
        name: &str,
        arguments: &impl Arguments,
    ) -> Result<(), EmitError> {
        check_name(name)?;
        if !self.keeps_past() {
            let frames = Frames::event(self.parsers(), &self.name, None, name, arguments, None)?;
            lock(&self.members).each(&target, |socket| socket.deliver(&frames, delivery));
            return Ok(());
        }
        self.emit_kept(target, delivery, name, &Args::of(arguments)?)
    }

    /// Sends an event, and keeps it for those who come back.
    ///
    /// Clients take any text at the end of an event for its offset. A volatile event is not kept, but where it ends with a
    /// text it gets an offset too, or whoever got it could not say where it stands.
    fn emit_kept(
        &self,
        target: Target,
        delivery: Delivery,
        name: &str,
        arguments: &Args,
    ) -> Result<(), EmitError> {
        let is_kept = !delivery.is_volatile;
        // Where there is no argument, the last element is the name, which is a text too.
        let ends_with_text = arguments.is_empty() || arguments.json().trim_end().ends_with('"');
        let needs_offset = is_kept || ends_with_text;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let offset = lock(&self.members).past.as_ref().map(|past| past.offset(number));
        let offset = offset.filter(|_| needs_offset);
        let frames = Frames::event(self.parsers(), &self.name, None, name, arguments, offset.as_deref())?;
        let mut members = lock(&self.members);
        members.each(&target, |socket| socket.deliver(&frames, delivery));
        if let Some(past) = members.past.as_mut().filter(|_| needs_offset) {
            past.push(number, target, is_kept.then_some(frames));
        }
        Ok(())
    }

    /// Sends an event that is to be acknowledged; `expect` is told of each socket before it is sent there, and may leave
    /// it out. Such an event is not kept: nobody could take its acknowledgement later.
    pub(super) fn emit_with_ack(
        &self,
        target: &Target,
        delivery: Delivery,
        name: &str,
        arguments: &impl Arguments,
        mut expect: impl FnMut(u64, &Socket) -> bool,
    ) -> Result<u64, EmitError> {
        check_name(name)?;
        let id = self.next_ack_id();
        let frames = Frames::event(self.parsers(), &self.name, Some(id), name, arguments, None)?;
        lock(&self.members).each(target, |socket| {
            if expect(id, socket) {
                socket.deliver(&frames, delivery);
            }
        });
        Ok(id)
    }

    /// The number of the next event that is to be acknowledged, by whichever socket.
    pub(super) fn next_ack_id(&self) -> u64 {
        self.next_ack.fetch_add(1, Ordering::Relaxed)
    }

    fn parsers(&self) -> Parsers {
        self.config.parsers
    }
}

/// The libraries' own names are nobody else's.
pub(super) fn check_name(name: &str) -> Result<(), EmitError> {
    if is_reserved_event(name) { Err(EmitError::ReservedEvent) } else { Ok(()) }
}

impl Members {
    /// Visits each socket that is meant, once.
    fn each(&self, target: &Target, mut visit: impl FnMut(&Socket)) {
        let except: Vec<Except<'_>> = target.except.iter().map(|name| self.except(name)).collect();
        let mut visit = |socket: &Socket| {
            if !except.iter().any(|except| except.has(socket.id())) {
                visit(socket);
            }
        };
        match &*target.rooms {
            [] => self.sockets.values().for_each(|member| visit(&member.socket)),
            [room] => self.each_in(room, &mut visit),
            rooms => {
                let mut seen = HashSet::new();
                for room in rooms {
                    self.each_in(room, &mut |socket| {
                        if seen.insert(socket.address()) {
                            visit(socket);
                        }
                    });
                }
            }
        }
    }

    fn each_in(&self, room: &str, visit: &mut impl FnMut(&Socket)) {
        if let Some(sockets) = self.rooms.get(room) {
            sockets.values().for_each(&mut *visit);
        }
        if let Some(member) = self.sockets.get(room) {
            visit(&member.socket);
        }
    }

    fn except<'a>(&'a self, name: &'a str) -> Except<'a> {
        self.rooms.get(name).map_or(Except::Socket(name), Except::Room)
    }
}

/// Whom something is not sent to.
enum Except<'a> {
    Socket(&'a str),
    Room(&'a HashMap<SocketId, Socket>),
}

impl Except<'_> {
    fn has(&self, id: &SocketId) -> bool {
        match self {
            Self::Socket(name) => id.as_str() == *name,
            Self::Room(sockets) => sockets.contains_key(id),
        }
    }
}

fn leave(rooms: &mut HashMap<Arc<str>, HashMap<SocketId, Socket>>, name: &str, id: &SocketId) {
    if let Some(sockets) = rooms.get_mut(name) {
        sockets.remove(id);
        if sockets.is_empty() {
            rooms.remove(name);
        } else {
            shrink(sockets);
        }
    }
}

/// Gives memory back once most of a table is empty.
fn shrink<K: Eq + std::hash::Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > 64 && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("name", &self.name).finish_non_exhaustive()
    }
}
