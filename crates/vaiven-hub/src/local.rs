//! A subscriber inside of the program.

use crate::outlet::{Batch, Delivery, Ending, Event, Outlet};
use crate::{
    ChannelName, Hub, PresenceChange, Publication, ReplayError, SubscribeError, SubscribeOptions,
    Subscription, Wire,
};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use vaiven::Message;

/// Events that may wait to be received: several turns' worth.
const CAPACITY: usize = 4_096;

/// Receives what a channel says, inside of the program: for a game that runs in the server, and for embedding.
///
/// One that does not receive for long is ended, as any other slow consumer, and may subscribe again from where it was.
#[derive(Debug)]
pub struct LocalSubscriber {
    subscription: Subscription,
    replayed: VecDeque<Event>,
    queue: mpsc::Receiver<Event>,
}

impl LocalSubscriber {
    /// Subscribes.
    ///
    /// # Errors
    /// As [`Hub::subscribe`].
    pub async fn join(
        hub: &Hub,
        channel: &ChannelName,
        options: SubscribeOptions,
    ) -> Result<Self, SubscribeError> {
        let (sender, queue) = mpsc::channel(CAPACITY);
        let outlet = Arc::new(Queue(std::sync::Mutex::new(Some(sender))));
        let subscription = hub.subscribe(channel, options, outlet, &Unwritten).await?;
        let mut subscriber = Self { subscription, replayed: VecDeque::new(), queue };
        // With nothing to replay it is live at once.
        subscriber.replay().await.map_err(|_| SubscribeError::Unavailable)?;
        Ok(subscriber)
    }

    /// Where it began, and whether it recovered what it missed.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// The next publication. `None` when the subscription was ended and nothing is left.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost.
    pub async fn recv(&mut self) -> Option<Arc<Publication>> {
        loop {
            if let Event::Publication(publication) = self.event().await? {
                return Some(publication);
            }
        }
    }

    /// The next event, presence included. `None` when the subscription was ended and nothing is left.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is lost.
    pub async fn event(&mut self) -> Option<Event> {
        if self.replayed.is_empty() && !self.subscription.is_live() {
            self.replay().await.ok()?;
        }
        match self.replayed.pop_front() {
            Some(event) => Some(event),
            None => self.queue.recv().await,
        }
    }

    async fn replay(&mut self) -> Result<(), ReplayError> {
        if let Some(batch) = self.subscription.replay().await? {
            self.replayed.extend(batch.events);
        }
        Ok(())
    }
}

/// A bounded queue; without a sender it was ended.
#[derive(Debug)]
struct Queue(std::sync::Mutex<Option<mpsc::Sender<Event>>>);

impl Outlet for Queue {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        let sender = crate::hub::lock(&self.0);
        let Some(sender) = &*sender else { return Delivery::Gone };
        match sender.try_reserve_many(batch.events().len()) {
            Ok(permits) => {
                permits.zip(batch.events()).for_each(|(permit, event)| permit.send(event.clone()));
                Delivery::Taken
            }
            Err(mpsc::error::TrySendError::Full(())) => Delivery::Full,
            Err(mpsc::error::TrySendError::Closed(())) => Delivery::Gone,
        }
    }

    fn is_idle(&self) -> bool {
        crate::hub::lock(&self.0).as_ref().is_some_and(|sender| sender.capacity() == sender.max_capacity())
    }

    fn end(&self, _channel: &ChannelName, _ending: Ending) {
        *crate::hub::lock(&self.0) = None;
    }
}

/// The wire of those who read events and no messages.
#[derive(Debug)]
struct Unwritten;

impl Wire for Unwritten {
    fn name(&self) -> &'static str {
        "local"
    }

    fn publication(&self, _channel: &ChannelName, _publication: &Publication) -> Vec<Message> {
        Vec::new()
    }

    fn presence(&self, _channel: &ChannelName, _change: &PresenceChange) -> Vec<Message> {
        Vec::new()
    }
}
