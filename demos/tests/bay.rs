//! The game over a real hub, on virtual time: players are subscribers and publishers as any client is.

use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep, timeout};
use vaiven_demos::bay;
use vaiven_hub::{
    ChannelName, Contract, Data, Hub, HubConfig, LocalSubscriber, Member, MemoryBroker, Namespace,
    NewPublication, Publication, Publisher, SubscribeOptions,
};

struct Bay {
    hub: Hub,
    game: JoinHandle<()>,
}

impl Bay {
    async fn open() -> Self {
        let inputs = Namespace::new(Contract::Volatile);
        let config = HubConfig::default()
            .with_namespace("arena", Namespace::new(Contract::Latest))
            .with_namespace("arena-input", inputs);
        let hub = Hub::new(config, std::sync::Arc::new(MemoryBroker::new()));
        let game = tokio::spawn(bay::run(hub.clone()));
        sleep(Duration::from_millis(10)).await;
        Self { hub, game }
    }

    /// Somebody who looks at the world, under this name.
    async fn look(&self, client: &str) -> LocalSubscriber {
        let member = Some(Member { client: client.into(), user: None, info: None });
        let options = SubscribeOptions { member, ..SubscribeOptions::default() };
        let seer =
            LocalSubscriber::join(&self.hub, &channel(bay::WORLD), options).await.expect("there is room");
        // An empty bay is looked at four times a second.
        sleep(Duration::from_millis(300)).await;
        seer
    }

    async fn say(&self, client: &str, json: &str) {
        let publisher = Some(Publisher { client: client.into(), user: None });
        let publication = NewPublication { publisher, ..NewPublication::json(json.to_owned()) };
        self.hub.publish(&channel(bay::INPUTS), publication).await.expect("nothing is full");
    }
}

impl Drop for Bay {
    fn drop(&mut self) {
        self.game.abort();
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("it is a name")
}

/// The next publication under a key that begins like this one.
async fn next(seer: &mut LocalSubscriber, key: &str) -> std::sync::Arc<Publication> {
    let find = async {
        loop {
            let publication = seer.recv().await.expect("it is subscribed");
            if publication.key.as_deref().is_some_and(|found| found.starts_with(key)) {
                return publication;
            }
        }
    };
    timeout(Duration::from_mins(1), find).await.expect("nothing came in a minute")
}

/// The world's bytes, the next time.
async fn world(seer: &mut LocalSubscriber) -> Vec<u8> {
    let publication = next(seer, "world").await;
    let Data::Binary(bytes) = &publication.data else { panic!("worlds are binary, not {publication:?}") };
    bytes.to_vec()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_until_somebody_boards_and_after_everybody_has_left() {
    let bay = Bay::open().await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bay.hub.channels("*", 10), [], "an empty bay has no place in the hub");
    let mut seer = bay.look("seer").await;
    assert!(timeout(Duration::from_mins(1), seer.recv()).await.is_err(), "an empty bay sleeps");
    bay.say("seer", r#"{"name":"Ana"}"#).await;
    let card = next(&mut seer, "boat.").await;
    assert_eq!(card.data.bytes(), r#"{"client":"seer","name":"Ana"}"#);
    let bytes = world(&mut seer).await;
    assert_eq!(bytes[0], 1);
    drop(seer);
    let mut witness = bay.look("witness").await;
    // The grace for a lost connection is 10 s.
    sleep(Duration::from_secs(8)).await;
    assert!(bay.hub.presence(&channel(bay::WORLD)).unwrap().count == 2);
    let removed = loop {
        let publication = next(&mut witness, "boat.").await;
        if publication.removed {
            break publication;
        }
    };
    assert_eq!(removed.key, card.key);
    loop {
        if next(&mut witness, "world").await.removed {
            break;
        }
    }
    assert!(timeout(Duration::from_mins(1), witness.recv()).await.is_err(), "it sleeps again");
}

#[tokio::test(start_paused = true)]
async fn worlds_come_thirty_times_a_second_and_tell_which_input_counts() {
    let bay = Bay::open().await;
    let mut seer = bay.look("seer").await;
    bay.say("seer", r#"{"name":"Ana"}"#).await;
    let first = world(&mut seer).await;
    let tick = |bytes: &[u8]| u32::from_le_bytes(bytes[1..5].try_into().unwrap());
    let started = tokio::time::Instant::now();
    let last = loop {
        let bytes = world(&mut seer).await;
        if started.elapsed() >= Duration::from_secs(10) {
            break bytes;
        }
    };
    assert!((299..=302).contains(&(tick(&last) - tick(&first))), "{}", tick(&last) - tick(&first));
    bay.say("seer", "[77,127,0,false]").await;
    let boats = |bytes: &[u8]| {
        (0..usize::from(bytes[5])).map(|at| bytes[7 + at * 9..][..9].to_vec()).collect::<Vec<_>>()
    };
    let mut ticks = 0;
    while !boats(&world(&mut seer).await).iter().any(|boat| boat[8] == 77) {
        ticks += 1;
        assert!(ticks < 3, "an input counts in the next tick");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_look_gets_no_boat_and_what_is_no_order_does_nothing() {
    let bay = Bay::open().await;
    let mut seer = bay.look("seer").await;
    bay.say("stranger", r#"{"name":"Nobody"}"#).await;
    bay.hub.publish(&channel(bay::INPUTS), NewPublication::json(r#"{"name":"API"}"#)).await.unwrap();
    for json in ["null", "[1,2]", "[300,0,0,false]", r#"{"name":5}"#, "[1,127,127,true]"] {
        bay.say("seer", json).await;
    }
    assert!(timeout(Duration::from_secs(30), seer.recv()).await.is_err());
    bay.say("seer", r#"{"name":"Ana"}"#).await;
    for _ in 0..10_000 {
        bay.say("seer", "[1,127,127,true]").await;
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(world(&mut seer).await[0], 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_within_the_grace_has_the_same_boat() {
    let bay = Bay::open().await;
    let mut witness = bay.look("witness").await;
    let mut seer = bay.look("seer").await;
    bay.say("witness", r#"{"name":"Theo"}"#).await;
    bay.say("seer", r#"{"name":"Ana"}"#).await;
    let before = loop {
        let card = next(&mut seer, "boat.").await;
        if card.data.bytes().starts_with(br#"{"client":"seer""#) {
            break card;
        }
    };
    drop(seer);
    sleep(Duration::from_secs(7)).await;
    let seer = bay.look("seer").await;
    bay.say("seer", r#"{"name":"Ana María"}"#).await;
    let after = loop {
        let card = next(&mut witness, "boat.").await;
        assert!(!card.removed);
        if card.data.bytes().windows(4).any(|part| part == b"Mar\xc3") {
            break card;
        }
    };
    assert_eq!(after.key, before.key);
    drop(seer);
}
