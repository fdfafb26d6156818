//! The simulation of the game: the wishes of those who steer -> a bay with boats on a swell.
//!
//! Boats gather lights that drift on the water, and push each other. Who is hit by a boat that dashes spills some of
//! what it has gathered. Where few people are, bots sail with them.
//!
//! There is no input, no output and no clock here: [`World::tick`] is a thirtieth of a second, and the same seed with
//! the same calls gives the same world on every machine. [`World::encode`] writes it small, to be sent to everybody.
//!
//! ```
//! use vaiven_arena::{Input, World};
//!
//! let mut world = World::new(7);
//! let boat = world.join().expect("there is room");
//! for _ in 0..30 {
//!     world.tick(&[(boat, Input { number: 1, x: 127, y: 0, dash: false })]);
//! }
//! let mut bytes = Vec::new();
//! world.encode(&mut bytes);
//! assert!(bytes.len() < 200);
//! ```
#![forbid(unsafe_code)]

mod boat;
mod bot;
mod random;
mod snapshot;
mod swell;
mod vector;
mod world;

pub use boat::{Boat, BoatId, Input};
pub use vector::Vector;
pub use world::{BOAT_RADIUS, MAX_BOATS, MAX_LIGHTS, RADIUS, TICKS_PER_SECOND, World};
