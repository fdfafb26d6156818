//! What a person at a terminal sees meanwhile; nothing where standard error is none.

use super::job::Job;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::Ordering;
use std::time::Duration;

const STYLE: &str = "{prefix:11} {wide_bar} {msg}";

/// The bar.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    /// Messages at the last look.
    arrived: u64,
}

impl Progress {
    /// A bar of so many connections that are opened.
    pub(super) fn connecting(job: &Job) -> Self {
        let bar = ProgressBar::new(job.plan.connections);
        bar.set_style(ProgressStyle::with_template(STYLE).expect("the template is right"));
        bar.set_prefix("connecting");
        Self { bar, arrived: 0 }
    }

    /// Shows how many connections there are.
    pub(super) fn show_connections(&self, job: &Job) {
        let opened = job.opened.load(Ordering::Relaxed);
        let failed = job.failed.load(Ordering::Relaxed);
        self.bar.set_position(opened + failed);
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        self.bar.set_message(format!("{opened} of {}{failed}", job.plan.connections));
    }

    /// From now on the bar is one of time.
    pub(super) fn begin(&mut self, job: &Job) {
        self.bar.set_length(millis(job.plan.warm_up + job.plan.duration));
        self.bar.set_position(0);
        self.arrived = job.arrived.load(Ordering::Relaxed);
    }

    /// Shows how much of the time is over, and the messages of the last `tick`.
    pub(super) fn show_time(&mut self, job: &Job, elapsed: Duration, tick: Duration) {
        let arrived = job.arrived.load(Ordering::Relaxed);
        let lately = arrived - std::mem::replace(&mut self.arrived, arrived);
        let per_second = u128::from(lately) * 1000 / tick.as_millis().max(1);
        let (warm_up, all) = (job.plan.warm_up, job.plan.warm_up + job.plan.duration);
        self.bar.set_prefix(match elapsed {
            elapsed if elapsed < warm_up => "warming up",
            elapsed if elapsed < all => "measuring",
            _ => "finishing",
        });
        self.bar.set_position(millis(elapsed.min(all)));
        let left = all.saturating_sub(elapsed).as_secs();
        self.bar.set_message(format!("{per_second} messages/s, {left} s left"));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
