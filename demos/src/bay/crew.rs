//! Who sails which boat, and what they want in the next tick.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vaiven_arena::{BoatId, Input, World};
use vaiven_hub::Member;

/// Orders of one player that are taken from one muster to the next, which is a second: twice as many as a page sends.
const MAX_ORDERS: u32 = 60;
/// Orders that boarding counts as, since everybody hears of it.
const BOARDING_ORDERS: u32 = 10;
/// Who has said nothing for this long makes room, however present. A page that is looked at says something every second.
const MAX_SILENCE: Duration = Duration::from_mins(3);

/// The players, by the names that the server gave their clients.
#[derive(Debug, Default)]
pub(super) struct Crew {
    players: BTreeMap<Arc<str>, Player>,
    /// In the order in which they came: of each boat the last one counts.
    inputs: Vec<(BoatId, Input)>,
}

#[derive(Debug)]
struct Player {
    boat: BoatId,
    /// Orders since the last muster.
    orders: u32,
    heard_at: Instant,
}

impl Crew {
    pub(super) fn is_empty(&self) -> bool {
        self.players.is_empty()
    }

    /// Gives a player a boat, or the boat another name; with the card that says so to everybody. `None` when no boat is
    /// left, or when there is too much to say.
    pub(super) fn board(
        &mut self,
        world: &mut World,
        client: &Arc<str>,
        name: &str,
    ) -> Option<(BoatId, String)> {
        let boat = if let Some(player) = self.players.get_mut(client) {
            player.hear(BOARDING_ORDERS).then_some(player.boat)?
        } else {
            let boat = world.join()?;
            self.players.insert(
                Arc::clone(client),
                Player { boat, orders: BOARDING_ORDERS, heard_at: Instant::now() },
            );
            boat
        };
        let card = serde_json::json!({ "client": &**client, "name": name });
        Some((boat, card.to_string()))
    }

    /// Notes what a player wants; of a client without a boat, nothing.
    pub(super) fn steer(&mut self, client: &str, input: Input) {
        let Some(player) = self.players.get_mut(client) else { return };
        if player.hear(1) {
            self.inputs.push((player.boat, input));
        }
    }

    /// What is wanted in this tick.
    pub(super) fn take_inputs(&mut self) -> Vec<(BoatId, Input)> {
        std::mem::take(&mut self.inputs)
    }

    /// Takes those from the list who are not present, where that is known, or silent; gives their boats.
    pub(super) fn muster(&mut self, present: Option<&[Member]>, now: Instant) -> Vec<BoatId> {
        let present: Option<HashSet<&str>> =
            present.map(|members| members.iter().map(|member| &*member.client).collect());
        let mut gone = Vec::new();
        self.players.retain(|client, player| {
            player.orders = 0;
            let is_present = present.as_ref().is_none_or(|present| present.contains(&**client));
            let stays = is_present && now.duration_since(player.heard_at) <= MAX_SILENCE;
            if !stays {
                gone.push(player.boat);
            }
            stays
        });
        gone
    }

    /// Takes everybody from the list; gives their boats.
    pub(super) fn disband(&mut self) -> Vec<BoatId> {
        self.inputs.clear();
        std::mem::take(&mut self.players).into_values().map(|player| player.boat).collect()
    }
}

impl Player {
    /// Counts as many orders; whether this one is to be taken.
    fn hear(&mut self, orders: u32) -> bool {
        self.heard_at = Instant::now();
        self.orders = self.orders.saturating_add(orders);
        self.orders <= MAX_ORDERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(client: &str) -> Member {
        Member { client: client.into(), user: None, info: None }
    }

    fn aboard(clients: &[&str]) -> (Crew, World) {
        let (mut crew, mut world) = (Crew::default(), World::new(1));
        for client in clients {
            crew.board(&mut world, &(*client).into(), client).unwrap();
        }
        (crew, world)
    }

    const INPUT: Input = Input { number: 1, x: 1, y: 1, dash: false };

    #[tokio::test(start_paused = true)]
    async fn who_boards_twice_has_one_boat_and_the_latest_name() {
        let (mut crew, mut world) = aboard(&["a"]);
        let (_, card) = crew.board(&mut world, &"a".into(), "Ana \"B\"").unwrap();
        assert_eq!(card, r#"{"client":"a","name":"Ana \"B\""}"#);
        assert_eq!(world.boats().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_orders_are_passed_over_until_the_next_muster() {
        let (mut crew, _) = aboard(&["a", "b"]);
        for _ in 0..1_000 {
            crew.steer("a", INPUT);
        }
        crew.steer("b", INPUT);
        crew.steer("stranger", INPUT);
        // Boarding was the first ten orders of each.
        assert_eq!(crew.take_inputs().len(), 50 + 1);
        crew.muster(None, Instant::now());
        crew.steer("a", INPUT);
        assert_eq!(crew.take_inputs().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_absent_or_silent_loses_the_boat() {
        let (mut crew, _) = aboard(&["a", "b", "c"]);
        let now = Instant::now();
        assert_eq!(crew.muster(Some(&[member("a"), member("c")]), now).len(), 1);
        assert_eq!(crew.muster(None, now + MAX_SILENCE).len(), 0);
        tokio::time::advance(MAX_SILENCE).await;
        crew.steer("a", INPUT);
        assert_eq!(crew.muster(None, Instant::now() + Duration::from_secs(1)).len(), 1);
        assert!(!crew.is_empty());
    }
}
