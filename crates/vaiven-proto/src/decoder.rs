//! Bytes to messages: the receiving half of a connection (RFC 6455 sections 5 and 6.2, RFC 7692 section 6.2).
//!
//! The decoder is pulled: each call of [`Decoder::decode`] gives at most one event and keeps all that it knows in
//! the struct, so nothing is queued and nothing is lost between calls. It takes every byte of its input before it
//! asks for more; what belongs to an unfinished message lives in one contiguous buffer, bounded by
//! `max_message_bytes`. It knows nothing of sockets and reads no clock.

use crate::deflate::Inflater;
use crate::frame::{FrameHeader, MAX_CONTROL_BYTES, OpCode};
use crate::input::{Input, MAX_SHARE, is_well_begun};
use crate::mask::{apply_mask, rotate_key};
use crate::utf8::{Utf8Validator, is_utf8};
use crate::{CloseFrame, Limits, Message, Role, Text, Violation};
use bytes::{BufMut, Bytes, BytesMut, buf::Limit};
use std::{ops::Range, time::Instant};

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A ping, to be answered with a pong of the same payload.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong(Bytes),
    /// The peer's Close frame; nothing follows it.
    Close(Option<CloseFrame>),
}

/// A message that lies whole in the buffer that it was read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeMessage {
    /// Whether it is text, which is then valid UTF-8.
    pub is_text: bool,
    /// Where its payload lies, unmasked.
    pub payload: Range<usize>,
}

/// A frame whose payload has not arrived in full.
#[derive(Debug)]
struct OpenFrame {
    opcode: OpCode,
    fin: bool,
    /// The key, rotated to the next byte to come.
    masking_key: Option<[u8; 4]>,
    remaining: usize,
    /// Payload of a control frame so far.
    control: Vec<u8>,
}

/// A frame that is a whole message, and has arrived in full.
struct CommonFrame {
    is_text: bool,
    masking_key: Option<[u8; 4]>,
    header_len: usize,
    len: usize,
}

/// A message whose last frame has not arrived in full.
#[derive(Debug, Default)]
struct OpenMessage {
    is_text: bool,
    compressed: bool,
    fragments: u32,
    utf8: Utf8Validator,
    /// Payload so far, unmasked and validated up to `settled`; a compressed message is in `inflated` instead.
    buffer: BytesMut,
    settled: usize,
    /// The buffer is a part of what was read, and others may hold the rest.
    is_adopted: bool,
    inflated: Vec<u8>,
    /// Compressed bytes so far: bounds the work that a message without output can cause.
    deflated_len: usize,
}

/// The start of a header that was cut off by the end of the input.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; FrameHeader::MAX_BYTES],
    len: u8,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    header: PartialHeader,
    /// Boxed, as most connections are between frames most of the time.
    frame: Option<Box<OpenFrame>>,
    message: Option<Box<OpenMessage>>,
    inflater: Option<Box<Inflater>>,
    /// The peer's Close frame came, or it broke a rule: what follows is discarded.
    ended: bool,
    /// The rule that what was just decoded broke, which the next call says: a message that is not UTF-8, or a pong
    /// too many, unless it is [forgiven](Self::forgive_idle_frame).
    broken: Option<Violation>,
    now: Instant,
    flood_since: Instant,
    idle_frames: u32,
    progressed_at: Instant,
}

/// The first piece of buffer that an announced payload gets, before more of it has arrived.
const FIRST_RESERVE: usize = 64 << 10;
/// From this many missing bytes on it is worth reading straight into the message buffer.
const DIRECT_MIN: usize = 16 << 10;

impl Decoder {
    /// The receiving half of `role`. `now` is the time of the opening handshake's end.
    pub fn new(role: Role, limits: Limits, inflater: Option<Inflater>, now: Instant) -> Self {
        Self {
            role,
            limits,
            header: PartialHeader::default(),
            frame: None,
            message: None,
            inflater: inflater.map(Box::new),
            ended: false,
            broken: None,
            now,
            flood_since: now,
            idle_frames: 0,
            progressed_at: now,
        }
    }

    /// Whose receiving half it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Tells the time, once per arrival of bytes.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// Whether a frame or a message has begun and is not finished.
    pub fn is_mid_message(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || self.header.len > 0
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` while no message is unfinished.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_timed = self.is_mid_message() && !self.ended;
        // A timeout that is too long for the clock is never over.
        is_timed.then(|| self.progressed_at.checked_add(self.limits.partial_message_timeout)).flatten()
    }

    /// Judges an unfinished message at `now`.
    ///
    /// # Errors
    /// [`Violation::PartialMessageTimeout`] when no byte of it came for `partial_message_timeout`.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        match self.poll_timeout() {
            Some(deadline) if now >= deadline => {
                self.end();
                Err(Violation::PartialMessageTimeout)
            }
            _ => Ok(()),
        }
    }

    /// Bytes that the connection holds for an unfinished message and for decompression, by capacity.
    pub fn held_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |m| m.buffer.capacity() + m.inflated.capacity());
        message
            + self.frame.as_ref().map_or(0, |frame| frame.control.capacity())
            + self.inflater.as_ref().map_or(0, |i| i.memory())
    }

    /// Bytes of the open frame's payload that have not arrived.
    pub fn missing_bytes(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.remaining)
    }

    /// Whether `received`, the next bytes to be decoded, begin with the frame of a payload that is worth keeping where
    /// it is instead of copying it out of a shared buffer.
    pub fn begins_large(&self, received: &[u8]) -> bool {
        if !is_well_begun(received.len(), DIRECT_MIN) || self.is_mid_message() {
            return false;
        }
        let header = FrameHeader::parse(received, self.role, self.inflater.is_some());
        header.is_ok_and(|header| {
            header.is_some_and(|(header, len)| {
                let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                payload_len >= DIRECT_MIN && is_well_begun(received.len() - len, payload_len)
            })
        })
    }

    /// A place to read the rest of a large payload into, without a copy; call [`decode`](Self::decode) after it
    /// with whatever input there is, also with none.
    ///
    /// `None` when bytes should be read into a buffer of the caller's and passed in as [`Input`].
    pub fn payload_buffer(&mut self) -> Option<Limit<&mut BytesMut>> {
        let remaining = self.frame.as_ref()?.remaining;
        let message = self.message.as_mut()?;
        if remaining < DIRECT_MIN || message.compressed || self.ended {
            return None;
        }
        let spare = message.buffer.capacity() - message.buffer.len();
        if spare < remaining.min(DIRECT_MIN) {
            // What is reserved follows what has arrived: a header alone allocates little.
            let reserve = FIRST_RESERVE.max(message.buffer.len().saturating_mul(8));
            message.reserve(remaining.min(reserve), self.limits.max_message_bytes);
        }
        let spare = message.buffer.capacity() - message.buffer.len();
        Some((&mut message.buffer).limit(spare.min(remaining)))
    }

    /// Decodes the next event from the front of `input`. `None` means that all of the input was taken and more is
    /// needed, or that nothing more will come since the peer's Close. Until then it is called again, though the input
    /// may be empty: that a pong was one too many is said by the call after it.
    ///
    /// # Errors
    /// The rule that the peer broke. Everything after it is discarded.
    #[inline]
    pub fn decode(&mut self, input: &mut Input) -> Result<Option<Incoming>, Violation> {
        if let Some(message) = self.decode_common(input) {
            return Ok(Some(Incoming::Message(message)));
        }
        self.decode_any(input)
    }

    /// The common case alone, which is most of what there is to do at high rates: an unfragmented, uncompressed
    /// message that lies whole in the input, and nothing open before it. `None` says nothing about the input:
    /// everything else is left to [`decode`](Self::decode), bad input too.
    #[inline]
    pub fn decode_common(&mut self, input: &mut Input) -> Option<Message> {
        let frame = self.common_frame(input.as_slice())?;
        input.skip(frame.header_len);
        self.unmask_common(&frame, input.front_mut(frame.len))?;
        Some(message(frame.is_text, input.take(frame.len)))
    }

    /// The common case of a conversation: `received` is one message that [`decode_common`](Self::decode_common) would
    /// give, and nothing else. It is copied out, so that the buffer serves again at once. `None` for everything else,
    /// and where the message is long enough to be worth keeping where it is: then `received` becomes an [`Input`].
    #[inline]
    pub fn decode_alone(&mut self, received: &mut [u8]) -> Option<Message> {
        let frame = self.common_frame(received)?;
        if frame.header_len + frame.len != received.len() || frame.len >= DIRECT_MIN {
            return None;
        }
        let payload = received.split_at_mut(frame.header_len).1;
        self.unmask_common(&frame, payload)?;
        Some(message(frame.is_text, Bytes::copy_from_slice(payload)))
    }

    /// The common case for those who keep what they read in a buffer of their own: the message is unmasked and
    /// validated where it lies. It ends with its payload; what stands behind it is the next frame.
    ///
    /// `None` says nothing about the input, but a part of it may be unmasked: pass the same bytes to
    /// [`decode`](Self::decode) next.
    #[inline]
    pub fn decode_in_place(&mut self, received: &mut [u8]) -> Option<WholeMessage> {
        let frame = self.common_frame(received)?;
        let payload = frame.header_len..frame.header_len + frame.len;
        self.unmask_common(&frame, received.get_mut(payload.clone())?)?;
        Some(WholeMessage { is_text: frame.is_text, payload })
    }

    /// The frame at the front of `received`, if it is a whole message and nothing is open before it.
    #[inline]
    fn common_frame(&self, received: &[u8]) -> Option<CommonFrame> {
        let mid_message = self.header.len != 0 || self.frame.is_some() || self.message.is_some();
        if mid_message || self.ended || self.broken.is_some() {
            return None;
        }
        let (&[first, second], rest) = received.split_first_chunk()?;
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        let (len, rest, header_len) = match second & 0x7f {
            len @ 1..=125 => (usize::from(len), rest, 2),
            126 => {
                let (bytes, rest) = rest.split_first_chunk()?;
                let len = usize::from(u16::from_be_bytes(*bytes));
                if len <= MAX_CONTROL_BYTES {
                    return None;
                }
                (len, rest, 4)
            }
            _ => return None,
        };
        let is_masked = second & 0x80 != 0;
        if len > self.limits.max_message_bytes || is_masked != (self.role == Role::Server) {
            return None;
        }
        let (masking_key, payload, header_len) = if is_masked {
            let (key, payload) = rest.split_first_chunk()?;
            (Some(*key), payload, header_len + 4)
        } else {
            (None, rest, header_len)
        };
        (payload.len() >= len).then_some(CommonFrame { is_text, masking_key, header_len, len })
    }

    /// Unmasks the payload of a whole message and judges its text.
    #[inline]
    fn unmask_common(&mut self, frame: &CommonFrame, payload: &mut [u8]) -> Option<()> {
        if let Some(key) = frame.masking_key {
            apply_mask(payload, key);
        }
        // The frame's own bytes are gone; what is left to say is that it was wrong.
        self.broken = (frame.is_text && !is_utf8(payload)).then_some(Violation::InvalidUtf8);
        self.broken.is_none().then_some(())
    }

    fn decode_any(&mut self, input: &mut Input) -> Result<Option<Incoming>, Violation> {
        let decoded = self.broken.take().map_or_else(|| self.decode_next(input), Err);
        match decoded {
            Err(_) | Ok(Some(Incoming::Close(_))) => {
                self.end();
                input.clear();
            }
            Ok(_) => {}
        }
        decoded
    }

    fn decode_next(&mut self, input: &mut Input) -> Result<Option<Incoming>, Violation> {
        if self.ended {
            input.clear();
            return Ok(None);
        }
        loop {
            if self.frame.is_some() {
                if !self.take_payload(input)? {
                    return Ok(None);
                }
                if let Some(event) = self.finish_frame()? {
                    return Ok(Some(event));
                }
            }
            let Some(header) = self.take_header(input)? else { return Ok(None) };
            let len = self.check_frame(&header)?;
            if input.len() >= len {
                if let Some(event) = self.decode_whole(&header, len, input)? {
                    return Ok(Some(event));
                }
            } else {
                self.open_frame(&header, len, input);
            }
        }
    }

    /// Reads a header from what was left of the last input and from this one.
    #[inline]
    fn take_header(&mut self, input: &mut Input) -> Result<Option<FrameHeader>, Violation> {
        let rsv1_allowed = self.inflater.is_some();
        if self.header.len == 0
            && let Some((header, len)) = FrameHeader::parse(input.as_slice(), self.role, rsv1_allowed)?
        {
            input.skip(len);
            return Ok(Some(header));
        }
        let start = usize::from(self.header.len);
        let (_, free) = self.header.bytes.split_at_mut(start);
        let added = free.len().min(input.len());
        for (to, from) in free.iter_mut().zip(input.as_slice()) {
            *to = *from;
        }
        let known = self.header.bytes.split_at(start + added).0;
        if let Some((header, len)) = FrameHeader::parse(known, self.role, rsv1_allowed)? {
            debug_assert!(len > start, "the header was whole before");
            input.skip(len - start);
            self.header.len = 0;
            return Ok(Some(header));
        }
        debug_assert_eq!(added, input.len(), "a header of 14 bytes is always whole");
        if start == 0 && added > 0 && self.message.is_none() {
            self.progressed_at = self.now;
        }
        input.skip(added);
        // `start + added` is at most `FrameHeader::MAX_BYTES`.
        self.header.len = u8::try_from(start + added).unwrap_or(u8::MAX);
        Ok(None)
    }

    /// Judges a frame by the message around it and by the limits. Gives its length.
    #[inline]
    fn check_frame(&mut self, header: &FrameHeader) -> Result<usize, Violation> {
        if header.opcode.is_control() {
            if header.opcode == OpCode::Ping {
                self.count_idle_frame()?;
            }
            // A control frame's length was checked with its header.
            return Ok(usize::try_from(header.payload_len).unwrap_or(MAX_CONTROL_BYTES));
        }
        let (fragments, held) = match (&self.message, header.opcode) {
            (None, OpCode::Continuation) => return Err(Violation::UnexpectedContinuation),
            (None, _) => (0, 0),
            (Some(message), OpCode::Continuation) => {
                (message.fragments, message.buffer.len() + message.deflated_len)
            }
            (Some(_), _) => return Err(Violation::UnfinishedMessage),
        };
        if fragments >= self.limits.max_fragments {
            return Err(Violation::TooManyFragments);
        }
        let compressed = header.rsv1 || self.message.as_ref().is_some_and(|m| m.compressed);
        let max = if compressed {
            max_deflated_len(self.limits.max_message_bytes)
        } else {
            self.limits.max_message_bytes
        };
        let len = usize::try_from(header.payload_len).map_err(|_| Violation::MessageTooLarge)?;
        if held.checked_add(len).is_none_or(|total| total > max) {
            return Err(Violation::MessageTooLarge);
        }
        if len == 0 && (!header.fin || held == 0) {
            self.count_idle_frame()?;
        }
        Ok(len)
    }

    /// The pong that was just decoded was asked for, so it does not count among the frames that bring nothing further.
    /// To be called before [`decode`](Self::decode) is, which otherwise fails where that pong was one too many.
    pub fn forgive_idle_frame(&mut self) {
        self.idle_frames = self.idle_frames.saturating_sub(1);
        self.broken.take_if(|broken| *broken == Violation::FrameFlood);
    }

    /// The event of a control frame. A pong counts when it is there: only then can it be known whether it was asked for.
    fn control_event(&mut self, opcode: OpCode, payload: Bytes) -> Result<Incoming, Violation> {
        Ok(match opcode {
            OpCode::Ping => Incoming::Ping(payload),
            OpCode::Pong => {
                self.broken = self.count_idle_frame().err();
                Incoming::Pong(payload)
            }
            _ => Incoming::Close(CloseFrame::parse(&payload)?),
        })
    }

    fn count_idle_frame(&mut self) -> Result<(), Violation> {
        if self.now.saturating_duration_since(self.flood_since) > self.limits.flood_window {
            self.flood_since = self.now;
            self.idle_frames = 0;
        }
        self.idle_frames += 1;
        if self.idle_frames > self.limits.max_idle_frames { Err(Violation::FrameFlood) } else { Ok(()) }
    }

    /// Decodes a frame whose payload is in the input as a whole.
    #[inline]
    fn decode_whole(
        &mut self,
        header: &FrameHeader,
        len: usize,
        input: &mut Input,
    ) -> Result<Option<Incoming>, Violation> {
        if let Some(key) = header.masking_key {
            apply_mask(input.front_mut(len), key);
        }
        if header.opcode.is_control() {
            let payload = input.take(len);
            return self.control_event(header.opcode, payload).map(Some);
        }
        if header.fin && !header.rsv1 && self.message.is_none() {
            let is_text = header.opcode == OpCode::Text;
            if is_text && !is_utf8(input.as_slice().split_at(len).0) {
                return Err(Violation::InvalidUtf8);
            }
            return Ok(Some(Incoming::Message(message(is_text, input.take(len)))));
        }
        self.open_message(header);
        let Some(message) = &mut self.message else { return Ok(None) };
        message.append(input.as_slice().split_at(len).0, self.inflater.as_deref_mut(), &self.limits)?;
        input.skip(len);
        if header.fin { self.finish_message().map(Some) } else { Ok(None) }
    }

    /// Begins a message, or another fragment of the open one.
    fn open_message(&mut self, header: &FrameHeader) {
        let message = self.message.get_or_insert_with(|| {
            Box::new(OpenMessage {
                is_text: header.opcode == OpCode::Text,
                compressed: header.rsv1,
                ..OpenMessage::default()
            })
        });
        message.fragments += 1;
        self.progressed_at = self.now;
    }

    /// Begins a frame whose payload continues behind the input.
    fn open_frame(&mut self, header: &FrameHeader, len: usize, input: &mut Input) {
        if header.opcode.is_control() {
            if self.message.is_none() {
                self.progressed_at = self.now;
            }
        } else {
            self.open_message(header);
            if let Some(message) = &mut self.message
                && message.buffer.is_empty()
                && !message.compressed
                && let Some(adopted) = input.adopt(len)
            {
                message.buffer = adopted;
                message.is_adopted = true;
            }
        }
        self.frame = Some(Box::new(OpenFrame {
            opcode: header.opcode,
            fin: header.fin,
            masking_key: header.masking_key,
            remaining: len,
            control: Vec::new(),
        }));
    }

    /// Takes payload of the open frame: first what was read straight into the message buffer, then the input.
    /// Says whether the frame is complete.
    fn take_payload(&mut self, input: &mut Input) -> Result<bool, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(true) };
        let before = frame.remaining;
        if frame.opcode.is_control() {
            let piece = frame.unmask_front(input);
            let len = piece.len();
            frame.control.extend_from_slice(piece);
            input.skip(len);
        } else if let Some(message) = &mut self.message {
            message.settle(frame)?;
            let piece = frame.unmask_front(input);
            message.append(piece, self.inflater.as_deref_mut(), &self.limits)?;
            let len = piece.len();
            input.skip(len);
            if frame.remaining < before {
                self.progressed_at = self.now;
            }
        }
        Ok(frame.remaining == 0)
    }

    /// Ends the open frame, whose payload is complete.
    fn finish_frame(&mut self) -> Result<Option<Incoming>, Violation> {
        let Some(mut frame) = self.frame.take() else { return Ok(None) };
        if frame.opcode.is_control() {
            let payload = Bytes::from(std::mem::take(&mut frame.control));
            return self.control_event(frame.opcode, payload).map(Some);
        }
        if frame.fin { self.finish_message().map(Some) } else { Ok(None) }
    }

    /// Ends the open message with its last frame.
    fn finish_message(&mut self) -> Result<Incoming, Violation> {
        let mut open = self.message.take().unwrap_or_default();
        let payload = if let (true, Some(inflater)) = (open.compressed, &mut self.inflater) {
            let before = open.inflated.len();
            inflater.finish(&mut open.inflated, self.limits.max_message_bytes)?;
            if open.is_text {
                let (_, new) = open.inflated.split_at(before);
                open.utf8.push(new).map_err(|_| Violation::InvalidUtf8)?;
            }
            if open.inflated.len().saturating_mul(MAX_SHARE) < open.inflated.capacity() {
                open.inflated.shrink_to_fit();
            }
            Bytes::from(open.inflated)
        } else {
            open.buffer.freeze()
        };
        if open.is_text {
            open.utf8.finish().map_err(|_| Violation::InvalidUtf8)?;
        }
        Ok(Incoming::Message(message(open.is_text, payload)))
    }

    /// Nothing more will be decoded: gives back what was held.
    fn end(&mut self) {
        self.ended = true;
        self.broken = None;
        self.header.len = 0;
        self.frame = None;
        self.message = None;
        self.inflater = None;
    }
}

impl OpenFrame {
    /// Unmasks what the input has of this frame's payload and counts it; the caller takes it.
    fn unmask_front<'a>(&mut self, input: &'a mut Input) -> &'a mut [u8] {
        let piece = input.front_mut(self.remaining.min(input.len()));
        self.unmask(piece);
        piece
    }

    /// Unmasks the next piece of the payload and counts it.
    fn unmask(&mut self, piece: &mut [u8]) {
        if let Some(key) = &mut self.masking_key {
            apply_mask(piece, *key);
            *key = rotate_key(*key, piece.len());
        }
        self.remaining -= piece.len();
    }
}

impl OpenMessage {
    /// Unmasks, counts and validates what came straight into the buffer.
    fn settle(&mut self, frame: &mut OpenFrame) -> Result<(), Violation> {
        let (_, new) = self.buffer.split_at_mut(self.settled);
        frame.unmask(new);
        if self.is_text {
            self.utf8.push(new).map_err(|_| Violation::InvalidUtf8)?;
        }
        self.settled = self.buffer.len();
        Ok(())
    }

    /// Adds unmasked payload.
    fn append(
        &mut self,
        piece: &[u8],
        inflater: Option<&mut Inflater>,
        limits: &Limits,
    ) -> Result<(), Violation> {
        let mut inflated = Ok(());
        let new = if let (true, Some(inflater)) = (self.compressed, inflater) {
            self.deflated_len += piece.len();
            let before = self.inflated.len();
            inflated = inflater.inflate(piece, &mut self.inflated, limits.max_message_bytes);
            self.inflated.split_at(before).1
        } else {
            self.reserve(piece.len(), limits.max_message_bytes);
            self.buffer.extend_from_slice(piece);
            self.settled = self.buffer.len();
            piece
        };
        // Text that came before the end of the stream is judged before it, or the verdict would depend on the split.
        if self.is_text {
            self.utf8.push(new).map_err(|_| Violation::InvalidUtf8)?;
        }
        inflated
    }

    /// Makes room for more payload: the capacity doubles as the message grows, and never exceeds the limit.
    fn reserve(&mut self, additional: usize, max_len: usize) {
        let (len, capacity) = (self.buffer.len(), self.buffer.capacity());
        let needed = len + additional;
        debug_assert!(needed <= max_len, "the frame was checked against the limit");
        if needed <= capacity {
            return;
        }
        let target = needed.max(capacity.saturating_mul(2).min(max_len));
        let mut bytes = if std::mem::take(&mut self.is_adopted) {
            // A copy: the rest of the allocation is not this message's to keep.
            let mut own = Vec::with_capacity(target);
            own.extend_from_slice(&std::mem::take(&mut self.buffer));
            own
        } else {
            Vec::from(std::mem::take(&mut self.buffer))
        };
        bytes.reserve_exact(target - len);
        self.buffer = Bytes::from(bytes).into();
    }
}

/// The longest compressed form of a message of `len` bytes that is taken: DEFLATE's stored blocks add 5 bytes to
/// each 16 KiB at worst, and a sender that flushes often some more.
fn max_deflated_len(len: usize) -> usize {
    len.saturating_add(len / 64).saturating_add(1024)
}

/// A message over bytes that were validated if they are text.
#[inline]
fn message(is_text: bool, payload: Bytes) -> Message {
    if is_text { Message::Text(Text::from_validated(payload)) } else { Message::Binary(payload) }
}
