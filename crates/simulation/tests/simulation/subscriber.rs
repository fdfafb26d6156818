//! Subscribes, reads more or less slowly, and judges each event by the ledger.

use crate::ledger::{Id, Ledger, Place, parse};
use crate::world::Life;
use rand::RngExt;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vaiven_client::{Contract, Event, Publication, Subscription};

/// A subscription that stands, and what it has seen.
pub(crate) struct Subscriber {
    pub(crate) subscription: Subscription,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) random: SmallRng,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) life: Arc<Life>,
    pub(crate) name: String,
    /// How slowly it reads.
    pub(crate) pause: Duration,
    /// What had been published when the subscription stood.
    pub(crate) began: Option<Place>,
    /// How often the store had lost everything when the subscription was asked for.
    pub(crate) times_forgotten: usize,
}

/// What somebody has seen of a channel.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often it was told that it stands.
    pub(crate) subscribed: u32,
    /// The publication that it saw last of a `reliable` channel, unless it was told that what follows is a beginning.
    pub(crate) at: Option<Place>,
    /// All that has no place.
    unkept: BTreeMap<Id, usize>,
    /// The value of each key of a `latest` channel; `None` where it was removed.
    pub(crate) latest: BTreeMap<String, Option<Id>>,
    newest: Option<Id>,
}

impl Seen {
    /// The publication that was seen last.
    pub(crate) fn newest(&self) -> Option<Id> {
        self.newest
    }
}

impl Subscriber {
    /// Reads until the subscription is dropped with its task, or the client has ended.
    pub(crate) async fn run(mut self) {
        while let Some(event) = self.subscription.recv().await {
            match event {
                Event::Publication(publication) => self.publication(&publication),
                Event::Subscribed { contract, recovered, missed } => {
                    self.subscribed(contract, recovered, missed);
                }
                Event::Presence { count, .. } => self.say(format_args!("{count} are there")),
                Event::Unsubscribed { code, message } => panic!("{}: {code}: {message}", self.name),
                other => panic!("an event of another kind: {other:?}"),
            }
            if self.life.is_wild() && !self.pause.is_zero() {
                let pause = self.pause.mul_f64(self.random.random());
                tokio::time::sleep(pause).await;
            }
        }
        assert!(!self.life.is_wild(), "{}: the subscription has ended by itself", self.name);
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        self.ledger.trace.say(format_args!("{} {what}", self.name));
    }

    fn subscribed(&mut self, contract: Contract, recovered: Option<bool>, missed: u64) {
        self.say(format_args!("stands {recovered:?} {missed}"));
        self.life.recovered(contract, recovered);
        let mut seen = self.seen.lock().unwrap();
        seen.subscribed += 1;
        if contract != Contract::Reliable {
            return;
        }
        let is_first = seen.subscribed == 1;
        assert_eq!(recovered.is_none(), is_first, "{}: recovered is {recovered:?}", self.name);
        if recovered == Some(false) {
            // One loss may be told twice, where the store forgot while the server asked it.
            let has_reason = self.times_forgotten < self.ledger.times_forgotten();
            let keeps_little = self.subscription.channel().starts_with("short:");
            assert!(has_reason || keeps_little, "{}: nothing was lost, and it was told so", self.name);
            (seen.at, self.began) = (None, None);
        }
    }

    fn publication(&mut self, publication: &Publication) {
        let channel = self.subscription.channel().to_owned();
        let mut seen = self.seen.lock().unwrap();
        if publication.removed {
            seen.latest.insert(publication.key.clone().expect("a key was removed"), None);
            drop(seen);
            return self.say(format_args!("removed {:?}", publication.key));
        }
        let id = parse(&publication.data);
        seen.newest = Some(id);
        if let Some(key) = &publication.key {
            seen.latest.insert(key.clone(), Some(id));
        } else if let Some(offset) = publication.offset {
            let place = self.ledger.place(&channel, id, offset, seen.at.as_ref());
            if let Some(began) = self.began.take() {
                let is_gap = place.epochs == began.epochs && place.offset > began.offset + 1;
                assert!(!is_gap, "{}: {place:?} is the first, and it stood since {began:?}", self.name);
            }
            seen.at = Some(place);
        } else {
            let times = seen.unkept.entry(id).or_default();
            *times += 1;
            assert!(*times <= self.ledger.times_published(&channel, id), "{}: {id:?} came twice", self.name);
        }
        drop(seen);
        self.life.seen();
        self.say(format_args!("sees {id:?} at {:?}", publication.offset));
    }
}
