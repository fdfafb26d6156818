//! The game in the server: inputs that players publish -> the world, published 30 times a second.
//!
//! It uses the hub as any client would. Players publish to [`INPUTS`], which nobody can subscribe to, and subscribe to
//! [`WORLD`], to which no client can publish: there the key `world` has the latest world, and the key `boat.N` says who
//! sails the boat with this number. Who has a boat is told by presence: a player who lost the connection keeps it for the
//! presence grace. It sleeps when nobody is there.

mod crew;
mod order;

use crew::Crew;
use order::Order;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};
use vaiven_arena::{TICKS_PER_SECOND, World};
use vaiven_hub::{ChannelName, Hub, LocalSubscriber, NewPublication, Publication, SubscribeOptions};

/// The channel of the world. Its namespace, `arena`, is to be `latest` with presence, and closed to what clients publish.
pub const WORLD: &str = "arena:bay";
/// The channel of the inputs. Its namespace, `arena-input`, is to be `volatile`, and closed to those who would listen.
pub const INPUTS: &str = "arena-input:bay";

/// The key of the world in its channel.
const WORLD_KEY: &str = "world";
/// How often it is looked after who is still there.
const MUSTER_PERIOD: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody has come to an empty bay.
const WATCH_PERIOD: Duration = Duration::from_millis(250);
/// How long it waits before it subscribes again after it could not.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Runs the game until it is dropped. It does nothing in a hub that has not the namespaces.
pub async fn run(hub: Hub) {
    let channel = |name| ChannelName::parse(name).expect("the names of this module are names of channels");
    let (world, inputs) = (channel(WORLD), channel(INPUTS));
    if hub.namespace(&world).is_none() || hub.namespace(&inputs).is_none() {
        return;
    }
    let mut bay = Bay { hub, channel: world, world: World::new(0), crew: Crew::default() };
    loop {
        sleep(WATCH_PERIOD).await;
        // An empty bay has no place in the hub: it counts as nobody's room and nobody's member.
        if !bay.is_visited() {
            continue;
        }
        match LocalSubscriber::join(&bay.hub, &inputs, SubscribeOptions::default()).await {
            Ok(mut inputs) => bay.listen(&mut inputs).await,
            Err(error) => {
                tracing::warn!(?error, "the game cannot subscribe to its inputs");
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

struct Bay {
    hub: Hub,
    channel: ChannelName,
    world: World,
    crew: Crew,
}

impl Bay {
    /// Whether somebody looks at the world.
    fn is_visited(&self) -> bool {
        self.hub.presence(&self.channel).is_ok_and(|presence| presence.count > 0)
    }

    /// Plays whenever somebody boards, until nobody looks any more or the subscription ends.
    async fn listen(&mut self, inputs: &mut LocalSubscriber) {
        while self.is_visited() {
            let Ok(received) = timeout(MUSTER_PERIOD, inputs.recv()).await else { continue };
            let Some(publication) = received else { return };
            self.world = World::new(RandomState::new().hash_one(publication.time));
            self.take(&publication).await;
            if !self.crew.is_empty() {
                self.play(inputs).await;
            }
        }
    }

    /// Plays while somebody is there.
    async fn play(&mut self, inputs: &mut LocalSubscriber) {
        let mut ticks = tick_interval();
        let mut next_muster = Instant::now() + MUSTER_PERIOD;
        while !self.crew.is_empty() {
            tokio::select! {
                biased;
                now = ticks.tick() => {
                    self.world.tick(&self.crew.take_inputs());
                    self.publish_world().await;
                    if now >= next_muster {
                        next_muster = now + MUSTER_PERIOD;
                        self.muster().await;
                    }
                }
                publication = inputs.recv() => match publication {
                    Some(publication) => self.take(&publication).await,
                    None => break,
                },
            }
        }
        self.close().await;
    }

    /// Does what a player wants. Whatever is no order, or comes from nobody, or too often, is passed over.
    async fn take(&mut self, publication: &Publication) {
        let Some(publisher) = &publication.publisher else { return };
        match Order::parse(&publication.data) {
            Some(Order::Steer(input)) => self.crew.steer(&publisher.client, input),
            Some(Order::Board(name)) => {
                let listed = self.hub.presence(&self.channel).unwrap_or_default();
                let is_there = listed.members.iter().any(|member| member.client == publisher.client);
                // In a crowd presence has no list; then a crew that says nothing is sent away.
                if !is_there && listed.count == listed.members.len() {
                    return;
                }
                if let Some((boat, card)) = self.crew.board(&mut self.world, &publisher.client, &name) {
                    self.publish(NewPublication { key: Some(key(boat)), ..NewPublication::json(card) }).await;
                }
            }
            None => {}
        }
    }

    /// Lets those go who are no longer there.
    async fn muster(&mut self) {
        let presence = self.hub.presence(&self.channel).unwrap_or_default();
        let listed = (presence.count == presence.members.len()).then_some(&*presence.members);
        for boat in self.crew.muster(listed, Instant::now()) {
            self.world.leave(boat);
            self.remove(key(boat)).await;
        }
    }

    /// Nobody is there any more: newcomers shall not see a world that stands still.
    async fn close(&mut self) {
        for boat in self.crew.disband() {
            self.remove(key(boat)).await;
        }
        self.remove(WORLD_KEY.into()).await;
    }

    async fn publish_world(&self) {
        let mut bytes = Vec::new();
        self.world.encode(&mut bytes);
        self.publish(NewPublication { key: Some(WORLD_KEY.into()), ..NewPublication::binary(bytes) }).await;
    }

    async fn remove(&self, key: std::sync::Arc<str>) {
        self.publish(NewPublication { key: Some(key), remove: true, ..NewPublication::json("null") }).await;
    }

    async fn publish(&self, publication: NewPublication) {
        if let Err(error) = self.hub.publish(&self.channel, publication).await {
            tracing::debug!(?error, "the world was not published");
        }
    }
}

/// A machine that is too slow slows the game down; it does not hurry afterwards.
fn tick_interval() -> Interval {
    let mut ticks = interval(Duration::from_secs(1) / TICKS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn key(boat: vaiven_arena::BoatId) -> std::sync::Arc<str> {
    format!("boat.{}", boat.0).into()
}
