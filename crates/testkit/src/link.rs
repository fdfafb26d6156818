//! A connection in memory that behaves badly on purpose: it reads and writes little at a time, is pending without
//! reason, wakes late, stalls, ends or fails at a given byte, and has a latency.
//!
//! Everything it does follows from its [`Script`], and all time is tokio's, so that a test on paused time is the
//! same each time it runs.

use crate::Script;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How both ends of a link behave.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Bytes that are on their way in each direction at most; a write of more waits. 64 KiB.
    pub capacity: usize,
    /// Bytes that one read or write moves at most.
    pub max_transfer: usize,
    /// How many of 256 polls are pending without reason: half of them wake at once, half of them late.
    pub hesitation: u8,
    /// The longest that a late wake-up takes.
    pub hesitation_time: Duration,
    /// How long bytes are on their way.
    pub latency: Duration,
    /// What happens to the bytes from the client to the server, and behind which of them.
    pub client_to_server: Option<(u64, Ending)>,
    /// What happens to the bytes from the server to the client, and behind which of them.
    pub server_to_client: Option<(u64, Ending)>,
}

impl Default for LinkConfig {
    /// A link that behaves.
    fn default() -> Self {
        Self {
            capacity: 64 << 10,
            max_transfer: usize::MAX,
            hesitation: 0,
            hesitation_time: Duration::ZERO,
            latency: Duration::ZERO,
            client_to_server: None,
            server_to_client: None,
        }
    }
}

impl LinkConfig {
    /// A link that moves up to `max_transfer` bytes at a time and is pending at every other poll.
    pub fn hesitant(max_transfer: usize) -> Self {
        Self {
            capacity: 4 * max_transfer,
            max_transfer,
            hesitation: 128,
            hesitation_time: Duration::from_millis(3),
            ..Self::default()
        }
    }
}

/// How one direction of a link ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The reader sees the end of the stream, as behind a FIN.
    Eof,
    /// Reader and writer get this error, as behind a RST.
    Error(io::ErrorKind),
    /// Nothing moves any more, and nobody is told.
    Stall,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    inbound: Arc<Mutex<Pipe>>,
    outbound: Arc<Mutex<Pipe>>,
    reading: Side,
    writing: Side,
}

/// Two ends of a connection that behave as `script` and `config` say: the client's and the server's.
pub fn link(mut script: Script, config: &LinkConfig) -> (Link, Link) {
    let pipe = |ending| {
        let pipe =
            Pipe { capacity: config.capacity.max(1), latency: config.latency, ending, ..Pipe::default() };
        Arc::new(Mutex::new(pipe))
    };
    let (to_server, to_client) = (pipe(config.client_to_server), pipe(config.server_to_client));
    let mut side = || Side::new(script.fork(), config);
    let client =
        Link { inbound: to_client.clone(), outbound: to_server.clone(), reading: side(), writing: side() };
    let server = Link { inbound: to_server, outbound: to_client, reading: side(), writing: side() };
    (client, server)
}

/// One direction of a link.
#[derive(Debug, Default)]
struct Pipe {
    /// What is on its way, each piece with the time at which it arrives.
    pieces: VecDeque<(Instant, VecDeque<u8>)>,
    len: usize,
    capacity: usize,
    latency: Duration,
    ending: Option<(u64, Ending)>,
    read: u64,
    is_shut_down: bool,
    reader_is_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }

    /// How this direction has ended, if the reader is at that byte.
    fn ended(&self) -> Option<Ending> {
        self.ending.filter(|(at, _)| self.read >= *at).map(|(_, ending)| ending)
    }

    /// Bytes until the end that was asked for.
    fn until_ending(&self) -> usize {
        let left = self.ending.map_or(u64::MAX, |(at, _)| at.saturating_sub(self.read));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Ready with the number of bytes that can be read now: 0 at the end of the stream.
    fn poll_readable(&mut self, cx: &Context<'_>) -> Result<Poll<io::Result<usize>>, Instant> {
        match self.ended() {
            Some(Ending::Eof) => return Ok(Poll::Ready(Ok(0))),
            Some(Ending::Error(kind)) => return Ok(Poll::Ready(Err(kind.into()))),
            Some(Ending::Stall) => return Ok(Poll::Pending),
            None => {}
        }
        match self.pieces.front() {
            Some((at, piece)) if *at <= Instant::now() => Ok(Poll::Ready(Ok(piece.len()))),
            Some((at, _)) => Err(*at),
            None if self.is_shut_down => Ok(Poll::Ready(Ok(0))),
            None => {
                self.reader = Some(cx.waker().clone());
                Ok(Poll::Pending)
            }
        }
    }

    fn read_into(&mut self, buffer: &mut ReadBuf<'_>, max: usize) {
        let max = max.min(self.until_ending()).min(buffer.remaining());
        let Some((_, piece)) = self.pieces.front_mut() else { return };
        let taken = piece.len().min(max);
        let (front, back) = piece.as_slices();
        let of_front = front.len().min(taken);
        buffer.put_slice(&front[..of_front]);
        buffer.put_slice(&back[..taken - of_front]);
        piece.drain(..taken);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.read += taken as u64;
        self.len -= taken;
        Self::wake(&mut self.writer);
    }

    /// Ready with the number of bytes that can be written now.
    fn poll_writable(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(Ending::Error(kind)) = self.ended() {
            return Poll::Ready(Err(kind.into()));
        }
        if self.reader_is_gone || self.is_shut_down {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.len >= self.capacity {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.capacity - self.len))
    }

    fn write(&mut self, bytes: &[u8]) {
        let at = Instant::now() + self.latency;
        match self.pieces.back_mut() {
            Some((latest, piece)) if *latest == at => piece.extend(bytes),
            _ => self.pieces.push_back((at, bytes.iter().copied().collect())),
        }
        self.len += bytes.len();
        Self::wake(&mut self.reader);
    }

    fn shut_down(&mut self) {
        self.is_shut_down = true;
        Self::wake(&mut self.reader);
    }
}

/// Reading or writing at one end: its mood, and the time it waits for.
#[derive(Debug)]
struct Side {
    script: Script,
    max_transfer: usize,
    hesitation: u8,
    hesitation_time: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Side {
    fn new(script: Script, config: &LinkConfig) -> Self {
        Self {
            script,
            max_transfer: config.max_transfer.max(1),
            hesitation: config.hesitation,
            hesitation_time: config.hesitation_time,
            waiting: None,
        }
    }

    /// Ready unless this poll is to be pending without reason.
    fn poll_willing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_some() {
            ready!(self.poll_waiting(cx));
            return Poll::Ready(());
        }
        let mood = self.script.byte();
        if mood >= self.hesitation {
            return Poll::Ready(());
        }
        let part = u32::from(self.script.byte());
        let wait = self.hesitation_time * part / 256;
        if mood.is_multiple_of(2) || wait.is_zero() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.wait_until(Instant::now() + wait);
        self.poll_waiting(cx)
    }

    fn wait_until(&mut self, time: Instant) {
        self.waiting = Some(Box::pin(sleep_until(time)));
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Poll::Ready(())
    }

    /// How much this transfer moves, of `possible` bytes.
    fn transfer(&mut self, possible: usize) -> usize {
        let most = possible.min(self.max_transfer);
        if self.max_transfer == usize::MAX { most } else { 1 + self.script.up_to(most.saturating_sub(1)) }
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.reading.poll_willing(cx));
        loop {
            let readable = lock(&this.inbound).poll_readable(cx);
            match readable {
                Ok(readable) => {
                    let possible = ready!(readable)?;
                    if possible > 0 {
                        let max = this.reading.transfer(possible);
                        lock(&this.inbound).read_into(buffer, max);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(arrival) => {
                    this.reading.wait_until(arrival);
                    ready!(this.reading.poll_waiting(cx));
                }
            }
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.writing.poll_willing(cx));
        let mut pipe = lock(&this.outbound);
        let room = ready!(pipe.poll_writable(cx))?;
        let written = this.writing.transfer(room.min(bytes.len())).min(bytes.len());
        pipe.write(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writing.poll_willing(cx).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.writing.poll_willing(cx));
        lock(&this.outbound).shut_down();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.outbound).shut_down();
        let mut inbound = lock(&self.inbound);
        inbound.reader_is_gone = true;
        Pipe::wake(&mut inbound.writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::each_seed;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime without I/O").block_on(test);
    }

    #[test]
    fn bytes_arrive_in_order_however_the_link_behaves() {
        each_seed(50, |seed| {
            run(async {
                let config =
                    LinkConfig { latency: Duration::from_millis(seed % 3), ..LinkConfig::hesitant(7) };
                let (mut client, mut server) = link(Script::seed(seed), &config);
                let sent: Vec<u8> = (0..=255).cycle().take(1_000).collect();
                let expected = sent.clone();
                let write = async move {
                    client.write_all(&sent).await.expect("the server reads");
                    client.shutdown().await.expect("the server reads");
                    client
                };
                let mut received = Vec::new();
                let (_client, read) = tokio::join!(write, server.read_to_end(&mut received));
                assert_eq!(read.expect("the client writes"), 1_000);
                assert_eq!(received, expected);
            });
        });
    }

    #[test]
    fn a_direction_ends_behind_the_byte_that_was_asked_for() {
        run(async {
            for ending in [Ending::Eof, Ending::Error(io::ErrorKind::ConnectionReset), Ending::Stall] {
                let config = LinkConfig { client_to_server: Some((5, ending)), ..LinkConfig::default() };
                let (mut client, mut server) = link(Script::seed(1), &config);
                client.write_all(b"0123456789").await.expect("there is room");
                let mut received = Vec::new();
                let read =
                    tokio::time::timeout(Duration::from_secs(1), server.read_to_end(&mut received)).await;
                assert_eq!(received, b"01234");
                match ending {
                    Ending::Eof => assert!(matches!(read, Ok(Ok(5)))),
                    Ending::Error(kind) => assert!(matches!(read, Ok(Err(error)) if error.kind() == kind)),
                    Ending::Stall => assert!(read.is_err()),
                }
            }
        });
    }

    #[test]
    fn bytes_are_on_their_way_for_the_latency() {
        run(async {
            let config = LinkConfig { latency: Duration::from_secs(2), ..LinkConfig::default() };
            let (mut client, mut server) = link(Script::seed(1), &config);
            let start = Instant::now();
            client.write_all(b"x").await.expect("there is room");
            server.read_u8().await.expect("it arrives");
            assert_eq!(start.elapsed(), Duration::from_secs(2));
        });
    }
}
