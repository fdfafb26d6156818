//! Where a client's messages go: a WebSocket, or a stream of Server-Sent Events. Shared by the session, its
//! subscriptions and whoever ends it from outside.

use crate::environment::Chance;
use crate::events::EventQueue;
use crate::protocol::reply::{Disconnect, Reply};
use crate::route::Route;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vaiven::{CloseCode, CloseFrame, Message, PreparedBatch, Sender, TrySendError};
use vaiven_hub::{Batch, ChannelName, Delivery, Ending, Outlet};

/// The way to a client of `vaiven.v1.json`.
#[derive(Debug)]
pub(crate) struct ClientOutlet {
    way: Way,
    /// Something was said since this was asked last.
    spoke: AtomicBool,
    chance: Arc<Chance>,
}

#[derive(Debug)]
enum Way {
    Socket(Sender),
    Stream(Arc<EventQueue>),
}

/// The client cannot be told anything any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// The last word to a client, and the code of the Close frame behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
    /// The earliest time for the next try.
    pub(crate) retry: Option<Duration>,
}

impl ClientOutlet {
    pub(crate) fn socket(sender: Sender, chance: &Arc<Chance>) -> Arc<Self> {
        Self::new(Way::Socket(sender), chance)
    }

    pub(crate) fn stream(queue: Arc<EventQueue>, chance: &Arc<Chance>) -> Arc<Self> {
        Self::new(Way::Stream(queue), chance)
    }

    fn new(way: Way, chance: &Arc<Chance>) -> Arc<Self> {
        Arc::new(Self { way, spoke: AtomicBool::new(false), chance: Arc::clone(chance) })
    }

    /// Where the client came in, as metrics name it.
    pub(crate) fn route(&self) -> &'static str {
        match &self.way {
            Way::Socket(_) => Route::V1.pattern(),
            Way::Stream(_) => Route::Events.pattern(),
        }
    }

    /// Bytes that wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        match &self.way {
            Way::Socket(sender) => sender.buffered_amount(),
            Way::Stream(queue) => queue.waiting(),
        }
    }

    /// The secret by which a client of Server-Sent Events names its stream.
    pub(crate) fn stream_secret(&self) -> Option<&str> {
        match &self.way {
            Way::Socket(_) => None,
            Way::Stream(queue) => Some(queue.secret()),
        }
    }

    /// Says something if there is room for it. Otherwise the message comes back; not so where the client is gone.
    pub(crate) fn try_say(&self, message: Message) -> Result<(), Option<Message>> {
        self.spoke.store(true, Ordering::Relaxed);
        match &self.way {
            Way::Socket(sender) => sender.try_send(message).map_err(|error| match error {
                TrySendError::Full(message) => Some(message),
                TrySendError::Closing(_) => None,
            }),
            Way::Stream(queue) => match queue.try_push(std::slice::from_ref(&message)) {
                Delivery::Taken => Ok(()),
                Delivery::Full => Err(Some(message)),
                Delivery::Gone => Err(None),
            },
        }
    }

    /// Says something as soon as there is room. On the heap, as it is seldom needed.
    pub(crate) fn say(
        self: Arc<Self>,
        message: Message,
    ) -> Pin<Box<dyn Future<Output = Result<(), Gone>> + Send>> {
        Box::pin(async move {
            match &self.way {
                Way::Socket(sender) => sender.send(message).await.map_err(|_| Gone),
                Way::Stream(queue) => queue.push(message).await.map_err(|_| Gone),
            }
        })
    }

    /// Says a piece of a replay as soon as there is room for all of it.
    pub(crate) async fn say_batch(&self, batch: &PreparedBatch) -> Result<(), Gone> {
        self.spoke.store(true, Ordering::Relaxed);
        match &self.way {
            Way::Socket(sender) => send_batch(sender, batch).await,
            Way::Stream(queue) => queue.push_batch(batch).await.map_err(|_| Gone),
        }
    }

    /// Whether something was said since this was asked last.
    pub(crate) fn spoke(&self) -> bool {
        self.spoke.swap(false, Ordering::Relaxed)
    }

    /// Says the last word, where there is room for it, and begins the closing handshake.
    pub(crate) fn close(&self, farewell: &Farewell) {
        let Farewell { code, reason, retry } = *farewell;
        let last = Reply::Disconnect(Disconnect { code: code.value(), reason, retry }).to_message();
        match &self.way {
            Way::Socket(sender) => {
                // A full outbox has room for the Close frame alone, which says the same.
                let _ = sender.try_send(last);
                sender.close(Some(&CloseFrame::new(code, reason)));
            }
            Way::Stream(queue) => queue.close(code, Some(&last)),
        }
    }
}

impl Outlet for ClientOutlet {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        self.spoke.store(true, Ordering::Relaxed);
        match &self.way {
            Way::Socket(sender) => deliver(sender, batch.frames()),
            Way::Stream(queue) => queue.try_push_batch(batch.frames()),
        }
    }

    fn is_idle(&self) -> bool {
        match &self.way {
            Way::Socket(sender) => sender.buffered_amount() == 0,
            Way::Stream(queue) => queue.waiting() == 0,
        }
    }

    fn end(&self, _: &ChannelName, ending: Ending) {
        let retry = Some(self.chance.about(Duration::from_secs(1)));
        self.close(&Farewell { retry, ..farewell(ending) });
    }
}

/// The way to a plain member of a room. It has a place in the channel before there is a connection.
#[derive(Debug, Default)]
pub(crate) struct PlainOutlet(OnceLock<Sender>);

impl PlainOutlet {
    /// The connection that came of the handshake.
    pub(crate) fn open(&self, sender: Sender) {
        let is_first = self.0.set(sender).is_ok();
        debug_assert!(is_first, "a handshake leads to one connection");
    }

    /// Gives the member a piece of a replay as soon as there is room for all of it.
    pub(crate) async fn say_batch(&self, batch: &PreparedBatch) -> Result<(), Gone> {
        send_batch(self.0.get().ok_or(Gone)?, batch).await
    }
}

impl Outlet for PlainOutlet {
    #[inline]
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        self.0.get().map_or(Delivery::Gone, |sender| deliver(sender, batch.frames()))
    }

    fn is_idle(&self) -> bool {
        self.0.get().is_some_and(|sender| sender.buffered_amount() == 0)
    }

    fn end(&self, _: &ChannelName, ending: Ending) {
        if let Some(sender) = self.0.get() {
            let Farewell { code, reason, .. } = farewell(ending);
            sender.close(Some(&CloseFrame::new(code, reason)));
        }
    }
}

/// Waits until all that was queued has left, where a batch does not fit beside it.
async fn send_batch(sender: &Sender, batch: &PreparedBatch) -> Result<(), Gone> {
    while !batch.messages().is_empty() && !sender.try_send_batch(batch) {
        if !sender.is_open() {
            return Err(Gone);
        }
        sender.flush().await.map_err(|_| Gone)?;
    }
    Ok(())
}

#[inline]
fn deliver(sender: &Sender, frames: &PreparedBatch) -> Delivery {
    if frames.messages().is_empty() || sender.try_send_batch(frames) {
        Delivery::Taken
    } else if sender.is_open() {
        Delivery::Full
    } else {
        Delivery::Gone
    }
}

/// What a client is told whose subscription cannot go on. In each case it may come back with its position.
fn farewell(ending: Ending) -> Farewell {
    let code = if ending == Ending::Fault { CloseCode::INTERNAL } else { CloseCode::TRY_AGAIN };
    Farewell { code, reason: ending.reason(), retry: None }
}
