//! Messages to bytes: the sending half of a connection (RFC 6455 sections 5 and 6.1, RFC 7692 section 6.1).
//!
//! What is to be written waits in the [`Outbox`]. Answers to the peer's control frames are made here too: one pong
//! at most waits, the one of the last ping (RFC 6455 section 5.5.3), and nothing follows a Close frame.

use crate::deflate::{Compression, DeflateConfig, DeflateParams, Deflater};
use crate::frame::{FrameHeader, MAX_CONTROL_BYTES, OpCode};
use crate::mask::apply_mask;
use crate::outbox::{Outbox, SHARE_MIN};
use crate::{CloseFrame, Incoming, Message, Prepared, PreparedBatch, Role, Violation};
use bytes::{Bytes, BytesMut};

/// Fills a slice with random bytes that nobody can predict: RFC 6455 section 5.3 asks for it of every masking key.
pub type FillRandom = fn(&mut [u8]);

/// Whether a message is compressed, where permessage-deflate was agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// When it is at least as long as the configured minimum.
    #[default]
    Auto,
    /// Never: for what is compressed already, or mixes secrets with what others choose.
    Never,
    /// Whatever its length.
    Always,
}

/// The connection takes no more messages: a Close frame was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing;

impl std::fmt::Display for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closing and takes no more messages")
    }
}

impl std::error::Error for Closing {}

/// permessage-deflate on the sending side.
#[derive(Debug)]
struct SendDeflate {
    deflater: Deflater,
    params: DeflateParams,
    config: DeflateConfig,
}

impl SendDeflate {
    fn wants(&self, len: usize, compress: Compress) -> bool {
        match compress {
            Compress::Auto => len >= self.config.min_bytes,
            Compress::Never => false,
            Compress::Always => true,
        }
    }
}

/// The sending half of a connection.
#[derive(Debug)]
pub struct Encoder {
    outbox: Outbox,
    role: Role,
    closing: bool,
    /// The Close frame of a failed connection says which rule was broken, and not its code alone.
    explains: bool,
    deflate: Option<Box<SendDeflate>>,
    /// The answer to the last ping, while something else waits before it.
    pong: Option<Box<Bytes>>,
    max_frame_bytes: usize,
    /// Pings that were sent and not answered.
    pongs_due: u16,
    fill_random: FillRandom,
}

impl Encoder {
    /// The sending half of `role`. A client draws a masking key for every frame from `fill_random`; a server
    /// never calls it.
    pub fn new(role: Role, fill_random: FillRandom) -> Self {
        Self {
            outbox: Outbox::default(),
            role,
            closing: false,
            explains: true,
            deflate: None,
            pong: None,
            max_frame_bytes: usize::MAX,
            pongs_due: 0,
            fill_random,
        }
    }

    /// Compresses messages as `params` were agreed, from `config.min_bytes` on.
    #[must_use]
    pub fn with_deflate(mut self, params: DeflateParams, config: &DeflateConfig) -> Self {
        // Which messages are long enough is decided here, where a message can ask for the contrary.
        let deflater = Deflater::new(self.role, &params, &DeflateConfig { min_bytes: 0, ..*config });
        self.deflate = Some(Box::new(SendDeflate { deflater, params, config: *config }));
        self
    }

    /// Splits messages into frames of at most this many bytes of payload (at least 1).
    #[must_use]
    pub fn with_max_frame_bytes(mut self, max_frame_bytes: usize) -> Self {
        self.max_frame_bytes = max_frame_bytes.max(1);
        self
    }

    /// Fails connections with a close code and no sentence, for protocols whose clients expect that.
    #[must_use]
    pub fn without_explanations(mut self) -> Self {
        self.explains = false;
        self
    }

    /// Bytes that wait to be written, in order.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The outbox, to take written bytes from its front with [`Buf::advance`](bytes::Buf::advance); call
    /// [`written`](Self::written) when it is empty.
    pub fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Everything was written: queues what waited for that. Says whether there is more to write.
    #[inline]
    pub fn written(&mut self) -> bool {
        self.queue_waiting_pong();
        !self.outbox.is_empty()
    }

    /// Queues the pong that waits. It goes ahead of what is queued next, so that a peer to which much is sent gets its
    /// answer as well.
    #[inline]
    fn queue_waiting_pong(&mut self) {
        if let Some(payload) = self.pong.take()
            && !self.closing
        {
            self.frame(OpCode::Pong, &payload);
        }
    }

    /// Whether a Close frame was queued.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Bytes held for compression, by capacity.
    pub fn held_bytes(&self) -> usize {
        self.deflate.as_ref().map_or(0, |deflate| deflate.deflater.memory())
    }

    /// Gives back what is kept only for a better ratio or for speed.
    pub fn release_idle(&mut self) {
        if let Some(deflate) = &mut self.deflate {
            deflate.deflater.release_idle();
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame; the message is dropped.
    #[inline]
    pub fn message(&mut self, message: Message, compress: Compress) -> Result<(), Closing> {
        if self.closing {
            return Err(Closing);
        }
        self.queue_waiting_pong();
        let opcode = if message.is_text() { OpCode::Text } else { OpCode::Binary };
        if self.deflate.is_none() && message.len() < SHARE_MIN.min(self.max_frame_bytes) {
            let payload_len = message.len() as u64;
            let masking_key = self.masking_key();
            let header = FrameHeader { fin: true, rsv1: false, opcode, masking_key, payload_len };
            self.joined(header, message.as_bytes());
            return Ok(());
        }
        self.long_message(opcode, message.into_bytes(), compress);
        Ok(())
    }

    /// Queues a message, Text or Binary, whose payload stays the caller's: it is copied, or compressed, at once.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    #[inline]
    pub fn payload(&mut self, opcode: OpCode, payload: &[u8], compress: Compress) -> Result<(), Closing> {
        debug_assert!(matches!(opcode, OpCode::Text | OpCode::Binary), "{opcode:?} begins no message");
        if self.closing {
            return Err(Closing);
        }
        self.queue_waiting_pong();
        if self.deflate.is_some()
            && let Some(deflated) = self.compress(payload, compress)
        {
            self.fragments(opcode, true, Bytes::from(deflated));
        } else if payload.len() < SHARE_MIN.min(self.max_frame_bytes) {
            self.data(true, opcode, payload);
        } else {
            self.fragments(opcode, false, Bytes::copy_from_slice(payload));
        }
        Ok(())
    }

    /// Queues a fragment of a message that has more: the first is Text or Binary, those behind it Continuation. It is
    /// not compressed. Until [`last_fragment`](Self::last_fragment) only control frames may be queued between.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    pub fn fragment(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), Closing> {
        debug_assert!(!opcode.is_control(), "{opcode:?} is not fragmented");
        self.unfinished(false, opcode, payload)
    }

    /// Queues the last fragment of a message.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    pub fn last_fragment(&mut self, payload: &[u8]) -> Result<(), Closing> {
        self.unfinished(true, OpCode::Continuation, payload)
    }

    fn unfinished(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) -> Result<(), Closing> {
        if self.closing {
            return Err(Closing);
        }
        self.queue_waiting_pong();
        self.data(fin, opcode, payload);
        Ok(())
    }

    /// Queues an uncompressed data frame, joined with others.
    #[inline]
    fn data(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        let masking_key = self.masking_key();
        let payload_len = payload.len() as u64;
        self.joined(FrameHeader { fin, rsv1: false, opcode, masking_key, payload_len }, payload);
    }

    /// Queues a message that may be compressed, fragmented, or queued by reference.
    fn long_message(&mut self, opcode: OpCode, payload: Bytes, compress: Compress) {
        if self.deflate.is_some()
            && let Some(deflated) = self.compress(&payload, compress)
        {
            self.fragments(opcode, true, Bytes::from(deflated));
        } else {
            self.fragments(opcode, false, payload);
        }
    }

    /// Queues a message that was framed once for many.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    #[inline]
    pub fn prepared(&mut self, prepared: &Prepared, compress: Compress) -> Result<(), Closing> {
        if self.closing {
            return Err(Closing);
        }
        self.queue_waiting_pong();
        if self.role == Role::Client || prepared.frame().len() > self.max_frame_bytes {
            // A client masks every frame with a key of its own: nothing can be shared.
            return self.message(prepared.message().clone(), compress);
        }
        let mut frame = prepared.frame();
        if let Some(deflate) = &mut self.deflate
            && deflate.wants(prepared.message().len(), compress)
            && let Some(compressed) = prepared.compressed(deflate.params, deflate.config)
        {
            // The peer's window now holds this message and ours does not: begin anew.
            deflate.deflater.release_idle();
            frame = compressed;
        }
        self.outbox.extend(frame);
        Ok(())
    }

    /// Queues messages that were framed and joined once for many.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    #[inline]
    pub fn prepared_batch(&mut self, batch: &PreparedBatch, compress: Compress) -> Result<(), Closing> {
        let shared = self.role == Role::Server
            && self.deflate.is_none()
            && batch.longest_frame() <= self.max_frame_bytes;
        if self.closing || !shared {
            return batch.messages().iter().try_for_each(|message| self.prepared(message, compress));
        }
        self.queue_waiting_pong();
        if !batch.frames().is_empty() {
            self.outbox.extend(batch.frames());
        }
        Ok(())
    }

    /// Queues a ping; a payload beyond 125 bytes is cut.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Closing> {
        if self.closing {
            return Err(Closing);
        }
        self.queue_waiting_pong();
        self.frame(OpCode::Ping, payload);
        self.pongs_due = self.pongs_due.saturating_add(1);
        Ok(())
    }

    /// Takes a pong that came for one that is due: `false` where there are more pongs than pings.
    pub fn take_pong_due(&mut self) -> bool {
        let is_due = self.pongs_due > 0;
        self.pongs_due = self.pongs_due.saturating_sub(1);
        is_due
    }

    /// Queues a pong that nobody asked for (RFC 6455 section 5.5.3); a payload beyond 125 bytes is cut.
    ///
    /// # Errors
    /// [`Closing`] after a Close frame.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Closing> {
        if self.closing {
            return Err(Closing);
        }
        self.frame(OpCode::Pong, payload);
        Ok(())
    }

    /// Queues the Close frame; `None` is the empty body. A code that must not appear on the wire, as the 1005 that
    /// stands for a code that was not stated, is sent as the empty body too. A second call does nothing and says
    /// `false`.
    pub fn close(&mut self, frame: Option<&CloseFrame>) -> bool {
        if self.closing {
            return false;
        }
        let sendable = frame.filter(|frame| frame.code.is_sendable());
        let body = sendable.map(CloseFrame::to_body).unwrap_or_default();
        self.frame(OpCode::Close, &body);
        self.closing = true;
        self.pong = None;
        true
    }

    /// Answers what the peer sent: a pong for a ping, a Close frame with the same code for a Close frame
    /// (RFC 6455 sections 5.5.1 to 5.5.3).
    pub fn respond(&mut self, incoming: &Incoming) {
        match incoming {
            Incoming::Ping(_) if self.closing => {}
            Incoming::Ping(payload) if self.outbox.is_empty() => self.frame(OpCode::Pong, payload),
            Incoming::Ping(payload) => self.pong = Some(Box::new(payload.clone())),
            Incoming::Close(frame) => {
                // The reason is for the log of the side that was told; the echo says only the code.
                let echo = frame.as_ref().map(|frame| CloseFrame::new(frame.code, ""));
                self.close(echo.as_ref());
            }
            Incoming::Message(_) | Incoming::Pong(_) => {}
        }
    }

    /// Fails the connection (RFC 6455 section 7.1.7): queues a Close frame that names the broken rule, unless it is
    /// [not to](Self::without_explanations).
    pub fn fail(&mut self, violation: Violation) {
        let reason = if self.explains { violation.to_string() } else { String::new() };
        self.close(Some(&CloseFrame::new(violation.close_code(), &reason)));
    }

    /// Compresses the payload when that is asked for and shortens it.
    fn compress(&mut self, payload: &[u8], compress: Compress) -> Option<Vec<u8>> {
        let deflate = self.deflate.as_mut()?;
        let mut out = Vec::new();
        let compressed = deflate.wants(payload.len(), compress)
            && deflate.deflater.compress(payload, &mut out) == Compression::Compressed;
        compressed.then_some(out)
    }

    /// Queues a payload as one frame or several.
    fn fragments(&mut self, opcode: OpCode, rsv1: bool, mut payload: Bytes) {
        if payload.len() <= self.max_frame_bytes {
            return self.data_frame(true, rsv1, opcode, payload);
        }
        let first = payload.split_to(self.max_frame_bytes);
        self.data_frame(false, rsv1, opcode, first);
        while payload.len() > self.max_frame_bytes {
            let fragment = payload.split_to(self.max_frame_bytes);
            self.data_frame(false, false, OpCode::Continuation, fragment);
        }
        self.data_frame(true, false, OpCode::Continuation, payload);
    }

    fn data_frame(&mut self, fin: bool, rsv1: bool, opcode: OpCode, payload: Bytes) {
        let masking_key = self.masking_key();
        let header = FrameHeader { fin, rsv1, opcode, masking_key, payload_len: payload.len() as u64 };
        if payload.len() < SHARE_MIN {
            self.joined(header, &payload);
            return;
        }
        self.outbox.append(header.len(), |out| header.write(out));
        let payload = match masking_key {
            None => payload,
            // Masked in place where nobody else holds the bytes, else in a copy.
            Some(key) => {
                let mut bytes = payload.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                apply_mask(&mut bytes, key);
                bytes.freeze()
            }
        };
        self.outbox.push(payload);
    }

    /// Queues a control frame.
    fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let payload = payload.split_at(payload.len().min(MAX_CONTROL_BYTES)).0;
        let masking_key = self.masking_key();
        let payload_len = payload.len() as u64;
        self.joined(FrameHeader { fin: true, rsv1: false, opcode, masking_key, payload_len }, payload);
    }

    /// Appends header and payload to the outbox's joined frames.
    #[inline]
    fn joined(&mut self, header: FrameHeader, payload: &[u8]) {
        self.outbox.append(header.len() + payload.len(), |out| {
            header.write(out);
            let start = out.len();
            out.extend_from_slice(payload);
            if let Some(key) = header.masking_key {
                apply_mask(out.split_at_mut(start).1, key);
            }
        });
    }

    #[inline]
    fn masking_key(&mut self) -> Option<[u8; 4]> {
        (self.role == Role::Client).then(|| {
            let mut key = [0; 4];
            (self.fill_random)(&mut key);
            key
        })
    }
}
