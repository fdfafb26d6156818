//! A raw connection of the runner's: writes what it is told, and reads in a thread of its own, so that no outcome
//! waits for the runner.

use crate::script::Pace;
use crate::wire::Frame;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    inbox: Arc<(Mutex<Inbox>, Condvar)>,
    reading: bool,
    held: Option<Vec<u8>>,
    was_reset: bool,
}

/// What was read.
#[derive(Debug, Default)]
struct Inbox {
    received: Vec<u8>,
    end: Option<End>,
    paused: bool,
}

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Rst,
}

impl Peer {
    /// Connects from an address of one's own, as limits per address are not what most rows are about.
    pub(crate) fn connect(from: SocketAddr, to: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SockAddr::from(from))?;
        socket.connect_timeout(&SockAddr::from(to), Duration::from_secs(10))?;
        Self::of(socket.into())
    }

    /// A connection that was accepted.
    pub(crate) fn of(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: Arc::default(), reading: false, held: None, was_reset: false })
    }

    /// The stream itself, for TLS.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads no more, but for one piece at most.
    pub(crate) fn pause(&self) {
        self.set_paused(true);
    }

    fn set_paused(&self, paused: bool) {
        self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner).paused = paused;
        self.inbox.1.notify_all();
    }

    /// Starts to read, or goes on.
    pub(crate) fn read(&mut self) {
        self.set_paused(false);
        if std::mem::replace(&mut self.reading, true) {
            return;
        }
        let mut stream = self.stream.try_clone().expect("a socket can be cloned");
        let inbox = Arc::clone(&self.inbox);
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            let (lock, told) = &*inbox;
            loop {
                let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
                drop(told.wait_while(guard, |inbox| inbox.paused));
                let read = stream.read(&mut chunk);
                let mut inbox = lock.lock().unwrap_or_else(PoisonError::into_inner);
                match read {
                    Ok(0) => inbox.end = Some(End::Fin),
                    Ok(len) => inbox.received.extend_from_slice(&chunk[..len]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => inbox.end = Some(End::Rst),
                }
                told.notify_all();
                if inbox.end.is_some() {
                    break;
                }
            }
        });
    }

    /// Writes. That the other side takes no more shows in what is read, or is not.
    pub(crate) fn send(&mut self, bytes: &[u8], pace: Pace) {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
            return;
        }
        match pace {
            // A peer that stops reading must not make the runner wait for ever.
            Pace::AtOnce => {
                let _ = self.stream.set_write_timeout(Some(Duration::from_secs(20)));
                let _ = self.stream.write_all(bytes);
            }
            Pace::Bytewise(pause) => {
                for byte in bytes {
                    if self.stream.write_all(&[*byte]).is_err() || self.end().is_some() {
                        break;
                    }
                    if !pause.is_zero() {
                        std::thread::sleep(pause);
                    }
                }
            }
        }
    }

    /// Keeps what is sent until it is released.
    pub(crate) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Sends what was held.
    pub(crate) fn release(&mut self) {
        let held = self.held.take().unwrap_or_default();
        self.send(&held, Pace::AtOnce);
    }

    /// Ends the outgoing direction.
    pub(crate) fn fin(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection.
    pub(crate) fn reset(mut self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("it lingers");
        // This ends the thread that reads, and sends nothing. With the last descriptor closed, the reset goes out.
        let _ = self.stream.shutdown(Shutdown::Read);
        self.was_reset = true;
    }

    /// How the other side ended it, if it did.
    pub(crate) fn end(&self) -> Option<End> {
        self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner).end
    }

    /// Waits until `found` finds what it looks for in what was read, until the end, or for `time`.
    pub(crate) fn wait<T>(
        &self,
        time: Duration,
        mut found: impl FnMut(&mut Vec<u8>, Option<End>) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + time;
        let (lock, told) = &*self.inbox;
        let mut inbox = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Inbox { received, end, .. } = &mut *inbox;
            if let Some(found) = found(received, *end) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || inbox.end.is_some() {
                return None;
            }
            inbox = told.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next frame.
    pub(crate) fn frame(&self, time: Duration) -> Option<Frame> {
        self.wait(time, |received, _| Frame::take(received))
    }

    /// The next head of a request or an answer.
    pub(crate) fn head(&self, time: Duration) -> Option<String> {
        self.wait(time, |received, _| {
            let len = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            Some(String::from_utf8_lossy(&received.drain(..len).collect::<Vec<_>>()).into_owned())
        })
    }

    /// Waits for the end.
    pub(crate) fn ended(&self, time: Duration) -> Option<End> {
        self.wait(time, |_, end| end)
    }

    /// What is there and was not looked at, for a report.
    pub(crate) fn rest(&self) -> String {
        let mut inbox = self.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = inbox.end;
        let mut frames = Vec::new();
        while let Some(frame) = Frame::take(&mut inbox.received) {
            frames.push(frame);
        }
        let shown = &inbox.received[..inbox.received.len().min(200)];
        format!("{frames:?} \"{}\" end: {end:?}", shown.escape_ascii())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.set_paused(false);
        if !self.was_reset {
            // The thread that reads sees the end, and ends.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}
