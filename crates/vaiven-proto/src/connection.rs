//! Both halves of a connection in one place, with the closing handshake between them (RFC 6455 section 7).

use crate::{
    CloseCode, CloseFrame, Closing, Compress, Decoder, Encoder, Incoming, Input, Keepalive, KeepaliveAction,
    Message, Outbox, Violation,
};
use std::time::{Duration, Instant};

/// A WebSocket connection after its opening handshake, without I/O.
///
/// ```
/// use std::time::Instant;
/// use bytes::{Buf, BytesMut};
/// use vaiven_proto::{Connection, Decoder, Encoder, Incoming, Input, Limits, Message, Role};
///
/// let now = Instant::now();
/// let mut client = Connection::new(
///     Decoder::new(Role::Client, Limits::client(), None, now),
///     Encoder::new(Role::Client, |key| key.fill(7)), // a real client asks its system for random bytes
/// );
/// let mut server = Connection::new(
///     Decoder::new(Role::Server, Limits::server(), None, now),
///     Encoder::new(Role::Server, |_| unreachable!("servers do not mask")),
/// );
///
/// client.send(Message::text("hola"), Default::default())?;
/// let outbox = client.outbox();
/// let wire = outbox.copy_to_bytes(outbox.remaining());
/// let mut input = Input::from(&wire[..]);
/// assert_eq!(server.recv(&mut input, now)?, Some(Incoming::Message(Message::text("hola"))));
/// assert_eq!(server.recv(&mut input, now)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    decoder: Decoder,
    encoder: Encoder,
    keepalive: Option<Keepalive>,
    /// The peer's Close frame: its code, 1005 where it gave none, and its reason.
    close_received: Option<CloseFrame>,
    violation: Option<Violation>,
}

impl Connection {
    /// A connection of these halves.
    pub fn new(decoder: Decoder, encoder: Encoder) -> Self {
        Self { decoder, encoder, keepalive: None, close_received: None, violation: None }
    }

    /// Watches over the peer with pings.
    #[must_use]
    pub fn with_keepalive(mut self, keepalive: Keepalive) -> Self {
        self.keepalive = Some(keepalive);
        self
    }

    /// Decodes the next event and queues the answer that the protocol asks for. `None`: more bytes are needed.
    ///
    /// # Errors
    /// The rule that the peer broke; the Close frame that says so is queued. Nothing is decoded after it.
    pub fn recv(&mut self, input: &mut Input, now: Instant) -> Result<Option<Incoming>, Violation> {
        if !input.is_empty() {
            self.decoder.set_now(now);
            if let Some(keepalive) = &mut self.keepalive {
                keepalive.heard(now);
            }
        }
        let event = self.decoder.decode(input).inspect_err(|&violation| self.fail(violation))?;
        let Some(event) = event else { return Ok(None) };
        self.encoder.respond(&event);
        if matches!(event, Incoming::Pong(_)) && self.encoder.take_pong_due() {
            self.decoder.forgive_idle_frame();
        }
        match (&event, &mut self.keepalive) {
            (Incoming::Close(frame), _) => {
                let unstated = || CloseFrame::new(CloseCode::NO_STATUS, "");
                self.close_received = Some(frame.clone().unwrap_or_else(unstated));
            }
            (Incoming::Pong(payload), Some(keepalive)) => {
                keepalive.pong(payload, now);
            }
            _ => {}
        }
        Ok(Some(event))
    }

    fn fail(&mut self, violation: Violation) {
        self.violation = Some(violation);
        self.encoder.fail(violation);
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    pub fn send(&mut self, message: Message, compress: Compress) -> Result<(), Closing> {
        self.encoder.message(message, compress)
    }

    /// Begins the closing handshake, or does nothing if it has begun.
    pub fn close(&mut self, frame: Option<&CloseFrame>) {
        self.encoder.close(frame);
    }

    /// The sending half, for pings and prepared messages.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// What waits to be written.
    pub fn outbox(&mut self) -> &mut Outbox {
        if self.encoder.outbox().is_empty() {
            self.encoder.written();
        }
        self.encoder.outbox_mut()
    }

    /// Whether both Close frames are exchanged, or the peer broke a rule: once the outbox is empty the transport is
    /// to be closed, by the server at once, by the client when the server has or the close timeout is over.
    pub fn is_closed(&self) -> bool {
        self.encoder.is_closing() && (self.close_received.is_some() || self.violation.is_some())
    }

    /// The code that the application is told (RFC 6455 section 7.1.5): the peer's, 1005 where it sent none, 1006
    /// where no Close frame came.
    pub fn close_code(&self) -> CloseCode {
        self.close_received.as_ref().map_or(CloseCode::ABNORMAL, |frame| frame.code)
    }

    /// The latest round-trip time.
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.as_ref().and_then(Keepalive::round_trip)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().and_then(Keepalive::poll_timeout);
        self.decoder.poll_timeout().into_iter().chain(keepalive).min()
    }

    /// Acts on the time `now`: pings into silence, judges an unfinished message. Says whether the peer is dead, in
    /// which case the transport is to be dropped.
    ///
    /// # Errors
    /// [`Violation::PartialMessageTimeout`]; the Close frame that says so is queued.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<bool, Violation> {
        self.decoder.handle_timeout(now).inspect_err(|&violation| self.fail(violation))?;
        match self.keepalive.as_mut().map(|keepalive| keepalive.handle_timeout(now)) {
            Some(KeepaliveAction::Ping(payload)) => {
                // After our Close frame nothing is sent, and the close timeout watches.
                let _ = self.encoder.ping(&payload);
                Ok(false)
            }
            Some(KeepaliveAction::Dead) => Ok(true),
            Some(KeepaliveAction::Wait) | None => Ok(false),
        }
    }

    /// Bytes that the connection holds beyond what waits to be written, by capacity.
    pub fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.encoder.held_bytes()
    }
}
