//! The hub as those see it who build on it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod bounds;
mod contracts;
mod disk;
mod simulation;
mod support;
