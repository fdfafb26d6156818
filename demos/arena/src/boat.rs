//! A boat, and what who steers it wants.

use crate::{BOAT_RADIUS, RADIUS, Vector};

/// What the helm adds to the speed in a tick, at most.
const PULL: f32 = 0.62;
/// What the water leaves of the speed in a tick.
const GLIDE: f32 = 0.96;
/// What a dash adds to the speed.
const DASH: f32 = 17.0;
/// No boat is faster, whatever pushes it.
const MAX_SPEED: f32 = 36.0;
/// What is left of the speed at which a boat ran ashore.
const BOUNCE: f32 = 0.6;
/// Ticks for which a dash counts as one.
const DASH_TICKS: u16 = 15;
/// Ticks from one dash to the next.
const DASH_PAUSE_TICKS: u16 = 75;
/// Ticks after which the helm of one who says nothing any more is let go.
const HELM_TICKS: u16 = 90;

/// Names a boat among those that are on the water. Another one may have the number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoatId(pub u8);

/// What who steers a boat wants. Every value is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Comes back in the world in which the input counts for the first time.
    pub number: u8,
    /// How much to the right.
    pub x: i8,
    /// How much downwards.
    pub y: i8,
    /// Whether to dash forward.
    pub dash: bool,
}

/// A boat on the water.
#[derive(Clone, Debug, PartialEq)]
pub struct Boat {
    pub(crate) id: BoatId,
    pub(crate) is_bot: bool,
    pub(crate) place: Vector,
    pub(crate) speed: Vector,
    /// Where the bow points; its length is 1.
    pub(crate) heading: Vector,
    pub(crate) input: Input,
    pub(crate) score: u32,
    pub(crate) helm_ticks: u16,
    pub(crate) dash_ticks: u16,
    pub(crate) pause_ticks: u16,
}

impl Boat {
    pub(crate) fn new(id: BoatId, is_bot: bool, place: Vector) -> Self {
        // The bow points to the middle, where there is water.
        let heading = (-place).direction().unwrap_or(Vector::new(1.0, 0.0));
        Self {
            id,
            is_bot,
            place,
            speed: Vector::default(),
            heading,
            input: Input::default(),
            score: 0,
            helm_ticks: 0,
            dash_ticks: 0,
            pause_ticks: 0,
        }
    }

    /// Its number.
    pub fn id(&self) -> BoatId {
        self.id
    }

    /// Whether nobody steers it but the simulation.
    pub fn is_bot(&self) -> bool {
        self.is_bot
    }

    /// Where its middle is; the middle of the bay is 0, 0.
    pub fn place(&self) -> Vector {
        self.place
    }

    /// In units per tick.
    pub fn speed(&self) -> Vector {
        self.speed
    }

    /// The lights that it has gathered and not spilled.
    pub fn score(&self) -> u32 {
        self.score
    }

    /// Whether it dashes.
    pub fn is_dashing(&self) -> bool {
        self.dash_ticks > 0
    }

    /// Whether it may dash.
    pub fn can_dash(&self) -> bool {
        self.pause_ticks == 0
    }

    /// The helm is laid, until another input comes or [`HELM_TICKS`] are over.
    pub(crate) fn steer(&mut self, input: Input) {
        self.input = input;
        self.helm_ticks = HELM_TICKS;
    }

    /// Moves for a tick.
    pub(crate) fn sail(&mut self, push: Vector) {
        self.dash_ticks = self.dash_ticks.saturating_sub(1);
        self.pause_ticks = self.pause_ticks.saturating_sub(1);
        self.helm_ticks = self.helm_ticks.saturating_sub(1);
        if self.helm_ticks == 0 {
            self.input = Input { number: self.input.number, ..Input::default() };
        }
        let helm = Vector::new(f32::from(self.input.x), f32::from(self.input.y)) * (1.0 / 127.0);
        let helm = helm.at_most(1.0);
        if let Some(direction) = helm.direction() {
            self.heading = direction;
        }
        // One press is one dash, however long it is held.
        if std::mem::take(&mut self.input.dash) && self.can_dash() {
            self.speed += self.heading * DASH;
            self.dash_ticks = DASH_TICKS;
            self.pause_ticks = DASH_PAUSE_TICKS;
        }
        self.speed = ((self.speed + helm * PULL + push) * GLIDE).at_most(MAX_SPEED);
        self.place += self.speed;
        self.stay_inside();
    }

    /// The shore throws it back.
    pub(crate) fn stay_inside(&mut self) {
        const SHORE: f32 = RADIUS - BOAT_RADIUS;
        let Some(outwards) = self.place.direction().filter(|_| self.place.length() > SHORE) else { return };
        // A little less than the shore, since rounding must not put it beyond.
        self.place = outwards * (SHORE * 0.999_99);
        let against = self.speed.dot(outwards);
        if against > 0.0 {
            self.speed -= outwards * (against * (1.0 + BOUNCE));
        }
    }
}
