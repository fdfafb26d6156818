//! What each contract promises.

use crate::support::{Kept, Plain, hub, join, keyed, name, settle, text};
use std::time::Duration;
use vaiven_hub::{
    Contract, Ending, Epoch, HistoryQuery, HubConfig, IdempotencyKey, Member, Namespace, NewPublication,
    Position, PublishError, ReplayError, SubscribeOptions,
};

fn config() -> HubConfig {
    HubConfig::default()
        .with_namespace("live", Namespace::new(Contract::Volatile))
        .with_namespace("latest", Namespace::new(Contract::Latest))
}

fn since(epoch: &Epoch, offset: u64) -> SubscribeOptions {
    SubscribeOptions { since: Some(Position { epoch: epoch.clone(), offset }), ..SubscribeOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn publications_reach_all_subscribers_in_the_order_of_the_calls() {
    let hub = hub(config());
    let (_first, one) = join(&hub, "sala", SubscribeOptions::default()).await;
    let (_second, two) = join(&hub, "sala", SubscribeOptions::default()).await;
    let a = hub.publish(&name("sala"), text("a"));
    let b = hub.publish(&name("sala"), text("b"));
    // Awaited the other way round.
    assert_eq!(b.await.unwrap().position.unwrap().offset, 2);
    assert_eq!(a.await.unwrap().position.unwrap().offset, 1);
    settle().await;
    assert_eq!(one.take(), ["1 a", "2 b"]);
    assert_eq!(two.take(), ["1 a", "2 b"]);
    assert_eq!(hub.figures().encoded, 2, "each was written once for both");
    assert_eq!(hub.figures().deliveries, 4);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_what_it_missed_and_then_what_follows() {
    let hub = hub(config());
    let (gone, outlet) = join(&hub, "sala", SubscribeOptions::default()).await;
    let at = hub.publish(&name("sala"), text("a")).await.unwrap().position.unwrap();
    settle().await;
    assert_eq!(outlet.take(), ["1 a"]);
    drop(gone);
    for data in ["b", "c", "d"] {
        hub.publish(&name("sala"), text(data)).await.unwrap();
    }
    let (back, outlet) = join(&hub, "sala", since(&at.epoch, 1)).await;
    assert_eq!((back.recovered(), back.missed(), back.position()), (Some(true), 3, Some(&at)));
    hub.publish(&name("sala"), text("e")).await.unwrap();
    settle().await;
    assert_eq!(outlet.take(), ["2 b", "3 c", "4 d", "5 e"]);
}

#[tokio::test(start_paused = true)]
async fn a_position_that_cannot_be_honoured_is_told_and_begins_anew() {
    let mut config = config();
    config.namespaces.get_mut("").unwrap().history_size = 3;
    let hub = hub(config);
    let mut epoch = None;
    for data in ["a", "b", "c", "d", "e"] {
        epoch = hub.publish(&name("sala"), text(data)).await.unwrap().position.map(|at| at.epoch);
    }
    let epoch = epoch.unwrap();
    for (options, last, expected) in [
        (since(&epoch, 2), 0, (Some(true), 3, 2)),
        (since(&epoch, 1), 0, (Some(false), 0, 5)),
        (since(&epoch, 1), 2, (Some(false), 2, 3)),
        (since(&epoch, 6), 0, (Some(false), 0, 5)),
        (since(&Epoch::new("another"), 5), 1, (Some(false), 1, 4)),
        (SubscribeOptions::default(), 2, (None, 2, 3)),
        (SubscribeOptions::default(), 100, (None, 3, 2)),
    ] {
        let (subscription, outlet) = join(&hub, "sala", SubscribeOptions { last, ..options.clone() }).await;
        let position = subscription.position().unwrap();
        assert_eq!(
            (subscription.recovered(), subscription.missed(), position.offset),
            expected,
            "{options:?}"
        );
        assert_eq!(outlet.take().len() as u64, expected.1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_while_it_is_replayed_comes_once_and_in_order() {
    let hub = hub(config());
    for number in 0..2_000 {
        hub.publish(&name("sala"), text(&number.to_string())).await.unwrap();
    }
    let (_keeps_it_active, _) = join(&hub, "sala", SubscribeOptions::default()).await;
    let epoch = hub.history(&name("sala"), HistoryQuery::default()).await.unwrap().position.epoch;
    let outlet = Kept::new();
    let mut subscription =
        hub.subscribe(&name("sala"), since(&epoch, 1_000), outlet.clone(), &Plain).await.unwrap();
    let mut published = 2_000;
    while let Some(batch) = subscription.replay().await.unwrap() {
        outlet.push(&batch);
        for _ in 0..if published < 2_080 { 10 } else { 0 } {
            hub.publish(&name("sala"), text(&published.to_string())).await.unwrap();
            published += 1;
        }
        settle().await;
    }
    hub.publish(&name("sala"), text("last")).await.unwrap();
    settle().await;
    let offsets: Vec<u64> =
        outlet.take().iter().map(|text| text.split_once(' ').unwrap().0.parse().unwrap()).collect();
    assert_eq!(offsets, (1_001..=published + 1).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_position_that_no_turn_has_reached_yet_is_not_given_again() {
    let hub = hub(config());
    let (_other, other) = join(&hub, "sala", SubscribeOptions::default()).await;
    // Nothing yields here, so that all three wait for the turn.
    hub.publish(&name("sala"), text("a")).await.unwrap();
    let at = hub.publish(&name("sala"), text("b")).await.unwrap().position.unwrap();
    hub.publish(&name("sala"), text("c")).await.unwrap();
    let (back, outlet) = join(&hub, "sala", since(&at.epoch, 2)).await;
    assert_eq!((back.recovered(), back.missed()), (Some(true), 1));
    settle().await;
    assert_eq!(outlet.take(), ["3 c"]);
    assert_eq!(other.take(), ["1 a", "2 b", "3 c"]);
}

#[tokio::test(start_paused = true)]
async fn thousands_who_come_back_together_make_it_read_and_encode_once() {
    let hub = hub(config());
    for number in 0..300 {
        hub.publish(&name("sala"), text(&number.to_string())).await.unwrap();
    }
    let epoch = hub.history(&name("sala"), HistoryQuery::default()).await.unwrap().position.epoch;
    let before = hub.figures();
    let mut subscriptions = Vec::new();
    for _ in 0..2_000 {
        let (subscription, outlet) = join(&hub, "sala", since(&epoch, 100)).await;
        assert_eq!(outlet.take().len(), 200);
        subscriptions.push(subscription);
    }
    let after = hub.figures();
    assert_eq!(after.history_reads - before.history_reads, 3, "300 publications are in three blocks");
    assert_eq!(after.encoded - before.encoded, 200);
    assert_eq!(after.replayed - before.replayed, 2_000 * 200);
}

#[tokio::test(start_paused = true)]
async fn the_same_idempotency_key_publishes_once() {
    let hub = hub(config());
    for (channel, offset) in [("sala", Some(1)), ("live:sala", None)] {
        let (_subscription, outlet) = join(&hub, channel, SubscribeOptions::default()).await;
        let with_key = |data| NewPublication { idempotency: IdempotencyKey::new("k"), ..text(data) };
        let first = hub.publish(&name(channel), with_key("a")).await.unwrap();
        let second = hub.publish(&name(channel), with_key("a")).await.unwrap();
        assert_eq!((first.duplicate, second.duplicate), (false, true));
        assert_eq!(first.position, second.position);
        assert_eq!(first.position.map(|at| at.offset), offset);
        assert_eq!(hub.publish(&name(channel), with_key("b")).await, Err(PublishError::Conflict));
        settle().await;
        assert_eq!(outlet.take().len(), 1);
        tokio::time::advance(Duration::from_mins(5)).await;
        let later = hub.publish(&name(channel), with_key("b")).await.unwrap();
        assert!(!later.duplicate, "the window is over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_ended_and_the_others_go_on() {
    let hub = hub(config());
    for channel in ["sala", "live:sala"] {
        let (_slow, slow) = join(&hub, channel, SubscribeOptions::default()).await;
        let (_other, other) = join(&hub, channel, SubscribeOptions::default()).await;
        *slow.room.lock().unwrap() = Some(1);
        for data in ["a", "b", "c"] {
            hub.publish(&name(channel), text(data)).await.unwrap();
            settle().await;
        }
        assert_eq!(slow.take().len(), 1);
        assert_eq!(slow.ended(), Some(Ending::SlowConsumer));
        assert_eq!(other.take().len(), 3);
        assert_eq!(other.ended(), None);
    }
    assert_eq!(hub.figures().slow_consumers, 2);
}

#[tokio::test(start_paused = true)]
async fn latest_gives_the_newest_of_each_key_to_who_comes_and_to_who_was_slow() {
    let hub = hub(config());
    let (_quick, quick) = join(&hub, "latest:p", SubscribeOptions::default()).await;
    let (_slow, slow) = join(&hub, "latest:p", SubscribeOptions::default()).await;
    *slow.busy.lock().unwrap() = true;
    for round in 0..3 {
        for key in ["a", "b"] {
            hub.publish(&name("latest:p"), keyed(key, &round.to_string())).await.unwrap();
        }
        settle().await;
    }
    let removal = NewPublication { remove: true, ..keyed("a", "null") };
    hub.publish(&name("latest:p"), removal).await.unwrap();
    settle().await;
    assert_eq!(quick.take(), ["a=0", "b=0", "a=1", "b=1", "a=2", "b=2", "-a=null"]);
    assert_eq!(slow.take(), [""; 0]);
    *slow.busy.lock().unwrap() = false;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(slow.take(), ["b=2", "-a=null"]);
    let (_new, new) = join(&hub, "latest:p", SubscribeOptions::default()).await;
    assert_eq!(new.take(), ["b=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_panics_harms_one_channel_for_one_turn() {
    let hub = hub(config());
    let (_live, live) = join(&hub, "live:sala", SubscribeOptions::default()).await;
    let (_kept, kept) = join(&hub, "sala", SubscribeOptions::default()).await;
    let (_other, other) = join(&hub, "otra", SubscribeOptions::default()).await;
    for data in ["panic", "a"] {
        for channel in ["live:sala", "sala"] {
            hub.publish(&name(channel), text(data)).await.unwrap();
        }
        hub.publish(&name("otra"), text("a")).await.unwrap();
        settle().await;
    }
    assert_eq!(live.take(), ["a"]);
    assert_eq!(
        (kept.take().len(), kept.ended()),
        (0, Some(Ending::Fault)),
        "it cannot know that it has a gap"
    );
    assert_eq!(other.take(), ["1 a", "2 a"]);
    assert_eq!(hub.figures().faults, 2);
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_connection_and_comes_back_in_time_was_never_away() {
    let hub = hub(config());
    let member = |client: &str| Member { client: client.into(), user: None, info: None };
    let as_member =
        |client: &str| SubscribeOptions { member: Some(member(client)), ..SubscribeOptions::default() };
    let watching = SubscribeOptions { watch_presence: true, ..SubscribeOptions::default() };
    let (_watcher, seen) = join(&hub, "sala", watching).await;
    let (ana, _) = join(&hub, "sala", as_member("ana")).await;
    let (luis, _) = join(&hub, "sala", as_member("luis")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(seen.take(), ["+ana +luis 2"]);
    drop(ana);
    tokio::time::sleep(Duration::from_secs(9)).await;
    let (ana, _) = join(&hub, "sala", as_member("ana")).await;
    luis.leave();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(seen.take(), ["-luis 1"]);
    assert_eq!(hub.presence(&name("sala")).unwrap().members, [member("ana")]);
    drop(ana);
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert_eq!(seen.take(), [""; 0]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(seen.take(), ["-ana 0"]);
    assert_eq!(hub.figures().members, 0);
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_history_is_gone_says_so() {
    let mut config = config();
    config.namespaces.get_mut("").unwrap().history_size = 10;
    config.recent_bytes = 0;
    let hub = hub(config);
    let at = hub.publish(&name("sala"), text("first")).await.unwrap().position.unwrap();
    hub.publish(&name("sala"), text("second")).await.unwrap();
    let outlet = Kept::new();
    let mut subscription = hub.subscribe(&name("sala"), since(&at.epoch, 1), outlet, &Plain).await.unwrap();
    assert_eq!(subscription.recovered(), Some(true));
    assert!(subscription.replay().await.unwrap().is_some());
    for number in 0..300 {
        hub.publish(&name("sala"), text(&number.to_string())).await.unwrap();
    }
    assert_eq!(subscription.replay().await.unwrap_err(), ReplayError::Lost);
}
