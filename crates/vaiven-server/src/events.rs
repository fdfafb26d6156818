//! The messages of a session as Server-Sent Events: a queue that the session and the hub fill and a response body
//! drains. Bounded in bytes like the outbox of a WebSocket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use hyper::body::{Body, Frame};
use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use vaiven::{CloseCode, Message, PreparedBatch};
use vaiven_hub::Delivery;

/// Events that wait for a client.
#[derive(Debug)]
pub(crate) struct EventQueue {
    secret: String,
    state: Mutex<State>,
    /// Wakes the response.
    reader: AtomicWaker,
    /// Told when the response has taken what waited.
    room: Notify,
    max_bytes: usize,
    /// Events carry their positions as ids.
    names_positions: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    epoch: String,
    is_closed: bool,
    /// With which code it was closed, if that was on purpose.
    code: Option<CloseCode>,
}

/// The queue as the body of a response. Dropped, the client is gone.
#[derive(Debug)]
pub(crate) struct EventBody {
    queue: Arc<EventQueue>,
    /// What there is for as long as the response.
    _held: Box<dyn Any + Send + Sync>,
}

/// The client cannot be told anything any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl EventQueue {
    /// An empty one, which its client names by a secret. `names_positions`, for the reader of a single channel, gives
    /// events their positions as ids.
    pub(crate) fn new(secret: String, max_bytes: usize, names_positions: bool) -> Arc<Self> {
        Arc::new(Self {
            secret,
            state: Mutex::default(),
            reader: AtomicWaker::new(),
            room: Notify::new(),
            max_bytes,
            names_positions,
        })
    }

    /// The name of the stream.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Queues a message as soon as there is room.
    pub(crate) async fn push(&self, message: Message) -> Result<(), Closed> {
        self.push_all(std::slice::from_ref(&message)).await
    }

    /// Queues a batch as soon as there is room for all of it.
    pub(crate) async fn push_batch(&self, batch: &PreparedBatch) -> Result<(), Closed> {
        let messages: Vec<_> = batch.messages().iter().map(|prepared| prepared.message().clone()).collect();
        self.push_all(&messages).await
    }

    async fn push_all(&self, messages: &[Message]) -> Result<(), Closed> {
        loop {
            let room = self.room.notified();
            match self.try_push(messages) {
                Delivery::Taken => return Ok(()),
                Delivery::Gone => return Err(Closed),
                Delivery::Full => room.await,
            }
        }
    }

    /// Queues a batch if there is room for all of it.
    pub(crate) fn try_push_batch(&self, batch: &PreparedBatch) -> Delivery {
        let messages: Vec<_> = batch.messages().iter().map(|prepared| prepared.message().clone()).collect();
        self.try_push(&messages)
    }

    /// Queues messages if there is room for all of them.
    pub(crate) fn try_push(&self, messages: &[Message]) -> Delivery {
        let mut state = self.lock();
        if state.is_closed {
            return Delivery::Gone;
        }
        let len: usize = messages.iter().map(Message::len).sum();
        if !state.waiting.is_empty() && state.waiting.len() + len > self.max_bytes {
            return Delivery::Full;
        }
        for message in messages {
            self.write(&mut state, message);
        }
        drop(state);
        self.reader.wake();
        Delivery::Taken
    }

    /// Bytes that the response has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The code with which it was closed; `None` where it was not, or the client is gone.
    pub(crate) fn close_code(&self) -> Option<CloseCode> {
        self.lock().code
    }

    /// Says the last word, if there is one; the response ends behind it.
    pub(crate) fn close(&self, code: CloseCode, last: Option<&Message>) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.is_closed, true) {
            state.code = Some(code);
            if let Some(last) = last {
                self.write(&mut state, last);
            }
        }
        drop(state);
        self.reader.wake();
        self.room.notify_waiters();
    }

    /// All that waits, for a test without a response.
    #[cfg(test)]
    pub(crate) fn take_all(&self) -> Bytes {
        self.lock().waiting.split().freeze()
    }

    fn write(&self, state: &mut State, message: &Message) {
        if self.names_positions {
            Self::write_id(state, message);
        }
        match message {
            Message::Text(text) => {
                // A client joins the lines again: data may be JSON over several of them.
                for line in text.split(['\n', '\r']) {
                    state.waiting.extend_from_slice(b"data: ");
                    state.waiting.extend_from_slice(line.as_bytes());
                    state.waiting.put_u8(b'\n');
                }
            }
            Message::Binary(bytes) => {
                state.waiting.extend_from_slice(b"event: binary\ndata: ");
                state.waiting.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                state.waiting.put_u8(b'\n');
            }
        }
        state.waiting.put_u8(b'\n');
    }

    /// Names the event by the position behind it, which `subscribed` and each `message` have.
    fn write_id(state: &mut State, message: &Message) {
        #[derive(serde::Deserialize)]
        struct Place {
            epoch: Option<String>,
            offset: Option<u64>,
        }
        let line = message.as_bytes().split(|byte| *byte == b'\n');
        let json =
            if message.is_text() { message.as_bytes() } else { line.into_iter().next().unwrap_or_default() };
        let Ok(Place { epoch, offset: Some(offset) }) = serde_json::from_slice(json) else { return };
        if let Some(epoch) = epoch {
            state.epoch = epoch;
        }
        let id = format!("id: {}:{offset}\n", state.epoch);
        state.waiting.extend_from_slice(id.as_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventBody {
    /// The events of a queue. `held` is dropped when the response is over.
    pub(crate) fn new(queue: Arc<EventQueue>, held: impl Any + Send + Sync) -> Self {
        Self { queue, _held: Box::new(held) }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let queue = &self.queue;
        queue.reader.register(cx.waker());
        let mut state = queue.lock();
        if !state.waiting.is_empty() {
            let bytes = state.waiting.split().freeze();
            drop(state);
            queue.room.notify_waiters();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if state.is_closed { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.room.notify_waiters();
    }
}
