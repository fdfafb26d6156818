//! A world -> bytes for everybody.
//!
//! All numbers are little-endian. A head of 7 bytes: the version 1, the tick (4), the count of boats, the count of
//! lights. Then each boat in 9 bytes: its number; its place in 3; its heading; its flags (1 a bot, 2 dashing, 4 may
//! dash); its score in 2; the number of its latest input. Then each light in 3 bytes, its place.
//!
//! A place is x and y in 12 bits each, in half units from -1024. A heading is an angle measured along a diamond and not
//! along a circle, in 256 parts from the right over below: nobody needs a sine for it.

use crate::{Boat, MAX_BOATS, MAX_LIGHTS, Vector, World};

/// Of the layout. Who reads another one must load its program anew.
const VERSION: u8 = 1;

const _: () = assert!(MAX_BOATS <= u8::MAX as usize);
const _: () = assert!(MAX_LIGHTS <= u8::MAX as usize);

impl World {
    /// Appends what everybody is to see.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.extend(self.tick.to_le_bytes());
        bytes.push(count(self.boats.len()));
        bytes.push(count(self.lights.len()));
        for boat in &self.boats {
            boat.encode(bytes);
        }
        for light in &self.lights {
            bytes.extend(place(*light));
        }
    }
}

impl Boat {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let flags = u8::from(self.is_bot) | u8::from(self.is_dashing()) << 1 | u8::from(self.can_dash()) << 2;
        bytes.push(self.id.0);
        bytes.extend(place(self.place));
        bytes.push(diamond(self.heading));
        bytes.push(flags);
        bytes.extend(u16::try_from(self.score).unwrap_or(u16::MAX).to_le_bytes());
        bytes.push(self.input.number);
    }
}

fn count(len: usize) -> u8 {
    u8::try_from(len).expect("there are no more than the limits say")
}

fn place(place: Vector) -> [u8; 3] {
    let [x, y] = [place.x, place.y].map(|part| clamp((part + 1024.0) * 2.0, 4095.0));
    let [low, middle, high, _] = (u32::from(x) | u32::from(y) << 12).to_le_bytes();
    [low, middle, high]
}

fn diamond(heading: Vector) -> u8 {
    let sum = heading.x.abs() + heading.y.abs();
    if sum == 0.0 {
        return 0;
    }
    let part = heading.y / sum;
    let angle = if heading.x < 0.0 {
        2.0 - part
    } else if part < 0.0 {
        4.0 + part
    } else {
        part
    };
    // The last half part before the right is the right.
    u8::try_from(clamp((angle * 64.0).round(), 256.0) & 255).expect("it was masked")
}

/// The nearest whole number from 0 to a limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was brought into range")]
fn clamp(value: f32, limit: f32) -> u16 {
    value.clamp(0.0, limit) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_to_half_a_unit() {
        for (x, y) in [(0.0, 0.0), (-1000.0, 999.5), (12.5, -700.0), (1e9, -1e9)] {
            let [low, middle, high] = place(Vector::new(x, y));
            let both = u32::from_le_bytes([low, middle, high, 0]);
            let back = |part: u32| f32::from(u16::try_from(part).unwrap()) / 2.0 - 1024.0;
            for (part, whole) in [(both & 0xfff, x), (both >> 12, y)] {
                let error = (back(part) - f32::clamp(whole, -1024.0, 1023.5)).abs();
                assert!(error < 0.5, "{whole} became {}", back(part));
            }
        }
    }

    #[test]
    fn headings_go_round_once() {
        let corners = [(1.0, 0.0, 0), (0.0, 1.0, 64), (-1.0, 0.0, 128), (0.0, -1.0, 192), (0.5, 0.5, 32)];
        for (x, y, expected) in corners {
            assert_eq!(diamond(Vector::new(x, y)), expected, "{x}, {y}");
        }
        assert_eq!(diamond(Vector::new(1.0, -0.0001)), 0);
        assert_eq!(diamond(Vector::default()), 0);
    }

    #[test]
    fn twenty_boats_fit_into_one_small_packet() {
        let mut world = World::new(1);
        for _ in 0..20 {
            world.join().unwrap();
        }
        for _ in 0..300 {
            world.tick(&[]);
        }
        let mut bytes = Vec::new();
        world.encode(&mut bytes);
        assert_eq!(bytes.len(), 7 + 20 * 9 + world.lights().len() * 3);
        assert!(bytes.len() < 300, "{} bytes", bytes.len());
    }
}
