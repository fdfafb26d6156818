//! What the tests and the fuzz targets share: a pair of peers over a link that behaves as a seed or a script of
//! bytes says, futures that are dropped at a given poll, and an allocator that counts.
//!
//! In reading order: [`Script`] decides, [`link`] makes two ends of a connection that follow it, [`Pair`] puts a
//! client and a server on them, [`poll_at_most`] drops what they do half-way,
//! [`converse`] lets both talk at once. [`CountingAllocator`] stands alone.

mod allocator;
mod conversation;
mod link;
mod pair;
mod polls;
mod script;

pub use allocator::{CountingAllocator, Held};
pub use conversation::converse;
pub use link::{Ending, Link, LinkConfig, link};
pub use pair::Pair;
pub use polls::{count_polls, poll_at_most};
pub use script::{Script, each_seed};
