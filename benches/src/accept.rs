//! Accepting: a number of connections at a time are opened, upgraded, closed with a Close frame,
//! and waited for until the server has ended them; then the next ones are.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::Result;
use crate::client::{Target, check_response};
use crate::meter::Meter;
use crate::poller::Poller;
use crate::wire::close_frame;

/// First byte of a Close frame.
const CLOSE: u8 = 0x88;

/// One place for connections, one after the other.
struct Slot {
    stream: TcpStream,
    received: Vec<u8>,
    upgraded: bool,
}

impl Slot {
    fn open(target: &Target, request: &[u8], poller: &Poller, token: usize) -> Result<Self> {
        // On loopback the kernel completes this without the server.
        let mut stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, token)?;
        stream.write_all(request)?;
        Ok(Self { stream, received: Vec::with_capacity(512), upgraded: false })
    }

    /// Takes what there is; whether the connection has ended as it should.
    fn advance(&mut self, close: &[u8]) -> Result<bool> {
        let mut chunk = [0; 512];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) if self.upgraded && self.received.first() == Some(&CLOSE) => return Ok(true),
                Ok(0) => return Err("ended without a Close frame".into()),
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            if !self.upgraded && check_response(&self.received)? {
                self.upgraded = true;
                self.received.clear();
                self.stream.write_all(close)?;
            }
        }
    }
}

/// Runs until the meter has seen enough; the server's CPU microseconds per connection.
pub(crate) fn run(target: &Target, at_a_time: usize, start: impl FnOnce() -> Meter) -> Result<f64> {
    let (request, close) = (target.request(), close_frame());
    let mut poller = Poller::new()?;
    let mut slots = Vec::with_capacity(at_a_time);
    for token in 0..at_a_time {
        slots.push(Slot::open(target, &request, &poller, token)?);
    }
    let mut ended = Vec::new();
    let mut meter = start();
    loop {
        for token in poller.wait()? {
            if slots[token].advance(&close)? {
                ended.push(token);
            }
        }
        let done = ended.len();
        for token in ended.drain(..) {
            slots[token] = Slot::open(target, &request, &poller, token)?;
        }
        if let Some(cost) = meter.count(done)? {
            return Ok(cost);
        }
    }
}
