//! What holds in every world, whoever plays and whatever they send. A failure names the seed, which replays it.

use vaiven_arena::{BOAT_RADIUS, BoatId, Input, MAX_BOATS, MAX_LIGHTS, RADIUS, World};

const SEEDS: u64 = 60;
const TICKS: usize = 600;

/// A source of chance of the test's own: xorshift.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("the limit was one")
    }

    fn bytes(&mut self) -> [u8; 8] {
        self.next().to_le_bytes()
    }

    /// Any input at all, extremes more often than not.
    fn input(&mut self) -> (BoatId, Input) {
        let [id, number, x, y, kind, dash, ..] = self.bytes();
        let extremes = [i8::MIN, i8::MAX, 0, -1];
        let part = |byte: u8| {
            if kind < 128 { extremes[usize::from(byte) % 4] } else { i8::from_le_bytes([byte]) }
        };
        (BoatId(id), Input { number, x: part(x), y: part(y), dash: dash < 128 })
    }
}

/// Plays a seed: people come and go, and inputs of any kind arrive for boats that are there and that are not.
fn play(seed: u64, mut check: impl FnMut(&World)) -> World {
    let mut chance = Chance(seed * 0x9e37_79b9 + 1);
    let mut world = World::new(seed);
    let mut people = Vec::new();
    let crowd = match seed % 4 {
        0 => 1,
        1 => 3,
        2 => 30,
        _ => 250,
    };
    for _ in 0..TICKS {
        if chance.below(10) < 6 && people.len() < crowd {
            people.extend(world.join());
        }
        if chance.below(40) == 0 && !people.is_empty() {
            let at = chance.below(people.len());
            world.leave(people.swap_remove(at));
        }
        if chance.below(50) == 0 {
            // Nobody may be there under this number, or a bot.
            let (id, _) = chance.input();
            world.leave(id);
            people.retain(|other| *other != id);
        }
        let inputs: Vec<_> = (0..chance.below(crowd + 2)).map(|_| chance.input()).collect();
        world.tick(&inputs);
        check(&world);
    }
    world
}

#[test]
fn nobody_leaves_the_bay_and_every_number_is_one() {
    for seed in 0..SEEDS {
        play(seed, |world| {
            assert!(world.boats().len() <= MAX_BOATS && world.lights().len() <= MAX_LIGHTS, "seed {seed}");
            for boat in world.boats() {
                let (place, speed) = (boat.place(), boat.speed());
                assert!(place.length() + BOAT_RADIUS <= RADIUS, "seed {seed}: {boat:?}");
                assert!(speed.x.is_finite() && speed.y.is_finite(), "seed {seed}: {boat:?}");
                assert!(speed.length() < 100.0, "seed {seed}: {boat:?}");
            }
            assert!(world.lights().iter().all(|light| light.length() < RADIUS), "seed {seed}");
            assert!(world.boats().is_sorted_by(|a, b| a.id() < b.id()), "seed {seed}");
        });
    }
}

#[test]
fn scores_and_lights_add_up() {
    for seed in 0..SEEDS {
        play(seed, |world| {
            let gathered: u64 = world.boats().iter().map(|boat| u64::from(boat.score())).sum();
            let there = gathered + world.lights().len() as u64;
            assert_eq!(there, world.lights_on_the_books(), "seed {seed}, tick {}", world.age());
        });
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_world() {
    for seed in 0..20 {
        let (once, again) = (play(seed, |_| ()), play(seed, |_| ()));
        assert_eq!(once, again, "seed {seed}");
        let mut bytes = (Vec::new(), Vec::new());
        once.encode(&mut bytes.0);
        again.encode(&mut bytes.1);
        assert_eq!(bytes.0, bytes.1, "seed {seed}");
    }
}

#[test]
fn worlds_of_different_seeds_differ() {
    assert_ne!(World::new(1).lights(), World::new(2).lights());
}

#[test]
fn who_is_alone_has_company_and_nobody_leaves_an_empty_bay() {
    let mut world = World::new(1);
    world.tick(&[]);
    assert_eq!(world.boats().len(), 0);
    let boat = world.join().unwrap();
    (0..10).for_each(|_| world.tick(&[]));
    assert_eq!(world.boats().iter().filter(|boat| boat.is_bot()).count(), 4);
    world.leave(boat);
    (0..10).for_each(|_| world.tick(&[]));
    assert_eq!(world.boats().len(), 0);
}

#[test]
fn bots_gather_lights() {
    let mut world = World::new(3);
    world.join().unwrap();
    (0..900).for_each(|_| world.tick(&[]));
    let best = world.boats().iter().filter(|boat| boat.is_bot()).map(vaiven_arena::Boat::score).max();
    assert!(best > Some(3), "{best:?}");
}

#[test]
fn a_full_bay_takes_nobody_else_but_bots_make_room() {
    let mut world = World::new(1);
    let people: Vec<_> = std::iter::from_fn(|| world.join()).collect();
    assert_eq!(people.len(), MAX_BOATS);
    assert_eq!(world.join(), None);
    world.leave(people[0]);
    assert!(world.join().is_some());
}

#[test]
fn the_helm_moves_a_boat_and_is_let_go_in_time() {
    let mut world = World::new(5);
    let boat = world.join().unwrap();
    let speed =
        |world: &World| world.boats().iter().find(|other| other.id() == boat).unwrap().speed().length();
    let input = Input { number: 9, x: 127, y: 0, dash: false };
    world.tick(&[(boat, input)]);
    (0..20).for_each(|_| world.tick(&[]));
    let sailing = speed(&world);
    (0..240).for_each(|_| world.tick(&[]));
    assert!(sailing > 3.0 && speed(&world) < 3.0, "{sailing} and then {}", speed(&world));
}

#[test]
fn a_press_is_one_dash_and_is_not_lost_among_inputs_of_the_same_tick() {
    let mut world = World::new(5);
    let boat = world.join().unwrap();
    let find = |world: &World| world.boats().iter().find(|other| other.id() == boat).unwrap().clone();
    let press = Input { number: 1, x: 0, y: 127, dash: true };
    world.tick(&[(boat, press), (boat, Input { number: 2, dash: false, ..press })]);
    assert!(find(&world).is_dashing() && !find(&world).can_dash());
    let dashes = (0..60).filter(|_| {
        world.tick(&[(boat, press)]);
        find(&world).can_dash()
    });
    assert_eq!(dashes.count(), 0);
}

#[test]
fn a_dash_makes_the_other_one_spill() {
    // Over many seeds somebody with lights is hit: scores fall without anybody leaving.
    let mut spilled = 0;
    for seed in 0..40 {
        let mut before = std::collections::HashMap::new();
        let mut world = World::new(seed);
        (0..12).for_each(|_| {
            world.join();
        });
        let mut chance = Chance(seed + 1);
        for _ in 0..900 {
            let inputs: Vec<_> = world.boats().iter().map(|boat| (boat.id(), chance.input().1)).collect();
            world.tick(&inputs);
            for boat in world.boats() {
                let was = before.insert(boat.id(), boat.score()).unwrap_or(0);
                spilled += u32::from(boat.score() < was);
            }
        }
    }
    assert!(spilled > 0);
}
