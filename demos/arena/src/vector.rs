//! Places, speeds and directions in the plane.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

/// A place, a speed or a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vector {
    /// To the right.
    pub x: f32,
    /// Downwards, as on a screen.
    pub y: f32,
}

impl Vector {
    /// The vector of these parts.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// How long it is.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The same direction with the length 1; nothing of nothing.
    pub(crate) fn direction(self) -> Option<Self> {
        let length = self.length();
        (length > f32::EPSILON).then(|| self * (1.0 / length))
    }

    /// The same direction, and no longer than this.
    pub(crate) fn at_most(self, longest: f32) -> Self {
        let length = self.length();
        if length > longest { self * (longest / length) } else { self }
    }
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Vector {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

impl Neg for Vector {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.x, -self.y)
    }
}

impl AddAssign for Vector {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Vector {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
