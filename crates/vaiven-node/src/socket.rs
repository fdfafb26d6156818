//! A socket that the engine reads and writes by itself (Linux).

use bytes::{Buf, BufMut};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, getpeername, getsockname, recv, send, sendmsg,
    shutdown,
};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::ffi::descriptor;

/// Pieces that one call of the system writes.
const MAX_SLICES: usize = 32;

/// A connected socket, registered with the engine's epoll descriptor.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// What events call it.
    key: u64,
    /// What epoll is asked for; `None` while it does not know the socket.
    interest: Option<EventFlags>,
    is_reading: bool,
    is_writing: bool,
    /// Bytes that the system took.
    sent: i64,
    /// How many of them the peer's system had when it was last asked for; `None` while nothing is on its way.
    acknowledged: Option<i64>,
    /// Something was sent since that was asked for.
    has_sent: bool,
    /// The system's error of a write: the peer is gone, but what it said before may still be read.
    pub(crate) lost: Option<Errno>,
}

impl Socket {
    /// Registers the socket; events call it `key`.
    pub(crate) fn register(epoll: BorrowedFd<'_>, fd: OwnedFd, key: u64) -> Result<Self, Errno> {
        let mut socket = Self {
            fd,
            key,
            interest: None,
            is_reading: true,
            is_writing: false,
            sent: 0,
            acknowledged: None,
            has_sent: false,
            lost: None,
        };
        socket.update(epoll)?;
        Ok(socket)
    }

    /// Reads or does not.
    pub(crate) fn set_reading(&mut self, epoll: BorrowedFd<'_>, is_reading: bool) -> Result<(), Errno> {
        self.is_reading = is_reading;
        self.update(epoll)
    }

    /// Waits until the system takes more, or does not.
    fn set_writing(&mut self, epoll: BorrowedFd<'_>, is_writing: bool) -> Result<(), Errno> {
        self.is_writing = is_writing;
        self.update(epoll)
    }

    /// Another descriptor of the same socket.
    pub(crate) fn duplicate(&self) -> Result<OwnedFd, Errno> {
        rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)
    }

    /// The peer's address and our own; `None` for a socket without them.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let remote = getpeername(&self.fd).ok()??.try_into().ok()?;
        let local = getsockname(&self.fd).ok()?.try_into().ok()?;
        Some((remote, local))
    }

    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.is_reading
    }

    fn update(&mut self, epoll: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, self.is_reading);
        wanted.set(EventFlags::OUT, self.is_writing);
        match self.interest {
            Some(interest) if interest == wanted => return Ok(()),
            // Without any interest epoll would still report, over and over, that the peer hung up.
            Some(_) if wanted.is_empty() => return self.deregister(epoll),
            Some(_) => epoll::modify(epoll, &self.fd, EventData::new_u64(self.key), wanted)?,
            None if wanted.is_empty() => return Ok(()),
            None => epoll::add(epoll, &self.fd, EventData::new_u64(self.key), wanted)?,
        }
        self.interest = Some(wanted);
        Ok(())
    }

    /// Must come before the descriptor is closed: Node may hold another one of the same socket, and epoll watches
    /// sockets, not descriptors.
    pub(crate) fn deregister(&mut self, epoll: BorrowedFd<'_>) -> Result<(), Errno> {
        if self.interest.take().is_some() {
            epoll::delete(epoll, &self.fd)?;
        }
        Ok(())
    }

    /// Reads what there is, at most as much as has room.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Read {
        let read = recv(&self.fd, room, RecvFlags::DONTWAIT).map(|(_, read)| read);
        self.judge(read)
    }

    /// Reads into the spare room of a buffer.
    pub(crate) fn read_into(&mut self, buffer: &mut impl BufMut) -> Read {
        let read = descriptor::receive(&self.fd, buffer);
        self.judge(read)
    }

    fn judge(&self, read: Result<usize, Errno>) -> Read {
        match read {
            Ok(0) => Read::Ended(self.lost),
            Ok(read) => Read::Bytes(read),
            Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
            Err(error) => Read::Ended(Some(error)),
        }
    }

    /// Writes as much as the system takes, and waits for the rest. Says whether all of it is written.
    pub(crate) fn write(&mut self, epoll: BorrowedFd<'_>, outbox: &mut impl Buf) -> Result<bool, Errno> {
        while outbox.has_remaining() {
            match self.write_once(outbox) {
                Ok(written) => {
                    outbox.advance(written);
                    self.sent = self.sent.saturating_add_unsigned(written as u64);
                    self.has_sent = true;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.set_writing(epoll, true)?;
                    return Ok(false);
                }
                Err(error) => {
                    self.set_writing(epoll, false)?;
                    return Err(error);
                }
            }
        }
        self.set_writing(epoll, false)?;
        Ok(true)
    }

    fn write_once(&self, outbox: &impl Buf) -> Result<usize, Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let first = outbox.chunk();
        if first.len() == outbox.remaining() {
            return send(&self.fd, first, flags);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = outbox.chunks_vectored(&mut slices);
        sendmsg(&self.fd, &slices[..filled], &mut SendAncillaryBuffer::default(), flags)
    }

    /// Whether the peer took some of what is on its way since this was last asked. Once nothing is on its way, no: who
    /// has everything can answer.
    pub(crate) fn has_progressed(&mut self) -> bool {
        if !self.has_sent && self.acknowledged.is_none() {
            return false;
        }
        self.has_sent = false;
        let waiting = i64::from(descriptor::unacknowledged(self.fd.as_fd()));
        // For a socket in the file system the number includes the system's own expense, and may exceed what was sent.
        let acknowledged = (waiting > 0).then_some(self.sent - waiting);
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        before.zip(acknowledged).is_some_and(|(before, now)| now > before)
    }

    /// Nothing more will be written.
    pub(crate) fn end(&self) {
        // It fails where the connection is gone, which the next read shows.
        let _ = shutdown(&self.fd, Shutdown::Write);
    }
}

/// What a read brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    Bytes(usize),
    /// There is nothing now.
    Nothing,
    /// Nothing will come any more, with the system's error if that is why.
    Ended(Option<Errno>),
}
