//! One connection: bytes that were read to events for JavaScript, and the answers that the protocol asks for.
//!
//! It knows no transport: what is to be written waits in the encoder's outbox.

use crate::events::{Events, Kind, Notice, word};
use crate::outgoing::Manner;
#[cfg(target_os = "linux")]
use crate::socket::{Read, Socket};
use bytes::{BufMut, Bytes};
use std::time::Instant;
use vaiven_proto::{
    CloseCode, CloseFrame, Decoder, Encoder, FrameHeader, Incoming, Input, Keepalive, KeepaliveAction,
    OpCode, Role, Violation, WholeMessage,
};

/// A connection after its opening handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u32,
    role: Role,
    decoder: Decoder,
    pub(crate) encoder: Encoder,
    keepalive: Option<Box<Keepalive>>,
    /// Whether permessage-deflate was agreed.
    deflate: bool,
    /// The code of the peer's Close frame.
    close_received: Option<u16>,
    failed: Option<Violation>,
    /// Payload bytes of messages that are not wholly written.
    pub(crate) queued_bytes: usize,
    /// Messages among them whose sender wants to be told when they are written.
    pub(crate) awaited: usize,
    /// Nothing is read from it, so that its silence says nothing.
    pub(crate) is_paused: bool,
    /// It is on the list of those to be written.
    pub(crate) is_dirty: bool,
    /// The stream was told that bytes wait.
    pub(crate) is_offered: bool,
    /// The system did not take everything at once.
    #[cfg(target_os = "linux")]
    pub(crate) is_backlogged: bool,
    /// The direction is to be ended behind what waits.
    pub(crate) is_ending: bool,
    is_finished: bool,
    /// The socket, where the engine reads and writes it itself.
    #[cfg(target_os = "linux")]
    pub(crate) socket: Option<Socket>,
}

/// How far a read was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes that were taken from the front.
    pub(crate) taken: usize,
    /// Whether it stopped because there is no room for another event.
    pub(crate) is_full: bool,
}

/// A part of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The first of several, Text or Binary.
    First(OpCode),
    Middle,
    Last,
}

/// What the keepalive says of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    /// It has been silent for too long.
    Dead,
}

impl Connection {
    pub(crate) fn new(id: u32, role: Role, decoder: Decoder, encoder: Encoder) -> Self {
        Self {
            id,
            role,
            decoder,
            encoder,
            keepalive: None,
            deflate: false,
            close_received: None,
            failed: None,
            queued_bytes: 0,
            awaited: 0,
            is_paused: false,
            is_dirty: false,
            is_offered: false,
            #[cfg(target_os = "linux")]
            is_backlogged: false,
            is_ending: false,
            is_finished: false,
            #[cfg(target_os = "linux")]
            socket: None,
        }
    }

    /// Watches over the peer with pings.
    pub(crate) fn with_keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive.map(Box::new);
        self
    }

    /// Takes compressed messages too.
    pub(crate) fn with_deflate(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// Bytes arrived, to be passed to [`decode`](Self::decode).
    pub(crate) fn heard(&mut self, now: Instant) {
        self.decoder.set_now(now);
        self.lives(now);
    }

    /// The peer has shown that it is there.
    pub(crate) fn lives(&mut self, now: Instant) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.heard(now);
        }
    }

    /// Decodes `read`, which JavaScript sees at `base`, until it is used up or there is no room for another event.
    pub(crate) fn decode(
        &mut self,
        read: &mut [u8],
        base: usize,
        now: Instant,
        events: &mut Events,
    ) -> Progress {
        let mut taken = 0;
        loop {
            if events.is_full() {
                return Progress { taken, is_full: true };
            }
            let rest = &mut read[taken..];
            if let Some(WholeMessage { is_text, payload }) = self.decoder.decode_in_place(rest) {
                let kind = kind(is_text, &rest[payload.clone()]);
                events.push(self.id, kind as i32, word(base + taken + payload.start), payload.len());
                taken += payload.end;
                continue;
            }
            let (len, decoded) = self.decode_copy(rest);
            taken += len;
            match decoded {
                Ok(Some(incoming)) => self.tell(incoming, now, events),
                Ok(None) if taken == read.len() => return Progress { taken, is_full: false },
                Ok(None) => {}
                Err(violation) => {
                    self.failed = Some(violation);
                    events.push(self.id, Kind::Violation as i32, violation_index(violation), 0);
                    return Progress { taken: read.len(), is_full: false };
                }
            }
        }
    }

    /// Decodes what does not lie whole in the read: gives how much was taken, and an event if that ends one.
    fn decode_copy(&mut self, rest: &[u8]) -> (usize, Result<Option<Incoming>, Violation>) {
        if !rest.is_empty()
            && let Some(mut buffer) = self.decoder.payload_buffer()
        {
            let len = rest.len().min(buffer.remaining_mut());
            buffer.put_slice(&rest[..len]);
            return (len, self.decoder.decode(&mut Input::default()));
        }
        let len = self.copy_len(rest);
        let mut input = Input::from(&rest[..len]);
        let decoded = self.decoder.decode(&mut input);
        (len - input.len(), decoded)
    }

    /// How much of `rest` is worth a copy: to the end of the frame, or the header alone of a long one, whose payload
    /// then has a buffer of its own to go to. Any length would be right.
    fn copy_len(&self, rest: &[u8]) -> usize {
        let missing = self.decoder.missing_bytes();
        if missing > 0 {
            return missing.min(rest.len());
        }
        let header = FrameHeader::parse(rest, self.role, self.deflate).ok().flatten();
        let Some((header, len)) = header else { return rest.len().min(FrameHeader::MAX_BYTES) };
        let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        let whole = len.saturating_add(payload_len);
        if whole > rest.len() && !header.opcode.is_control() { len } else { whole.min(rest.len()) }
    }

    /// Passes an event on. What asks for an answer gets it when JavaScript comes to it ([`answer_ping`](Self::answer_ping),
    /// [`answer`](Self::answer)), behind its own answers to the messages before it.
    fn tell(&mut self, incoming: Incoming, now: Instant, events: &mut Events) {
        match incoming {
            Incoming::Message(message) => {
                let kind = kind(message.is_text(), message.as_bytes());
                events.push_payload(self.id, kind as i32, message.into_bytes());
            }
            Incoming::Ping(payload) => events.push_payload(self.id, Kind::Ping as i32, payload),
            Incoming::Pong(payload) => {
                if self.encoder.take_pong_due() {
                    self.decoder.forgive_idle_frame();
                }
                // The answer to a ping of our own is nothing that the application asked for.
                if let Some(keepalive) = &mut self.keepalive
                    && keepalive.pong(&payload, now).is_some()
                {
                    return;
                }
                events.push_payload(self.id, Kind::Pong as i32, payload);
            }
            Incoming::Close(frame) => {
                let unstated = || (CloseCode::NO_STATUS.value(), Bytes::new());
                let (code, reason) =
                    frame.map_or_else(unstated, |frame| (frame.code.value(), frame.reason.into_bytes()));
                self.close_received = Some(code);
                events.push_payload(self.id, Kind::Close as i32 | i32::from(code) << 16, reason);
            }
        }
    }

    /// Answers a ping. While much waits at most one pong does, that of the latest (RFC 6455 section 5.5.3).
    pub(crate) fn answer_ping(&mut self, payload: &[u8]) {
        self.encoder.respond(&Incoming::Ping(Bytes::copy_from_slice(payload)));
    }

    /// Answers what ended the connection: the broken rule with a Close frame that names it, the peer's Close frame with
    /// one of the same code (RFC 6455 section 5.5.1).
    pub(crate) fn answer(&mut self) {
        if let Some(violation) = self.failed {
            self.encoder.fail(violation);
        } else if let Some(code) = self.close_received {
            self.encoder.close(Some(&CloseFrame::new(code, "")));
        }
    }

    /// Acts on the time `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut Events) -> Liveness {
        if let Err(violation) = self.decoder.handle_timeout(now) {
            self.failed = Some(violation);
            let offset = violation_index(violation);
            events.notice(Notice { connection: self.id, kind: Kind::Violation, offset, len: 0 });
        }
        if self.is_paused || self.has_progressed() {
            self.lives(now);
        }
        match self.keepalive.as_mut().map(|keepalive| keepalive.handle_timeout(now)) {
            Some(KeepaliveAction::Ping(payload)) => {
                // After our Close frame nothing is sent, and the caller's close timeout watches.
                let _ = self.encoder.ping(&payload);
                Liveness::Alive
            }
            Some(KeepaliveAction::Dead) => Liveness::Dead,
            Some(KeepaliveAction::Wait) | None => Liveness::Alive,
        }
    }

    /// Whether the peer took some of what is on its way since this was last asked: a ping comes behind that, so that a
    /// peer who takes it slowly is there although it answers none.
    #[cfg(target_os = "linux")]
    fn has_progressed(&mut self) -> bool {
        self.keepalive.is_some() && self.socket.as_mut().is_some_and(Socket::has_progressed)
    }

    /// Over a stream JavaScript says so itself.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "elsewhere it asks the socket")]
    fn has_progressed(&self) -> bool {
        false
    }

    /// Queues a message. After a Close frame it is dropped; JavaScript knows that one was queued.
    #[inline]
    pub(crate) fn send(&mut self, manner: Manner, payload: &[u8]) {
        if self.encoder.payload(manner.opcode(), payload, manner.compress()).is_ok() {
            self.queued_bytes += payload.len();
        }
        self.awaited += usize::from(manner.is_awaited());
    }

    /// Queues a part of a message.
    pub(crate) fn send_fragment(&mut self, part: Part, payload: &[u8], is_awaited: bool) {
        let sent = match part {
            Part::First(opcode) => self.encoder.fragment(opcode, payload),
            Part::Middle => self.encoder.fragment(OpCode::Continuation, payload),
            Part::Last => self.encoder.last_fragment(payload),
        };
        if sent.is_ok() {
            self.queued_bytes += payload.len();
        }
        self.awaited += usize::from(is_awaited);
    }

    /// Everything is written: says, once, whether this side is to end the transport in its direction. Both Close frames
    /// are exchanged and this is the server (RFC 6455 section 7.1.1), the connection failed, or JavaScript asked for it.
    pub(crate) fn finishes_now(&mut self) -> bool {
        let ends = self.failed.is_some() || (self.role == Role::Server && self.close_received.is_some());
        let ends = self.is_ending || (ends && self.encoder.is_closing());
        ends && !std::mem::replace(&mut self.is_finished, true)
    }

    /// Reads from the socket: the rest of a long message into its own buffer, which leaves 0 bytes to decode, or else
    /// into `room`.
    #[cfg(target_os = "linux")]
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Read {
        let Some(socket) = &mut self.socket else { return Read::Nothing };
        match self.decoder.payload_buffer() {
            Some(mut buffer) => match socket.read_into(&mut buffer) {
                Read::Bytes(_) => Read::Bytes(0),
                other => other,
            },
            None => socket.read(room),
        }
    }

    /// The outbox moved on: payload bytes that are not wholly written cannot exceed what waits.
    pub(crate) fn settle_queued_bytes(&mut self) -> usize {
        self.queued_bytes = self.queued_bytes.min(self.encoder.outbox().len());
        self.queued_bytes
    }

    /// Bytes that the connection holds beyond what waits to be written, by capacity.
    pub(crate) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.encoder.held_bytes()
    }
}

fn violation_index(violation: Violation) -> i32 {
    word(Violation::ALL.iter().position(|one| *one == violation).unwrap_or(0))
}

#[inline]
fn kind(is_text: bool, payload: &[u8]) -> Kind {
    if !is_text {
        Kind::Binary
    } else if payload.is_ascii() {
        Kind::Ascii
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connection_is_small() {
        // Ten thousand of them wait on a server; what is rare belongs into a box.
        assert!(size_of::<Connection>() <= 384, "{} bytes", size_of::<Connection>());
    }
}
