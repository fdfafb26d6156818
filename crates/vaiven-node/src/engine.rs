//! All connections of one thread of JavaScript: what arrives goes to events, what is sent goes to outboxes.
//!
//! No method here calls JavaScript: whatever a handler does, it finds the engine in a consistent state.

use crate::connection::{Connection, Liveness};
#[cfg(target_os = "linux")]
use crate::event_loop::EventLoop;
use crate::events::{self, Events, Kind, Notice};
use crate::ffi::{Failure, Memory};
use crate::outgoing::{Manner, Outgoing, OutgoingMessage};
use bytes::{Buf, Bytes};
use std::time::Instant;

/// The engine of one thread.
pub(crate) struct Engine {
    pub(crate) events: Events,
    outgoing: Outgoing,
    /// Payload bytes that wait in each connection, by its number; JavaScript adds, the engine takes away.
    amounts: Memory,
    pub(crate) connections: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    /// Numbers that may be given out again when no record of them is left.
    released: Vec<u32>,
    /// Connections with something in the outbox that was not yet tried to write.
    dirty: Vec<u32>,
    #[cfg(target_os = "linux")]
    pub(crate) event_loop: Option<EventLoop>,
}

impl Engine {
    pub(crate) fn new(events: Events, outgoing: Outgoing, amounts: Memory) -> Self {
        let (connections, free, released, dirty) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            events,
            outgoing,
            amounts,
            connections,
            free,
            released,
            dirty,
            #[cfg(target_os = "linux")]
            event_loop: None,
        }
    }

    /// Larger memory for the amounts; JavaScript has copied what was in the old one.
    pub(crate) fn set_amounts(&mut self, amounts: Memory) {
        self.amounts = amounts;
    }

    /// Adds a connection, which is made with its number.
    pub(crate) fn attach(&mut self, make: impl FnOnce(u32) -> Connection) -> Result<u32, Failure> {
        if self.events.header(events::WALKING) == 0 {
            self.free.append(&mut self.released);
        }
        let next =
            u32::try_from(self.connections.len()).map_err(|_| Failure::from("too many connections"))?;
        let id = self.free.pop().unwrap_or(next);
        let connection = Some(Box::new(make(id)));
        match self.connections.get_mut(id as usize) {
            Some(slot) => *slot = connection,
            None => self.connections.push(connection),
        }
        self.set_amount(id, 0);
        Ok(id)
    }

    /// Forgets a connection. Its number is not given out again while records of it may be left.
    pub(crate) fn release(&mut self, id: u32) {
        #[cfg(target_os = "linux")]
        self.deregister(id);
        if self.connections.get_mut(id as usize).and_then(Option::take).is_some() {
            self.released.push(id);
        }
    }

    pub(crate) fn connection(&mut self, id: u32) -> Result<&mut Connection, Failure> {
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        slot.ok_or_else(|| Failure::from("the connection is gone"))
    }

    /// Decodes bytes of a stream, of which the first `start` were decoded before. Says how far it came: to the end, or
    /// to where there was no more room for events.
    pub(crate) fn feed(&mut self, id: u32, read: &mut [u8], start: usize) -> Result<usize, Failure> {
        let now = now();
        self.events.begin();
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        let connection = slot.ok_or("the connection is gone")?;
        connection.heard(now);
        let rest = read.get_mut(start..).ok_or("the bytes end before their start")?;
        let progress = connection.decode(rest, start, now, &mut self.events);
        self.touch(id);
        self.events.finish();
        Ok(start + progress.taken)
    }

    /// Puts the notices that wait into the records. Says how many records there are.
    pub(crate) fn collect(&mut self) -> usize {
        self.events.begin();
        self.events.finish()
    }

    /// Something may have been queued: sees to it that it is written with the next flush.
    pub(crate) fn touch(&mut self, id: u32) {
        let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
        if let Some(connection) = slot
            && !connection.encoder.outbox().is_empty()
            && !std::mem::replace(&mut connection.is_dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// Frames the messages that JavaScript has written.
    pub(crate) fn encode(&mut self) {
        let count = self.events.header(events::OUT_COUNT);
        self.events.set_header(events::OUT_COUNT, 0);
        self.events.set_header(events::OUT_BYTES, 0);
        for index in 0..count {
            let Some(OutgoingMessage { connection: id, manner, payload }) = self.outgoing.message(index)
            else {
                continue;
            };
            let slot = self.connections.get_mut(id as usize).and_then(Option::as_deref_mut);
            let Some(connection) = slot else { continue };
            connection.send(manner, payload);
            if !std::mem::replace(&mut connection.is_dirty, true) {
                self.dirty.push(id);
            }
        }
    }

    /// Frames one message that is too long for the shared memory, behind those that wait there.
    pub(crate) fn send(&mut self, id: u32, flags: i32, payload: &[u8]) -> Result<(), Failure> {
        self.change(id, |connection| connection.send(Manner::of(flags), payload))
    }

    /// Lets a change be made to a connection, behind the messages that wait.
    pub(crate) fn change(&mut self, id: u32, change: impl FnOnce(&mut Connection)) -> Result<(), Failure> {
        self.encode();
        let connection = self.connection(id)?;
        change(connection);
        if !std::mem::replace(&mut connection.is_dirty, true) {
            self.dirty.push(id);
        }
        Ok(())
    }

    /// Writes what waits. Says whether there is something to tell.
    pub(crate) fn flush(&mut self) -> bool {
        self.encode();
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            if let Ok(connection) = self.connection(id) {
                connection.is_dirty = false;
                self.write(id);
            }
        }
        self.dirty = dirty;
        self.events.has_notices()
    }

    /// Writes what waits in a connection, or tells that the stream is to take it.
    fn write(&mut self, id: u32) {
        #[cfg(target_os = "linux")]
        if self.write_socket(id) {
            return;
        }
        let Ok(connection) = self.connection(id) else { return };
        let kind = if connection.encoder.outbox().is_empty() {
            if !connection.finishes_now() {
                return;
            }
            Kind::Finished
        } else if std::mem::replace(&mut connection.is_offered, true) {
            return;
        } else {
            Kind::Output
        };
        self.events.notice(Notice { connection: id, kind, offset: 0, len: 0 });
    }

    /// How many bytes wait for a stream.
    pub(crate) fn waiting(&mut self, id: u32) -> Result<usize, Failure> {
        Ok(self.connection(id)?.encoder.outbox().len())
    }

    /// Fills `out` with the first bytes that wait, for a stream to write. Says how many payload bytes are thereby gone from
    /// what waits; the header says how many messages asked to be told of it.
    pub(crate) fn take(&mut self, id: u32, out: &mut [u8]) -> Result<usize, Failure> {
        let connection = self.connection(id)?;
        connection
            .encoder
            .outbox_mut()
            .try_copy_to_slice(out)
            .map_err(|_| "less waits than was asked for")?;
        let queued = connection.queued_bytes;
        let gone = queued - connection.settle_queued_bytes();
        let mut awaited = 0;
        if connection.encoder.outbox().is_empty() && !connection.encoder.written() {
            connection.is_offered = false;
            awaited = std::mem::take(&mut connection.awaited);
            if connection.finishes_now() {
                self.events.notice(Notice { connection: id, kind: Kind::Finished, offset: 0, len: 0 });
            }
        }
        self.events.set_header(events::AWAITED, awaited);
        Ok(gone)
    }

    /// The peer of a stream takes what is sent to it.
    pub(crate) fn progressed(&mut self, id: u32) -> Result<(), Failure> {
        self.connection(id)?.lives(now());
        Ok(())
    }

    /// Acts on the time, for every connection.
    pub(crate) fn handle_timeouts(&mut self) {
        let now = now();
        for id in 0..self.connections.len() {
            let Some(connection) = self.connections[id].as_deref_mut() else { continue };
            let liveness = connection.handle_timeout(now, &mut self.events);
            let id = connection.id;
            if liveness == Liveness::Dead {
                let offset = events::SILENT;
                self.events.notice(Notice { connection: id, kind: Kind::Ended, offset, len: 0 });
            }
            self.touch(id);
        }
    }

    pub(crate) fn take_owned(&mut self, index: usize) -> Result<Bytes, Failure> {
        self.events.take_owned(index).ok_or_else(|| Failure::from("the payload is gone"))
    }

    /// So many payload bytes more wait in a connection.
    pub(crate) fn add_amount(&mut self, id: u32, bytes: usize) {
        if let Some(place) = self.amounts.doubles().get_mut(id as usize) {
            *place += f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn set_amount(&mut self, id: u32, amount: usize) {
        if let Some(place) = self.amounts.doubles().get_mut(id as usize) {
            *place = f64::from(u32::try_from(amount).unwrap_or(u32::MAX));
        }
    }
}

/// The time of an arrival.
pub(crate) fn now() -> Instant {
    Instant::now()
}
