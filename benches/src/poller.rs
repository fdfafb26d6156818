//! Waits for many sockets at once: epoll, edge-triggered, without allocation per wait.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::Result;

/// A set of sockets that are watched for reading and writing.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(1024) })
    }

    /// Watches a socket until it is closed. The token comes back with each event.
    pub(crate) fn add(&self, stream: &TcpStream, token: usize) -> Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, stream, epoll::EventData::new_u64(token as u64), flags)?)
    }

    /// Waits for events, for a second at most, and returns their tokens.
    pub(crate) fn wait(&mut self) -> Result<impl Iterator<Item = usize>> {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&second))?;
        let token = |event: &epoll::Event| usize::try_from(event.data.u64()).expect("a token of ours");
        Ok(self.events.iter().map(token))
    }
}
