//! Turns counted work into CPU time per unit of it, over a span that begins after a warm-up.

use std::time::{Duration, Instant};

use crate::client::PATIENCE;
use crate::{Result, cpu};

/// How long to warm up and to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Watches one server while it works.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: u32,
    span: Span,
    /// When the present phase began, and the CPU time used by then; none while warming up.
    phase: Instant,
    used_before: Option<u64>,
    count: u64,
    last_progress: Instant,
}

impl Meter {
    /// Begins to warm up.
    pub(crate) fn start(pid: u32, span: Span) -> Self {
        let now = Instant::now();
        Self { pid, span, phase: now, used_before: None, count: 0, last_progress: now }
    }

    /// Counts work since the last call. At the end of the span: microseconds per unit.
    pub(crate) fn count(&mut self, done: usize) -> Result<Option<f64>> {
        let now = Instant::now();
        if done > 0 {
            self.last_progress = now;
            self.count += done as u64;
        } else if now - self.last_progress > PATIENCE {
            return Err("no answer for ten seconds".into());
        }
        let length = if self.used_before.is_none() { self.span.warm_up } else { self.span.measured };
        if now - self.phase < length || self.count == 0 {
            return Ok(None);
        }
        let used = cpu::used_nanos(self.pid)?;
        let Some(used_before) = self.used_before.replace(used) else {
            (self.phase, self.count) = (now, 0);
            return Ok(None);
        };
        Ok(Some((used - used_before) as f64 / 1000.0 / self.count as f64))
    }
}
