//! A message that is framed, and where wanted compressed, once and sent to many.

use crate::deflate::{Compression, DeflateConfig, DeflateParams, Deflater, WindowBits};
use crate::frame::{FrameHeader, OpCode};
use crate::{Message, Role};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// A message to many connections: every server connection sends the same bytes of one frame.
///
/// A clone shares the frames. Compressed forms are made on first use, one per window size, without reference to
/// earlier messages, so that they are right on every connection.
///
/// ```
/// use vaiven_proto::{Message, Prepared};
/// let news = Prepared::new(Message::text("hola"));
/// assert_eq!(&news.frame()[..], b"\x81\x04hola");
/// ```
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    message: Message,
    plain: Bytes,
    /// By window bits, 8 to 15; `None` inside where compression does not shorten it.
    compressed: [OnceLock<Option<Bytes>>; 8],
}

impl Prepared {
    /// Frames the message.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let plain = server_frame(&message, message.as_bytes(), false);
        Self(Arc::new(Forms { message, plain, compressed: Default::default() }))
    }

    /// The message itself.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The frame as a server sends it without compression.
    pub fn frame(&self) -> &Bytes {
        &self.0.plain
    }

    /// The frame compressed as `params` ask, or `None` where that does not shorten it.
    pub(crate) fn compressed(&self, params: DeflateParams, config: DeflateConfig) -> Option<&Bytes> {
        let slot = usize::from(params.server_max_window_bits.bits() - WindowBits::MIN.bits());
        let form = self.0.compressed.get(slot)?.get_or_init(|| {
            let independent = DeflateParams { server_no_context_takeover: true, ..params };
            let config = DeflateConfig { min_bytes: 0, ..config };
            let mut out = Vec::new();
            let compression = Deflater::new(Role::Server, &independent, &config)
                .compress(self.0.message.as_bytes(), &mut out);
            (compression == Compression::Compressed).then(|| server_frame(&self.0.message, &out, true))
        });
        form.as_ref()
    }
}

/// Messages to many connections that leave together: their frames are joined once for all.
///
/// ```
/// use vaiven_proto::{Message, Prepared, PreparedBatch};
/// let batch = PreparedBatch::new(vec![Prepared::new(Message::text("a")), Prepared::new(Message::text("b"))]);
/// assert_eq!(&batch.frames()[..], b"\x81\x01a\x81\x01b");
/// ```
#[derive(Clone, Debug)]
pub struct PreparedBatch {
    messages: Vec<Prepared>,
    frames: Bytes,
    longest_frame: usize,
}

impl PreparedBatch {
    /// Joins the messages in their order.
    pub fn new(messages: Vec<Prepared>) -> Self {
        let lengths = messages.iter().map(|message| message.frame().len());
        let (longest_frame, len) = (lengths.clone().max().unwrap_or(0), lengths.sum());
        let frames = if let [message] = &messages[..] {
            message.frame().clone()
        } else {
            let mut frames = Vec::with_capacity(len);
            for message in &messages {
                frames.extend_from_slice(message.frame());
            }
            Bytes::from(frames)
        };
        Self { messages, frames, longest_frame }
    }

    /// The messages, in order.
    pub fn messages(&self) -> &[Prepared] {
        &self.messages
    }

    /// All frames as a server sends them without compression.
    pub fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// The length of the longest frame.
    pub(crate) fn longest_frame(&self) -> usize {
        self.longest_frame
    }
}

/// One unmasked, final frame around a payload.
fn server_frame(message: &Message, payload: &[u8], compressed: bool) -> Bytes {
    let mut frame = Vec::with_capacity(FrameHeader::MAX_BYTES + payload.len());
    let opcode = if message.is_text() { OpCode::Text } else { OpCode::Binary };
    let payload_len = payload.len() as u64;
    FrameHeader { fin: true, rsv1: compressed, opcode, masking_key: None, payload_len }.write(&mut frame);
    frame.extend_from_slice(payload);
    frame.shrink_to_fit();
    Bytes::from(frame)
}
