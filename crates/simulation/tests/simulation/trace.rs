//! All that happened, with its time, as one number; and as lines where somebody wants to read them.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Mutex;
use tokio::time::Instant;

/// What happens in a world, in order.
#[derive(Debug)]
pub(crate) struct Trace {
    started: Instant,
    hash: Mutex<DefaultHasher>,
    shows: bool,
}

impl Trace {
    pub(crate) fn new(shows: bool) -> Self {
        Self { started: Instant::now(), hash: Mutex::new(DefaultHasher::new()), shows }
    }

    /// Something happened.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:9.3} {what}", self.started.elapsed().as_secs_f64());
        self.hash.lock().unwrap().write(line.as_bytes());
        if self.shows {
            eprintln!("{line}");
        }
    }

    /// The number.
    pub(crate) fn finish(&self) -> u64 {
        self.hash.lock().unwrap().finish()
    }
}
