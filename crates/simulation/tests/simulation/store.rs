//! A store that is slow and fails, outlives servers, and may lose all that it knew.

use crate::ledger::Ledger;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use vaiven_hub::{
    Acknowledgement, BoxFuture, Broker, BrokerError, ChannelName, History, HistoryQuery, Maker, MemoryBroker,
    Node, Position, Publication, Publish, PublishError, Publishing,
};

/// Publications that are committed at once, at most.
const MAX_GROUP: usize = 20;

/// The broker of all servers that there are one after the other.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    relay: Arc<Relay>,
}

#[derive(Debug)]
struct State {
    random: SmallRng,
    histories: Arc<MemoryBroker>,
    /// Published, and not yet committed.
    queue: VecDeque<(Publish, Acknowledgement)>,
    /// Faults in a hundred.
    faults: u32,
}

/// Stands between the histories and the hub of the server that runs now, and writes the ledger.
pub(crate) struct Relay {
    node: Mutex<Option<Weak<dyn Node>>>,
    ledger: Arc<Ledger>,
}

impl Store {
    pub(crate) fn new(seed: u64, ledger: &Arc<Ledger>) -> Arc<Self> {
        let relay = Arc::new(Relay { node: Mutex::default(), ledger: Arc::clone(ledger) });
        let state = State {
            random: SmallRng::seed_from_u64(seed),
            histories: Self::histories(&relay),
            queue: VecDeque::new(),
            faults: 0,
        };
        Arc::new(Self { state: Mutex::new(state), relay })
    }

    fn histories(relay: &Arc<Relay>) -> Arc<MemoryBroker> {
        let histories = Arc::new(MemoryBroker::new());
        let node: Arc<dyn Node> = Arc::clone(relay) as _;
        histories.attach(Arc::downgrade(&node));
        histories
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on so many of a hundred groups and questions fail.
    pub(crate) fn fail(&self, faults: u32) {
        self.lock().faults = faults;
    }

    /// Commits what was published, in order, for as long as the store lives.
    pub(crate) async fn work(self: Arc<Self>) {
        loop {
            let pause = self.lock().random.random_range(0..12);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let (group, fails) = self.lock().next_group();
            self.commit(group, fails).await;
        }
    }

    async fn commit(&self, group: Vec<(Publish, Acknowledgement)>, fails: bool) {
        for (publish, acknowledgement) in group {
            if fails && publish.retention.is_some() {
                self.relay.ledger.refused(&publish.publication);
                acknowledgement.tell(Err(PublishError::Unavailable));
            } else {
                let histories = Arc::clone(&self.lock().histories);
                acknowledgement.tell(histories.publish(publish).await);
            }
        }
    }

    /// The server is killed: of what it had published a part is committed, and nobody is told of either.
    pub(crate) async fn crash(&self) {
        *self.relay.node.lock().unwrap() = None;
        let (group, _) = self.lock().next_group();
        self.lock().queue.clear();
        self.commit(group, false).await;
        self.relay.ledger.server_ended();
    }

    /// All histories are lost, and what was known of publications that were sent before: other epochs begin.
    pub(crate) async fn forget(&self, channels: &[&str]) {
        self.relay.ledger.forgotten();
        let histories = Self::histories(&self.relay);
        self.lock().histories = Arc::clone(&histories);
        for channel in channels {
            let channel = ChannelName::parse(channel).unwrap();
            let position = histories.subscribe(&channel).await.unwrap();
            self.relay.interrupt(&channel, &position);
        }
    }

    /// Waits as a store does, and says whether it fails.
    async fn answer(&self) -> Result<(), BrokerError> {
        let pause = self.lock().random.random_range(0..6);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if self.lock().fails() { Err(BrokerError) } else { Ok(()) }
    }
}

impl State {
    fn fails(&mut self) -> bool {
        let faults = self.faults;
        self.random.random_ratio(faults, 100)
    }

    fn next_group(&mut self) -> (Vec<(Publish, Acknowledgement)>, bool) {
        let len = self.random.random_range(1..=MAX_GROUP).min(self.queue.len());
        (self.queue.drain(..len).collect(), self.fails())
    }
}

impl Broker for Store {
    fn attach(&self, node: Weak<dyn Node>) {
        *self.relay.node.lock().unwrap() = Some(node);
    }

    fn publish(&self, publish: Publish) -> Publishing {
        let (acknowledgement, publishing) = Publishing::pending();
        self.lock().queue.push_back((publish, acknowledgement));
        publishing
    }

    fn subscribe<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Position, BrokerError>> {
        Box::pin(async move {
            self.answer().await?;
            let histories = Arc::clone(&self.lock().histories);
            histories.subscribe(channel).await
        })
    }

    fn unsubscribe(&self, _channel: &ChannelName) {}

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<History, BrokerError>> {
        Box::pin(async move {
            self.answer().await?;
            let histories = Arc::clone(&self.lock().histories);
            histories.history(channel, query).await
        })
    }
}

impl Relay {
    fn node(&self) -> Option<Arc<dyn Node>> {
        self.node.lock().unwrap().as_ref().and_then(Weak::upgrade)
    }
}

impl Node for Relay {
    fn deliver(&self, channel: &ChannelName, publications: &[Arc<Publication>]) {
        for publication in publications {
            self.ledger.published(channel.as_str(), publication);
        }
        if let Some(node) = self.node() {
            node.deliver(channel, publications);
        }
    }

    fn interrupt(&self, channel: &ChannelName, position: &Position) {
        if let Some(node) = self.node() {
            node.interrupt(channel, position);
        }
    }

    fn may_make(&self, channel: &ChannelName, maker: Maker, age: Duration) -> bool {
        self.node().is_none_or(|node| node.may_make(channel, maker, age))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}
