//! How a bot steers: towards the nearest light, and now and then against somebody who has more.

use crate::boat::{Boat, Input};
use crate::random::Random;
use crate::{BoatId, Vector};

/// A bot makes up its mind once in so many ticks: it shall not be better than people.
const MIND_TICKS: u64 = 10;
/// How far it lays the helm, of 127.
const CALM: f32 = 88.0;
/// Who is this near is a temptation.
const TEMPTATION: f32 = 230.0;

/// What the bots want now. Most of them go on with what they wanted before.
pub(crate) fn wishes(boats: &[Boat], lights: &[Vector], random: &mut Random) -> Vec<(BoatId, Input)> {
    let mut wishes = Vec::new();
    for bot in boats.iter().filter(|boat| boat.is_bot) {
        if random.once_in(MIND_TICKS) {
            wishes.push((bot.id, wish(bot, boats, lights, random)));
        }
    }
    wishes
}

fn wish(bot: &Boat, boats: &[Boat], lights: &[Vector], random: &mut Random) -> Input {
    let rival = boats.iter().find(|boat| {
        boat.id != bot.id && boat.score > bot.score && (boat.place - bot.place).length() < TEMPTATION
    });
    if let Some(rival) = rival.filter(|_| bot.can_dash() && random.once_in(6)) {
        return towards(bot, rival.place, true);
    }
    let distance = |light: &Vector| (*light - bot.place).length();
    let nearest = lights.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    // It aims a little beside it, as one does.
    let aside = Vector::new(random.signed(), random.signed()) * 40.0;
    towards(bot, nearest.copied().unwrap_or_default() + aside, false)
}

fn towards(bot: &Boat, place: Vector, dash: bool) -> Input {
    let direction = (place - bot.place).direction().unwrap_or_default() * CALM;
    Input { number: 0, x: as_i8(direction.x), y: as_i8(direction.y), dash }
}

/// The nearest value that there is.
#[expect(clippy::cast_possible_truncation, reason = "a cast from f32 takes the nearest value")]
fn as_i8(value: f32) -> i8 {
    value as i8
}
