//! How much a hub holds at most.

use crate::support::{Kept, Plain, hub, join, keyed, name, settle, text};
use std::time::Duration;
use vaiven_hub::{
    Contract, HubConfig, Maker, Member, Namespace, NewPublication, PublishError, SubscribeError,
    SubscribeOptions,
};

fn config() -> HubConfig {
    HubConfig::default()
        .with_namespace("live", Namespace::new(Contract::Volatile))
        .with_namespace("latest", Namespace::new(Contract::Latest))
}

#[tokio::test(start_paused = true)]
async fn channels_and_subscribers_are_bounded() {
    let mut config = config();
    config.max_channels = 2;
    config.max_subscribers = 2;
    let hub = hub(config);
    let try_join = async |channel: &str| {
        hub.subscribe(&name(channel), SubscribeOptions::default(), Kept::new(), &Plain).await
    };
    let first = try_join("a").await.unwrap();
    let _second = try_join("a").await.unwrap();
    assert_eq!(try_join("a").await.unwrap_err(), SubscribeError::TooManySubscribers);
    drop(first);
    let _again = try_join("a").await.unwrap();
    let other = try_join("b").await.unwrap();
    assert_eq!(try_join("c").await.unwrap_err(), SubscribeError::TooManyChannels);
    assert_eq!(try_join("nowhere:c").await.unwrap_err(), SubscribeError::UnknownNamespace);
    drop(other);
    let _third = try_join("c").await.unwrap();
    assert_eq!((hub.figures().channels, hub.figures().subscribers), (2, 3));
}

/// Whoever names many channels and leaves them keeps nobody out; what is in use, or has values, stays.
#[tokio::test(start_paused = true)]
async fn channels_that_were_left_make_room_the_first_one_first() {
    let mut config = config();
    config.max_channels = 4;
    let hub = hub(config);
    let member = || {
        let member = Member { client: "c1".into(), user: None, info: None };
        SubscribeOptions { member: Some(member), ..SubscribeOptions::default() }
    };
    let try_join =
        async |channel: &str| hub.subscribe(&name(channel), member(), Kept::new(), &Plain).await.map(drop);
    let (_used, outlet) = join(&hub, "used", SubscribeOptions::default()).await;
    hub.publish(&name("latest:p"), keyed("a", "1")).await.unwrap();
    hub.publish(&name("first"), text("kept")).await.unwrap();
    for channel in ["latest:p", "first", "latest:left", "first", "used"] {
        try_join(channel).await.unwrap();
    }
    assert_eq!(hub.figures().channels, 4);
    // Each is left as a lost connection leaves it: its member is there for some seconds more.
    try_join("live:one").await.unwrap();
    let present = ["latest:left", "first"].map(|channel| hub.presence(&name(channel)).unwrap().count);
    assert_eq!(present, [0, 1], "the one that was left first went first");
    for number in 0..100 {
        try_join(&format!("{number}")).await.unwrap();
        hub.publish(&name("latest:q"), keyed("a", "1")).await.unwrap();
    }
    let figures = hub.figures();
    assert_eq!((figures.channels, figures.subscribers), (4, 1));
    // Full of what cannot go.
    let (_other, _) = join(&hub, "other", SubscribeOptions::default()).await;
    assert_eq!(try_join("more").await, Err(SubscribeError::TooManyChannels));
    let refused = hub.publish(&name("latest:r"), keyed("a", "1")).await;
    assert_eq!(refused, Err(PublishError::TooManyChannels));
    hub.publish(&name("used"), text("still here")).await.unwrap();
    settle().await;
    assert_eq!(outlet.take(), ["1 still here"]);
    let (_back, outlet) = join(&hub, "latest:p", SubscribeOptions::default()).await;
    assert_eq!(outlet.take(), ["a=1"]);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(hub.figures().members, 0, "nobody is counted who went with a channel");
}

#[tokio::test(start_paused = true)]
async fn data_and_keys_are_bounded() {
    let mut config = config();
    config.namespaces.get_mut("").unwrap().max_data_bytes = 10;
    config.namespaces.get_mut("latest").unwrap().max_keys = 2;
    let hub = hub(config);
    for (len, expected) in [(9, true), (10, true), (11, false)] {
        let outcome = hub.publish(&name("sala"), text(&"1".repeat(len))).await;
        assert_eq!(outcome.is_ok(), expected, "{len} bytes");
    }
    for (len, expected) in [(254, true), (255, true), (256, false)] {
        let outcome = hub.publish(&name("sala"), keyed(&"k".repeat(len), "1")).await;
        assert_eq!(outcome.is_ok(), expected, "a key of {len} bytes");
    }
    for (key, expected) in
        [("a", Ok(())), ("b", Ok(())), ("c", Err(PublishError::TooManyKeys)), ("a", Ok(()))]
    {
        let outcome = hub.publish(&name("latest:p"), keyed(key, "1")).await;
        assert_eq!(outcome.map(|_| ()), expected, "{key}");
    }
    let removal = NewPublication { remove: true, ..keyed("a", "null") };
    hub.publish(&name("latest:p"), removal).await.unwrap();
    hub.publish(&name("latest:p"), keyed("c", "1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_turn_is_bounded() {
    let hub = hub(config());
    let (_subscription, outlet) = join(&hub, "live:sala", SubscribeOptions::default()).await;
    let begun: Vec<_> = (0..20_000).map(|_| hub.publish(&name("live:sala"), text("1"))).collect();
    let (mut published, mut busy) = (0, 0);
    for publishing in begun {
        match publishing.await {
            Ok(_) => published += 1,
            Err(error) => busy += usize::from(error == PublishError::Busy),
        }
    }
    settle().await;
    let bound = 16 * 1_024 + 1;
    assert_eq!((published, busy), (bound, 20_000 - bound));
    assert_eq!(outlet.take().len(), published);
}

#[tokio::test(start_paused = true)]
async fn above_two_hundred_members_there_is_only_the_count() {
    let hub = hub(config());
    let watching = SubscribeOptions { watch_presence: true, ..SubscribeOptions::default() };
    let (_watcher, seen) = join(&hub, "sala", watching).await;
    let mut members = Vec::new();
    for (upto, listed) in [(199, true), (200, true), (201, false)] {
        while members.len() < upto {
            let member = Member { client: format!("c{}", members.len()).into(), user: None, info: None };
            let options = SubscribeOptions { member: Some(member), ..SubscribeOptions::default() };
            members.push(join(&hub, "sala", options).await);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let told = seen.take();
        assert_eq!((told.len(), told[0].contains('+')), (1, listed), "{upto} members");
        let presence = hub.presence(&name("sala")).unwrap();
        assert_eq!((presence.count, presence.members.len()), (upto, if listed { upto } else { 0 }));
    }
}

/// What one maker is refused is not refused to others, nor in channels that are there; and time gives room again.
#[tokio::test(start_paused = true)]
async fn a_maker_makes_only_so_many_channels_in_the_time_that_they_are_kept() {
    let mut config = config();
    config.max_channels_per_maker = 3;
    let hub = hub(config);
    let by = |maker: &str, publication| NewPublication { maker: Some(Maker::new(maker)), ..publication };
    for namespace in ["", "latest:"] {
        let publish = async |maker: &str, channel: usize| {
            let channel = name(&format!("{namespace}{channel}"));
            hub.publish(&channel, by(maker, keyed("a", "1"))).await.map(|_| ())
        };
        for channel in 0..3 {
            assert_eq!(publish("ana", channel).await, Ok(()), "{namespace}{channel}");
        }
        assert_eq!(publish("ana", 3).await, Err(PublishError::TooManyNewChannels));
        assert_eq!(publish("ana", 2).await, Ok(()), "what is there is not made again");
        assert_eq!(publish("eva", 3).await, Ok(()));
        assert_eq!(publish("ana", 3).await, Ok(()), "another one has made it");
        let unbounded = hub.publish(&name(&format!("{namespace}4")), keyed("a", "1")).await;
        assert!(unbounded.is_ok(), "a program of the operator's has no bound");
        // The name of a channel that a subscriber waits in has nothing in it yet.
        let waiting = format!("{namespace}waiting");
        let (_subscription, _) = join(&hub, &waiting, SubscribeOptions::default()).await;
        let made = hub.publish(&name(&waiting), by("ana", keyed("a", "1"))).await;
        assert_eq!(made.map(|_| ()), Err(PublishError::TooManyNewChannels));
        let removal = NewPublication { remove: true, ..keyed("a", "null") };
        hub.publish(&name(&format!("{namespace}0")), by("ana", removal)).await.unwrap();
        assert_eq!(publish("ana", 0).await, Ok(()), "a value that is replaced is no new channel");
    }
    let volatile = hub.publish(&name("live:5"), by("ana", text("1"))).await;
    assert!(volatile.is_ok(), "what is not kept takes no room");
    tokio::time::sleep(Duration::from_hours(8)).await;
    for (channel, expected) in [("5", Ok(())), ("6", Err(PublishError::TooManyNewChannels))] {
        let outcome = hub.publish(&name(channel), by("ana", text("1"))).await;
        assert_eq!(outcome.map(|_| ()), expected, "a third of the day gives one of three back: {channel}");
    }
}
