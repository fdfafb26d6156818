//! The bay: who is on the water, and what happens in a tick.

use crate::boat::{Boat, BoatId, Input};
use crate::random::Random;
use crate::{Vector, bot, swell};

/// Ticks in a second.
pub const TICKS_PER_SECOND: u32 = 30;
/// The radius of the bay; no part of a boat goes beyond.
pub const RADIUS: f32 = 1000.0;
/// The radius of a boat.
pub const BOAT_RADIUS: f32 = 36.0;
/// The most boats: their numbers are one byte, and no more than these see each other in one bay.
pub const MAX_BOATS: usize = 200;
/// The most lights on the water.
pub const MAX_LIGHTS: usize = 250;

/// Boats that there are at least, with bots, when somebody is there.
const COMPANY: usize = 5;
/// Lights on the water without any boat; one more for each boat.
const FEWEST_LIGHTS: usize = 12;
/// A light is gathered by a boat whose middle is this near.
const REACH: f32 = 58.0;
/// Lights stay this far from the middle, at most, so that each can be reached.
const LIGHTS_RADIUS: f32 = RADIUS - 60.0;
/// How much more than a boat the swell moves a light.
const LIGHT_DRIFT: f32 = 14.0;
/// What is left of the speed at which two boats meet. More than all: pushing is what people enjoy.
const REBOUND: f32 = 1.15;
/// The speed at which a dash makes the other one spill.
const SPILL_SPEED: f32 = 9.0;
/// The most lights that are spilled at once.
const MAX_SPILL: u32 = 6;

/// The bay and all that is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub(crate) tick: u32,
    /// In the order of their numbers.
    pub(crate) boats: Vec<Boat>,
    pub(crate) lights: Vec<Vector>,
    random: Random,
    last_id: u8,
    released: u64,
    dissolved: u64,
}

impl World {
    /// A bay with lights and without boats.
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            tick: 0,
            boats: Vec::new(),
            lights: Vec::new(),
            random: Random::new(seed),
            last_id: 0,
            released: 0,
            dissolved: 0,
        };
        world.light_up();
        world
    }

    /// Puts a boat on the water for somebody. `None` when there are [`MAX_BOATS`].
    pub fn join(&mut self) -> Option<BoatId> {
        if self.boats.len() >= MAX_BOATS {
            let bot = self.boats.iter().find(|boat| boat.is_bot)?.id;
            self.leave(bot);
        }
        self.launch(false)
    }

    /// Takes a boat off the water, with what it has gathered.
    pub fn leave(&mut self, id: BoatId) {
        if let Ok(at) = self.find(id) {
            self.dissolved += u64::from(self.boats.remove(at).score);
        }
    }

    /// A thirtieth of a second. Of several inputs for one boat the last one counts, but no dash is lost; those for boats
    /// that are not there count for nothing.
    pub fn tick(&mut self, inputs: &[(BoatId, Input)]) {
        self.tick = self.tick.wrapping_add(1);
        self.keep_company();
        let wishes = bot::wishes(&self.boats, &self.lights, &mut self.random);
        for (id, input) in inputs.iter().chain(&wishes) {
            if let Ok(at) = self.find(*id) {
                let boat = &mut self.boats[at];
                let dash = input.dash || boat.input.dash;
                boat.steer(Input { dash, ..*input });
            }
        }
        let push = swell::push(self.tick);
        for boat in &mut self.boats {
            boat.sail(push);
        }
        self.collide();
        self.drift(push);
        self.gather();
        self.light_up();
    }

    /// Ticks since the beginning.
    pub fn age(&self) -> u32 {
        self.tick
    }

    /// The boats, in the order of their numbers.
    pub fn boats(&self) -> &[Boat] {
        &self.boats
    }

    /// Where the lights are.
    pub fn lights(&self) -> &[Vector] {
        &self.lights
    }

    /// Lights that there are by the books: those that were ever put on the water, without those that have gone with a
    /// boat or found no room. As many are on the water and in boats.
    pub fn lights_on_the_books(&self) -> u64 {
        self.released - self.dissolved
    }

    fn find(&self, id: BoatId) -> Result<usize, usize> {
        self.boats.binary_search_by_key(&id, |boat| boat.id)
    }

    /// Launches a boat under the next number that is free, so that a number is not soon another boat's.
    fn launch(&mut self, is_bot: bool) -> Option<BoatId> {
        for _ in 0..=u8::MAX {
            self.last_id = self.last_id.wrapping_add(1);
            let id = BoatId(self.last_id);
            if let Err(at) = self.find(id) {
                let place = self.random.place(RADIUS * 0.7);
                self.boats.insert(at, Boat::new(id, is_bot, place));
                return Some(id);
            }
        }
        None
    }

    /// Bots come where few people are, and go where they are many, or nobody is.
    fn keep_company(&mut self) {
        let people = self.boats.iter().filter(|boat| !boat.is_bot).count();
        let wanted = if people == 0 { 0 } else { COMPANY.saturating_sub(people) };
        let bots = self.boats.len() - people;
        if bots < wanted {
            self.launch(true);
        } else if bots > wanted {
            // The poorest goes: nobody misses it.
            let poorest = self.boats.iter().filter(|boat| boat.is_bot).min_by_key(|boat| boat.score);
            if let Some(id) = poorest.map(|boat| boat.id) {
                self.leave(id);
            }
        }
    }

    /// Boats of equal weight push each other.
    fn collide(&mut self) {
        for second in 1..self.boats.len() {
            let (before, after) = self.boats.split_at_mut(second);
            let b = &mut after[0];
            let mut spills = Vec::new();
            for a in before {
                let apart = b.place - a.place;
                let overlap = 2.0 * BOAT_RADIUS - apart.length();
                if overlap <= 0.0 {
                    continue;
                }
                // Two boats on the same spot have no direction between them: any will do.
                let direction = apart.direction().unwrap_or(Vector::new(1.0, 0.0));
                a.place -= direction * (overlap / 2.0);
                b.place += direction * (overlap / 2.0);
                let closing = (a.speed - b.speed).dot(direction);
                if closing > 0.0 {
                    let change = direction * (closing * (1.0 + REBOUND) / 2.0);
                    a.speed -= change;
                    b.speed += change;
                    if closing > SPILL_SPEED {
                        spills.extend(spill(a, b));
                    }
                }
                a.stay_inside();
                b.stay_inside();
            }
            for (place, count) in spills {
                self.scatter(place, count);
            }
        }
    }

    /// Puts lights that were spilled back on the water.
    fn scatter(&mut self, place: Vector, count: u32) {
        for _ in 0..count {
            if self.lights.len() >= MAX_LIGHTS {
                self.dissolved += 1;
                continue;
            }
            let light = place + self.random.place(150.0) + self.random.place(60.0);
            self.lights.push(light.at_most(LIGHTS_RADIUS));
        }
    }

    fn drift(&mut self, push: Vector) {
        for light in &mut self.lights {
            *light = (*light + push * LIGHT_DRIFT).at_most(LIGHTS_RADIUS);
        }
    }

    /// The boat that is nearest to a light gets it.
    fn gather(&mut self) {
        let mut at = 0;
        while let Some(&light) = self.lights.get(at) {
            let distance = |boat: &Boat| (boat.place - light).length();
            // Who spills does not take it back in the same moment: it is thrown away from those who collide.
            let near = self.boats.iter_mut().filter(|boat| distance(boat) < REACH);
            if let Some(boat) = near.min_by(|a, b| distance(a).total_cmp(&distance(b))) {
                boat.score += 1;
                self.lights.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Releases lights where some are missing, one in a tick, so that they do not all appear at once.
    fn light_up(&mut self) {
        let wanted = (FEWEST_LIGHTS + self.boats.len()).min(MAX_LIGHTS);
        if self.lights.len() < wanted {
            let light = self.random.place(LIGHTS_RADIUS);
            self.lights.push(light);
            self.released += 1;
        }
    }
}

/// What one of two boats spills that met: the one that was hit by a dash. Two that dash are even.
fn spill(a: &mut Boat, b: &mut Boat) -> Option<(Vector, u32)> {
    let hit = match (a.is_dashing(), b.is_dashing()) {
        (true, false) => b,
        (false, true) => a,
        _ => return None,
    };
    let count = (hit.score / 4 + 1).min(MAX_SPILL).min(hit.score);
    hit.score -= count;
    Some((hit.place, count))
}
