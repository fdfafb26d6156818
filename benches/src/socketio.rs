//! Socket.IO over a WebSocket, as little of it as a load needs: Engine.IO v4 and Socket.IO v5 in the main namespace.
//!
//! Each run is one kind of work: a room in which one publishes, acknowledgements, opening, idle connections.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::Result;
use crate::client::{Stock, Target, receive, response_length};
use crate::idle::settled_bytes;
use crate::meter::Meter;
use crate::poller::Poller;
use crate::wire::{close_frame, text_frame};

/// First bytes of frames of the server: a whole text, and a Close frame.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
/// Packets of Engine.IO.
const OPEN: &[u8] = b"0";
const PING: &[u8] = b"2";
const PONG: &str = "3";
/// The packet of Socket.IO by which one joins the main namespace; the server answers with more behind it.
const CONNECT: &str = "40";
/// An event that asks for an acknowledgement, and what comes for it.
const JOIN: &str = r#"420["join","sala"]"#;
const JOINED: &[u8] = br#"430["ok"]"#;

/// Reads whole text frames of a server, at any split.
#[derive(Debug, Default)]
struct Frames {
    /// The beginning of a frame that is not complete yet.
    partial: Vec<u8>,
}

impl Frames {
    /// Shows the payload of each frame that is complete now.
    fn read(&mut self, bytes: &[u8], mut show: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while let Some(payload) = payload(rest)? {
            show(&rest[payload.clone()])?;
            rest = &rest[payload.end..];
        }
        self.partial = rest.to_vec();
        Ok(())
    }
}

/// Where the payload of the first frame is, once it is complete.
fn payload(bytes: &[u8]) -> Result<Option<std::ops::Range<usize>>> {
    let (start, length) = match *bytes {
        [] | [TEXT] | [TEXT, 126] | [TEXT, 126, _] => return Ok(None),
        [TEXT, length @ ..126, ..] => (2, usize::from(length)),
        [TEXT, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [first, ..] => return Err(format!("an unlikely frame, which starts {first:#04x}").into()),
    };
    Ok((bytes.len() >= start + length).then_some(start..start + length))
}

/// A client in the main namespace, and in the room.
#[derive(Debug)]
struct Member {
    stream: TcpStream,
    frames: Frames,
}

impl Member {
    /// Opens and joins, in blocking mode.
    fn join(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(crate::client::PATIENCE))?;
        (&stream).write_all(&target.request())?;
        let mut response = Vec::with_capacity(512);
        let length = loop {
            if let Some(length) = response_length(&response)? {
                break length;
            }
            read_more(&stream, &mut response)?;
        };
        let mut member = Self { stream, frames: Frames::default() };
        let first = response.split_off(length);
        member.wait_for(OPEN, &first)?;
        member.say(CONNECT)?;
        member.wait_for(CONNECT.as_bytes(), &[])?;
        member.say(JOIN)?;
        member.wait_for(JOINED, &[])?;
        Ok(member)
    }

    fn say(&mut self, packet: &str) -> Result<()> {
        Ok(self.stream.write_all(&text_frame(packet))?)
    }

    /// Waits for a packet that begins so; what has arrived already comes first.
    fn wait_for(&mut self, start: &[u8], arrived: &[u8]) -> Result<()> {
        let mut bytes = arrived.to_vec();
        loop {
            let mut is_there = false;
            self.frames.read(&bytes, |packet| {
                is_there |= packet.starts_with(start);
                Ok(())
            })?;
            if is_there {
                return Ok(());
            }
            bytes.clear();
            read_more(&self.stream, &mut bytes)?;
        }
    }

    /// Takes what there is, answers pings, and counts packets, all of which have to be the one expected.
    fn receive(&mut self, buffer: &mut [u8], expected: &[u8]) -> Result<usize> {
        let (mut count, mut pings) = (0, 0);
        let Self { stream, frames } = self;
        receive(stream, buffer, |bytes| {
            frames.read(bytes, |packet| {
                match packet {
                    packet if packet == expected => count += 1,
                    PING => pings += 1,
                    packet => return Err(format!("not expected: {}", String::from_utf8_lossy(packet)).into()),
                }
                Ok(())
            })
        })?;
        for _ in 0..pings {
            self.say(PONG)?;
        }
        Ok(count)
    }
}

fn read_more(mut stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    let mut chunk = [0; 1024];
    match stream.read(&mut chunk)? {
        0 => Err("closed while opening".into()),
        n => {
            bytes.extend_from_slice(&chunk[..n]);
            Ok(())
        }
    }
}

/// Members that are watched without blocking.
fn members(target: &Target, count: usize, poller: &Poller) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(count);
    for token in 0..count {
        let member = Member::join(target)?;
        member.stream.set_nonblocking(true)?;
        poller.add(&member.stream, token)?;
        members.push(member);
    }
    Ok(members)
}

/// One member publishes, all receive: the server's CPU microseconds per delivery.
pub(crate) fn room(
    target: &Target,
    payload: &[u8],
    count: usize,
    in_flight: usize,
    start: impl FnOnce() -> Meter,
) -> Result<f64> {
    let text = std::str::from_utf8(payload)?;
    let stock = Stock::new(&text_frame(&format!(r#"42["pub","sala","{text}"]"#)), in_flight);
    let expected = format!(r#"42["msg","{text}"]"#).into_bytes();
    let mut poller = Poller::new()?;
    let mut room = members(target, count, &poller)?;
    let mut owed = in_flight * stock.frame_len();
    stock.send(&room[0].stream, &mut owed)?;
    // Members that have received the broadcast in each place of the window, and how many each has received.
    let (mut reached, mut received) = (vec![0; in_flight], vec![0; count]);
    let mut buffer = vec![0; 64 << 10];
    let mut meter = start();
    loop {
        let mut deliveries = 0;
        for token in poller.wait()? {
            for _ in 0..room[token].receive(&mut buffer, &expected)? {
                deliveries += 1;
                reached[received[token] % in_flight] += 1;
                received[token] += 1;
            }
        }
        for reached in reached.iter_mut().filter(|reached| **reached == count) {
            *reached = 0;
            owed += stock.frame_len();
        }
        stock.send(&room[0].stream, &mut owed)?;
        if let Some(cost) = meter.count(deliveries)? {
            return Ok(cost);
        }
    }
}

/// A number of events that ask for an acknowledgement in flight on each connection: the server's CPU microseconds for
/// each.
pub(crate) fn acks(
    target: &Target,
    connections: usize,
    in_flight: usize,
    start: impl FnOnce() -> Meter,
) -> Result<f64> {
    let stock = Stock::new(&text_frame(JOIN), in_flight);
    let mut poller = Poller::new()?;
    let mut all = members(target, connections, &poller)?;
    let mut owed = vec![in_flight * stock.frame_len(); connections];
    for (member, owed) in all.iter().zip(&mut owed) {
        stock.send(&member.stream, owed)?;
    }
    let mut buffer = vec![0; 64 << 10];
    let mut meter = start();
    loop {
        let mut done = 0;
        for token in poller.wait()? {
            let finished = all[token].receive(&mut buffer, JOINED)?;
            done += finished;
            owed[token] += finished * stock.frame_len();
            stock.send(&all[token].stream, &mut owed[token])?;
        }
        if let Some(cost) = meter.count(done)? {
            return Ok(cost);
        }
    }
}

/// KiB of the server's private memory per connection, beyond what the first one took.
pub(crate) fn idle(target: &Target, connections: usize, pid: u32) -> Result<f64> {
    let mut open = vec![Member::join(target)?];
    let before = settled_bytes(pid)?;
    for _ in 0..connections {
        open.push(Member::join(target)?);
    }
    let after = settled_bytes(pid)?;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / connections as f64)
}

/// How far a connection has come that is being opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Upgrading,
    Opening,
    Joining,
    Closing,
}

/// One place for connections, one after the other.
struct Slot {
    stream: TcpStream,
    received: Vec<u8>,
    stage: Stage,
}

impl Slot {
    fn open(target: &Target, request: &[u8], poller: &Poller, token: usize) -> Result<Self> {
        let mut stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, token)?;
        stream.write_all(request)?;
        Ok(Self { stream, received: Vec::with_capacity(512), stage: Stage::Upgrading })
    }

    /// Takes what there is; whether the connection has ended as it should.
    fn advance(&mut self, connect: &[u8], close: &[u8]) -> Result<bool> {
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) if self.stage == Stage::Closing && self.received.first() == Some(&CLOSE) => {
                    return Ok(true);
                }
                Ok(0) => return Err("ended without a Close frame".into()),
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            if self.stage == Stage::Upgrading
                && let Some(length) = response_length(&self.received)?
            {
                self.received.drain(..length);
                self.stage = Stage::Opening;
            }
            if self.stage == Stage::Opening && self.takes(OPEN)? {
                self.stage = Stage::Joining;
                self.stream.write_all(connect)?;
            }
            if self.stage == Stage::Joining && self.takes(CONNECT.as_bytes())? {
                self.stage = Stage::Closing;
                self.stream.write_all(close)?;
            }
            // Pings that had been sent before the Close frame was there.
            while self.stage == Stage::Closing && self.received.first() == Some(&TEXT) {
                let Some(payload) = payload(&self.received)? else { break };
                self.received.drain(..payload.end);
            }
        }
    }

    /// Whether a packet that begins so is here, which is taken. Pings before it are answered: some servers send one at
    /// once.
    fn takes(&mut self, start: &[u8]) -> Result<bool> {
        while let Some(payload) = payload(&self.received)? {
            let packet: Vec<u8> = self.received.drain(..payload.end).skip(payload.start).collect();
            if packet.starts_with(start) {
                return Ok(true);
            }
            if packet != PING {
                return Err(format!("not expected: {}", String::from_utf8_lossy(&packet)).into());
            }
            self.stream.write_all(&text_frame(PONG))?;
        }
        Ok(false)
    }
}

/// A number of connections at a time are opened, join, are closed, and waited for: the server's CPU microseconds for
/// each.
pub(crate) fn open(target: &Target, at_a_time: usize, start: impl FnOnce() -> Meter) -> Result<f64> {
    let (request, connect, close) = (target.request(), text_frame(CONNECT), close_frame());
    let mut poller = Poller::new()?;
    let mut slots = Vec::with_capacity(at_a_time);
    for token in 0..at_a_time {
        slots.push(Slot::open(target, &request, &poller, token)?);
    }
    let mut ended = Vec::new();
    let mut meter = start();
    loop {
        for token in poller.wait()? {
            if slots[token].advance(&connect, &close)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_at_every_split() {
        let long = "x".repeat(300);
        let mut stream = vec![TEXT, 1, b'2', TEXT, 126, 1, 44];
        stream.extend_from_slice(long.as_bytes());
        stream.extend_from_slice(&[TEXT, 0]);
        for split in 0..=stream.len() {
            let (head, tail) = stream.split_at(split);
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in [head, tail] {
                let shown = frames.read(bytes, |packet| {
                    seen.push(packet.to_vec());
                    Ok(())
                });
                shown.expect("text alone");
            }
            assert_eq!(seen, [&b"2"[..], long.as_bytes(), b""], "split at {split}");
        }
        assert!(Frames::default().read(&[CLOSE, 0], |_| Ok(())).is_err());
    }
}
