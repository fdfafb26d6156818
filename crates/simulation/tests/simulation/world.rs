//! A seed happens: people come, publish and subscribe while everything around them fails; then it calms down, and
//! everybody must get to the same end.

use crate::ledger::Ledger;
use crate::network::{Network, SECRET, settings};
use crate::publisher::Publisher;
use crate::store::Store;
use crate::subscriber::{Seen, Subscriber};
use crate::trace::Trace;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ring::hmac;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use vaiven_client::{Builder, Client, Contract, Error, Published, Status, Subscribe};

/// Channels of the `reliable` contract; the namespace `short` keeps little.
pub(crate) const RELIABLE: [&str; 3] = ["sala", "otra", "short:one"];
/// Channels of the others.
pub(crate) const UNRELIABLE: [&str; 2] = ["latest:a", "live:a"];
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
/// Virtual time after which a world that has calmed down must have come to its end: a client takes up to 35 s to notice
/// that a connection is dead and up to 20 s to come back, several of them one after the other.
const PATIENCE: Duration = Duration::from_mins(4);

/// What happened in a world, or in many.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    acknowledged: u64,
    uncertain: u64,
    refused: u64,
    seen: u64,
    recovered: u64,
    lost: u64,
    connections: u64,
    kills: u64,
    forgotten: u64,
    slow_consumers: u64,
    pub(crate) trace: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.uncertain += other.uncertain;
        self.refused += other.refused;
        self.seen += other.seen;
        self.recovered += other.recovered;
        self.lost += other.lost;
        self.connections += other.connections;
        self.kills += other.kills;
        self.forgotten += other.forgotten;
        self.slow_consumers += other.slow_consumers;
    }

    /// So many seeds have seen enough of everything.
    pub(crate) fn assert_eventful(&self, seeds: u64) {
        let least = [
            (self.acknowledged, 100),
            (self.uncertain, 1),
            (self.refused, 1),
            (self.seen, 300),
            (self.recovered, 5),
            (self.lost, 1),
            (self.connections, 20),
            (self.kills, 1),
        ];
        for (at, (count, each)) in least.into_iter().enumerate() {
            assert!(count >= each * seeds, "too little happens: the figure {at} of {self:?}");
        }
    }
}

/// Whether the world is wild still, and what is counted in it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    is_calm: AtomicBool,
    figures: Mutex<Figures>,
}

impl Life {
    pub(crate) fn is_wild(&self) -> bool {
        !self.is_calm.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap());
    }

    pub(crate) fn count(&self, outcome: &Result<Published, Error>) {
        self.change(|figures| match outcome {
            Ok(_) => figures.acknowledged += 1,
            Err(Error::Uncertain) => figures.uncertain += 1,
            Err(_) => figures.refused += 1,
        });
    }

    pub(crate) fn seen(&self) {
        self.change(|figures| figures.seen += 1);
    }

    pub(crate) fn recovered(&self, contract: Contract, recovered: Option<bool>) {
        self.change(|figures| match recovered.filter(|_| contract == Contract::Reliable) {
            Some(true) => figures.recovered += 1,
            Some(false) => figures.lost += 1,
            None => {}
        });
    }
}

/// One who subscribes and publishes.
struct Person {
    client: Client,
    number: u32,
    random: SmallRng,
    subscriptions: BTreeMap<&'static str, (JoinHandle<()>, Arc<Mutex<Seen>>)>,
}

struct World {
    random: SmallRng,
    life: Arc<Life>,
    ledger: Arc<Ledger>,
    store: Arc<Store>,
    network: Arc<Network>,
    needs_token: bool,
}

/// Lets a seed happen and judges it.
pub(crate) async fn run(seed: u64, shows: bool) -> Figures {
    let mut random = SmallRng::seed_from_u64(seed);
    let trace = Arc::new(Trace::new(shows));
    let ledger = Ledger::new(&trace);
    let store = Store::new(random.random(), &ledger);
    let needs_token = random.random_ratio(1, 3);
    let network = Network::new(random.random(), &store, settings(needs_token), &trace);
    let work = tokio::spawn(Arc::clone(&store).work());
    let life = Arc::<Life>::default();
    let mut world = World { random, life, ledger, store, network, needs_token };
    timeout(3 * PATIENCE, world.live()).await.expect("a world comes to its end");
    world.ledger.finish();
    work.abort();
    let mut figures = std::mem::take(&mut *world.life.figures.lock().unwrap());
    (figures.connections, figures.slow_consumers) = world.network.counts();
    figures.trace = trace.finish();
    figures
}

impl World {
    async fn live(&mut self) {
        let number = self.random.random_range(2..=5);
        let is_heavy = self.random.random_ratio(1, 8);
        let mut subscribing = Vec::new();
        let mut publishing = Vec::new();
        for number in 1..=number {
            let client = self.client(number);
            let random = SmallRng::seed_from_u64(self.random.random());
            let publisher =
                Publisher::new(client.clone(), number, random, &self.ledger, &self.life, is_heavy);
            publishing.push(tokio::spawn(publisher.run()));
            let random = SmallRng::seed_from_u64(self.random.random());
            let person = Person { client, number, random, subscriptions: BTreeMap::new() };
            subscribing.push(tokio::spawn(person.live(Arc::clone(&self.ledger), Arc::clone(&self.life))));
        }
        self.rage().await;
        self.calm();
        let mut people = Vec::new();
        for task in subscribing {
            people.push(in_time("a subscriber", task).await.expect("a subscriber lives"));
        }
        let mut publishers = Vec::new();
        for task in publishing {
            publishers.push(in_time("a publisher", task).await.expect("a publisher lives"));
        }
        self.judge(&people, &mut publishers).await;
        for person in people {
            person.end().await;
        }
    }

    /// Everything fails for a while.
    async fn rage(&mut self) {
        let until = Instant::now() + Duration::from_secs(self.random.random_range(10..40));
        self.network.fail(self.random.random_range(0..90));
        while Instant::now() < until {
            sleep(Duration::from_millis(self.random.random_range(100..4_000))).await;
            match self.random.random_range(0..12) {
                0..2 => self.network.cut_all(),
                2..4 => self.restart().await,
                4 => self.forget().await,
                5..8 => self.store.fail(self.random.random_range(0..60)),
                8 => self.network.fail(self.random.random_range(0..90)),
                _ => self.store.fail(0),
            }
        }
    }

    async fn restart(&mut self) {
        self.life.change(|figures| figures.kills += 1);
        self.network.kill().await;
        sleep(Duration::from_millis(self.random.random_range(0..3_000))).await;
        if self.random.random_ratio(1, 4) {
            self.forget().await;
        }
        self.network.start();
    }

    async fn forget(&self) {
        self.life.change(|figures| figures.forgotten += 1);
        self.ledger.trace.say(format_args!("the store forgets"));
        self.store.forget(&RELIABLE).await;
    }

    fn calm(&self) {
        self.ledger.trace.say(format_args!("it calms down"));
        self.life.is_calm.store(true, Ordering::Relaxed);
        self.store.fail(0);
        self.network.fail(0);
        self.network.cut_all();
    }

    /// Everybody gets to the same end.
    async fn judge(&mut self, people: &[Person], publishers: &mut [Publisher]) {
        for publisher in publishers.iter_mut() {
            for key in KEYS {
                in_time("a value", publisher.publish_finally("latest:a", Some(key))).await;
            }
        }
        for channel in RELIABLE {
            let last = in_time("the last publication", publishers[0].publish_finally(channel, None)).await;
            let is_seen = |seen: &Seen| seen.newest() == Some(last);
            eventually(&format!("{last:?} of {channel}"), people, channel, is_seen).await;
        }
        let latest = self.ledger.latest("latest:a");
        let is_newest =
            |seen: &Seen| latest.iter().all(|(key, id)| seen.latest.get(key).copied().flatten() == *id);
        eventually("the newest values", people, "latest:a", is_newest).await;
        // Those who were lost have left after 10 s.
        sleep(Duration::from_secs(12)).await;
        for channel in RELIABLE.into_iter().chain(["latest:a"]) {
            let presence = in_time("presence", publishers[0].client.presence(channel)).await;
            let there: BTreeSet<_> = presence
                .expect("the channel has presence")
                .clients
                .into_iter()
                .map(|member| member.client)
                .collect();
            let expected: BTreeSet<_> = people
                .iter()
                .filter(|person| person.subscriptions.contains_key(channel))
                .map(Person::name)
                .collect();
            assert_eq!(there, expected, "who is in {channel}");
        }
    }

    /// A client of its own session, whose tokens end after a while and are sometimes bad or not to be had.
    fn client(&mut self, number: u32) -> Client {
        let network = Arc::clone(&self.network);
        let mut builder = Builder::over(move || Arc::clone(&network).connect())
            .session(format!("session-of-person-{number:04}"))
            .seed(self.random.random());
        if self.needs_token {
            let random = Mutex::new(SmallRng::seed_from_u64(self.random.random()));
            let (network, life) = (Arc::clone(&self.network), Arc::clone(&self.life));
            builder = builder.token_from(move || {
                let mut random = random.lock().unwrap();
                let (pause, mood, name) =
                    (random.random_range(0..500), random.random_range(0..12), random.random());
                let (network, life) = (Arc::clone(&network), Arc::clone(&life));
                async move {
                    sleep(Duration::from_millis(pause)).await;
                    let now = network.wall_clock().as_secs();
                    match mood {
                        0 if life.is_wild() => Err("no token is to be had".to_owned()),
                        1 if life.is_wild() => Ok(token(number, now - 60, name)),
                        _ => Ok(token(number, now + 15 + mood * 5, name)),
                    }
                }
            });
        }
        builder.build()
    }
}

/// A token of this person that ends then.
fn token(person: u32, exp: u64, name: u64) -> String {
    let claims = serde_json::json!({"sub": format!("person-{person}"), "exp": exp, "jti": name.to_string()});
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

impl Person {
    /// Subscribes and unsubscribes until the world calms down.
    async fn live(mut self, ledger: Arc<Ledger>, life: Arc<Life>) -> Self {
        while life.is_wild() {
            let channels = RELIABLE.len() + UNRELIABLE.len();
            let at = self.random.random_range(0..channels);
            let channel = RELIABLE.get(at).copied().unwrap_or_else(|| UNRELIABLE[at - RELIABLE.len()]);
            if !self.subscriptions.contains_key(channel) {
                self.subscribe(channel, &ledger, &life).await;
            } else if self.random.random_ratio(1, 4) {
                ledger.trace.say(format_args!("{} leaves {channel}", self.number));
                let (reading, _) = self.subscriptions.remove(channel).expect("it is there");
                end(reading).await;
            }
            sleep(Duration::from_millis(self.random.random_range(0..4_000))).await;
        }
        self
    }

    async fn subscribe(&mut self, channel: &'static str, ledger: &Arc<Ledger>, life: &Arc<Life>) {
        let mut wanted = Subscribe::new().last(self.random.random_range(0..30));
        if self.random.random() {
            wanted = wanted.presence();
        }
        let patience = Duration::from_millis(self.random.random_range(0..30_000));
        let times_forgotten = ledger.times_forgotten();
        ledger.trace.say(format_args!("{} subscribes {channel}", self.number));
        let subscribed = timeout(patience, self.client.subscribe(channel, wanted)).await;
        // Whoever loses patience is not subscribed.
        let Ok(subscribed) = subscribed else { return };
        let seen = Arc::<Mutex<Seen>>::default();
        let pause = [0, 0, 30, 300, 3_000, 30_000][self.random.random_range(0..6)];
        let subscriber = Subscriber {
            subscription: subscribed.unwrap_or_else(|error| panic!("{channel}: {error}")),
            seen: Arc::clone(&seen),
            random: SmallRng::seed_from_u64(self.random.random()),
            ledger: Arc::clone(ledger),
            life: Arc::clone(life),
            name: format!("{} in {channel}", self.number),
            pause: Duration::from_millis(pause),
            began: ledger.head(channel),
            times_forgotten,
        };
        self.subscriptions.insert(channel, (tokio::spawn(subscriber.run()), seen));
    }

    /// The name under which others know it.
    fn name(&self) -> String {
        match &*self.client.status().borrow() {
            Status::Connected { client } => client.clone(),
            other => panic!("{} is {other:?}", self.number),
        }
    }

    async fn end(self) {
        for (reading, _) in self.subscriptions.into_values() {
            end(reading).await;
        }
        in_time("the end of a client", self.client.close()).await;
    }
}

/// Ends a subscription with its task, and shows how the task has ended where that was by itself.
async fn end(reading: JoinHandle<()>) {
    reading.abort();
    if let Err(error) = reading.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: it hangs"))
}

/// Waits until all who are subscribed to a channel have seen something.
async fn eventually(what: &str, people: &[Person], channel: &str, has_seen: impl Fn(&Seen) -> bool) {
    let until = Instant::now() + PATIENCE;
    for person in people {
        let Some((reading, seen)) = person.subscriptions.get(channel) else { continue };
        while !has_seen(&seen.lock().unwrap()) {
            let seen = seen.lock().unwrap();
            assert!(!reading.is_finished(), "{} does not read {channel} any more", person.number);
            let status = person.client.status().borrow().clone();
            assert!(Instant::now() < until, "{} misses {what}: {status:?}, {seen:?}", person.number);
            drop(seen);
            sleep(Duration::from_millis(50)).await;
        }
    }
}
