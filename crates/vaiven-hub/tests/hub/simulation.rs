//! Seeded interleavings on virtual time: publishers, subscribers that come, go, stall and resume, and a broker that
//! fails, delays and is replaced. What was acknowledged is seen once and in order by everybody who resumes, or it was
//! told that it could not be.
//!
//! A failure prints its seed; `HUB_SEED=… cargo test simulation` plays it again.

use crate::support::name;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use vaiven::Message;
use vaiven_hub::{
    Acknowledgement, Batch, BoxFuture, Broker, BrokerError, ChannelName, Delivery, Ending, Epoch, History,
    HistoryQuery, Hub, HubConfig, IdempotencyKey, MemoryBroker, NewPublication, Node, Outlet, Position,
    PresenceChange, Publication, Publish, PublishError, Publishing, ReplayError, SubscribeOptions,
    Subscription, Wire,
};

const CHANNELS: [&str; 2] = ["sala", "otra"];

/// A memory broker behind a slow and faulty way: what is published waits its turn, fails, or is lost with all histories.
#[derive(Debug)]
struct Faulty {
    queue: Mutex<Vec<(Publish, Acknowledgement)>>,
    inner: Mutex<Arc<MemoryBroker>>,
    node: Mutex<Option<NodeRef>>,
    rng: Mutex<StdRng>,
    /// Faults in a hundred.
    faults: Mutex<u32>,
}

struct NodeRef(Weak<dyn Node>);

impl std::fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

impl Faulty {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            inner: Mutex::default(),
            node: Mutex::default(),
            rng: Mutex::new(StdRng::seed_from_u64(seed ^ 0xb0)),
            faults: Mutex::new(10),
        })
    }

    fn inner(&self) -> Arc<MemoryBroker> {
        self.inner.lock().unwrap().clone()
    }

    fn fails(&self) -> bool {
        let faults = *self.faults.lock().unwrap();
        self.rng.lock().unwrap().random_ratio(faults, 100)
    }

    /// Commits some of what waits, in order; one in ten groups fails as a whole.
    async fn work(self: Arc<Self>) {
        loop {
            let pause = self.rng.lock().unwrap().random_range(0..8);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let group: Vec<_> = {
                let mut queue = self.queue.lock().unwrap();
                let len = queue.len().min(self.rng.lock().unwrap().random_range(1..20));
                queue.drain(..len).collect()
            };
            let fails = self.fails();
            for (publish, acknowledgement) in group {
                if fails && publish.retention.is_some() {
                    acknowledgement.tell(Err(PublishError::Unavailable));
                } else {
                    acknowledgement.tell(self.inner().publish(publish).await);
                }
            }
            let is_replaced =
                *self.faults.lock().unwrap() > 0 && self.rng.lock().unwrap().random_ratio(1, 60);
            if is_replaced {
                self.replace().await;
            }
        }
    }

    /// The broker is killed and its histories are lost: other epochs begin.
    async fn replace(&self) {
        let node = self.node.lock().unwrap().as_ref().map(|node| node.0.clone()).unwrap();
        let new = Arc::new(MemoryBroker::new());
        new.attach(node.clone());
        *self.inner.lock().unwrap() = new.clone();
        for channel in CHANNELS {
            let position = new.subscribe(&name(channel)).await.unwrap();
            node.upgrade().unwrap().interrupt(&name(channel), &position);
        }
    }
}

impl Broker for Faulty {
    fn attach(&self, node: Weak<dyn Node>) {
        self.inner().attach(node.clone());
        *self.node.lock().unwrap() = Some(NodeRef(node));
    }

    fn publish(&self, publish: Publish) -> Publishing {
        let (acknowledgement, publishing) = Publishing::pending();
        self.queue.lock().unwrap().push((publish, acknowledgement));
        publishing
    }

    fn subscribe<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Position, BrokerError>> {
        Box::pin(async move {
            if self.fails() {
                return Err(BrokerError);
            }
            self.inner().subscribe(channel).await
        })
    }

    fn unsubscribe(&self, _channel: &ChannelName) {}

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<History, BrokerError>> {
        Box::pin(async move {
            let pause = self.rng.lock().unwrap().random_range(0..4);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.fails() {
                return Err(BrokerError);
            }
            self.inner().history(channel, query).await
        })
    }
}

/// Writes epoch, offset and data.
#[derive(Debug)]
struct Exact;

impl Wire for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn publication(&self, _channel: &ChannelName, publication: &Publication) -> Vec<Message> {
        let Some(at) = &publication.position else { return Vec::new() };
        let data = std::str::from_utf8(publication.data.bytes()).unwrap();
        vec![Message::text(format!("{} {} {data}", at.epoch.as_str(), at.offset))]
    }

    fn presence(&self, _channel: &ChannelName, _change: &PresenceChange) -> Vec<Message> {
        Vec::new()
    }
}

/// A client: what it has seen, checked as it comes, and a socket that may stall.
#[derive(Debug, Default)]
struct Client {
    state: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    position: Option<Position>,
    publications: HashMap<(String, u64), String>,
    waiting: usize,
    stalled: bool,
    ended: bool,
}

impl Client {
    fn take(&self, batch: &Batch) {
        let mut state = self.state.lock().unwrap();
        for message in batch.frames().messages() {
            let text = message.message().as_text().unwrap();
            let mut words = text.split(' ');
            let (epoch, offset) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
            let expected = state.position.clone().unwrap();
            assert_eq!(
                (epoch, offset),
                (expected.epoch.as_str(), expected.offset + 1),
                "a gap, a double or disorder"
            );
            state.position = Some(Position { epoch: Epoch::new(epoch), offset });
            state.publications.insert((epoch.to_owned(), offset), words.next().unwrap().to_owned());
        }
    }
}

impl Outlet for Client {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        let mut state = self.state.lock().unwrap();
        if state.ended {
            return Delivery::Gone;
        }
        if state.stalled {
            state.waiting += batch.frames().messages().len();
            // What a socket took and never brought across is as if it had not been sent.
            return if state.waiting > 20 { Delivery::Full } else { Delivery::Taken };
        }
        drop(state);
        self.take(batch);
        Delivery::Taken
    }

    fn is_idle(&self) -> bool {
        !self.state.lock().unwrap().stalled
    }

    fn end(&self, _channel: &ChannelName, _ending: Ending) {
        self.state.lock().unwrap().ended = true;
    }
}

/// Comes, listens for a while, goes or stalls, and comes back with its position.
async fn subscriber(
    hub: Hub,
    channel: ChannelName,
    client: Arc<Client>,
    seed: u64,
    until: tokio::time::Instant,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    while tokio::time::Instant::now() < until {
        if let Some(_subscription) = resume(&hub, &channel, &client, &mut rng).await {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            if rng.random_ratio(1, 3) {
                client.state.lock().unwrap().stalled = true;
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            }
            // The connection is lost: nothing more comes across.
            client.state.lock().unwrap().ended = true;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
    }
}

/// Subscribes from where the client is and replays. `None` where that failed.
async fn resume(
    hub: &Hub,
    channel: &ChannelName,
    client: &Arc<Client>,
    rng: &mut StdRng,
) -> Option<Subscription> {
    let since = client.state.lock().unwrap().position.clone();
    let options =
        SubscribeOptions { since: since.clone(), last: rng.random_range(0..20), ..Default::default() };
    let mut subscription = hub.subscribe(channel, options, client.clone(), &Exact).await.ok()?;
    {
        let mut state = client.state.lock().unwrap();
        (state.ended, state.stalled, state.waiting) = (false, false, 0);
        if subscription.recovered() == Some(true) {
            assert_eq!(subscription.position(), since.as_ref());
        } else {
            assert_eq!(since.is_some(), subscription.recovered().is_some());
            state.position = subscription.position().cloned();
        }
    }
    loop {
        match subscription.replay().await {
            Ok(Some(batch)) => client.take(&batch),
            Ok(None) => return Some(subscription),
            Err(ReplayError::Lost | ReplayError::Unavailable | _) => return None,
        }
        if rng.random_ratio(1, 2) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..5))).await;
        }
    }
}

type Kept = Arc<Mutex<HashMap<(ChannelName, String, u64), String>>>;

/// Publishes with keys, without waiting for one before the next, and repeats what failed.
async fn publisher(hub: Hub, number: usize, seed: u64, until: tokio::time::Instant, kept: Kept) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut count = 0;
    let mut latest: HashMap<(ChannelName, Epoch), (u64, u64)> = HashMap::new();
    while tokio::time::Instant::now() < until {
        let channel = name(CHANNELS[rng.random_range(0..CHANNELS.len())]);
        let begun: Vec<_> = (0..rng.random_range(1..6))
            .map(|_| {
                count += 1;
                let data = format!("{number}-{count}");
                let publication = NewPublication {
                    idempotency: IdempotencyKey::new(&data),
                    ..NewPublication::json(data.clone())
                };
                (count, data, hub.publish(&channel, publication.clone()), publication)
            })
            .collect();
        for (count, data, publishing, publication) in begun {
            let mut outcome = publishing.await;
            if outcome.is_err() && rng.random_ratio(1, 2) {
                outcome = hub.publish(&channel, publication).await;
            } else if let Ok(published) = &outcome {
                let position = published.position.clone().unwrap();
                let before = latest.insert((channel.clone(), position.epoch), (count, position.offset));
                assert!(
                    before.is_none_or(|before| before < (count, position.offset)),
                    "the order of the calls"
                );
            }
            if let Ok(published) = outcome {
                let at = published.position.unwrap();
                let place = (channel.clone(), at.epoch.as_str().to_owned(), at.offset);
                let before = kept.lock().unwrap().insert(place, data.clone());
                assert!(before.is_none_or(|before| before == data), "one place, two publications");
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..30))).await;
    }
}

async fn run(seed: u64) -> (usize, u64, u64) {
    let mut config = HubConfig::default();
    let mut rng = StdRng::seed_from_u64(seed);
    config.namespaces.get_mut("").unwrap().history_size = rng.random_range(30..600);
    config.recent_bytes = [0, 4_000, 1 << 20][rng.random_range(0..3)];
    let broker = Faulty::new(seed);
    let hub = Hub::new(config, broker.clone());
    let worker = tokio::spawn(broker.clone().work());
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    let kept = Kept::default();
    let mut tasks = Vec::new();
    let mut clients = Vec::new();
    for number in 0..3 {
        tasks.push(tokio::spawn(publisher(hub.clone(), number, rng.random(), until, kept.clone())));
    }
    for number in 0..8 {
        let client = Arc::new(Client::default());
        let channel = name(CHANNELS[number % CHANNELS.len()]);
        tasks.push(tokio::spawn(subscriber(
            hub.clone(),
            channel.clone(),
            client.clone(),
            rng.random(),
            until,
        )));
        clients.push((channel, client));
    }
    for task in tasks {
        task.await.unwrap_or_else(|error| panic!("HUB_SEED={seed}: {error}"));
    }
    *broker.faults.lock().unwrap() = 0;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (channel, client) in &clients {
        let live = resume(&hub, channel, client, &mut rng).await.expect("nothing fails any more");
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(live);
        let head = hub.history(channel, HistoryQuery::default()).await.unwrap().position;
        let state = client.state.lock().unwrap();
        assert_eq!(state.position.as_ref(), Some(&head), "HUB_SEED={seed}: somebody did not get to the end");
        for ((epoch, offset), data) in &state.publications {
            let acknowledged = kept.lock().unwrap().get(&(channel.clone(), epoch.clone(), *offset)).cloned();
            assert!(acknowledged.is_none_or(|kept| kept == *data), "HUB_SEED={seed}: another content");
        }
    }
    worker.abort();
    let figures = hub.figures();
    let kept = kept.lock().unwrap().len();
    (kept, figures.recovered, figures.unrecoverable)
}

#[test]
fn whoever_resumes_sees_everything_once_and_in_order_or_is_told() {
    let seeds = match std::env::var("HUB_SEED") {
        Ok(seed) => vec![seed.parse().expect("a seed is a number")],
        Err(_) => (0..30).collect(),
    };
    let is_one = seeds.len() == 1;
    let mut total = (0, 0, 0);
    for seed in seeds {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run(seed))));
        let (kept, recovered, unrecoverable) =
            ran.unwrap_or_else(|_| panic!("it failed with HUB_SEED={seed}"));
        total = (total.0 + kept, total.1 + recovered, total.2 + unrecoverable);
    }
    // A simulation in which nothing happens proves nothing.
    assert!(is_one || (total.0 > 5_000 && total.1 > 500 && total.2 > 50), "{total:?}");
}
