//! Faults at random times and at random connections, the same for the same seed.

use super::proxy::{Fault, Proxy};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Makes faults in one proxy.
#[derive(Clone, Debug)]
pub(super) struct Disturber {
    proxy: Arc<Proxy>,
    kinds: Arc<[Fault]>,
    /// Faults per second, in all.
    rate: f64,
    seed: u64,
    is_on: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
}

impl Disturber {
    /// Faults of those `kinds` that happen to single connections: each of `connections` meets one `every` so often.
    pub(super) fn new(proxy: Proxy, kinds: &[Fault], connections: usize, every: f64, seed: u64) -> Self {
        let is_single = |fault: &&Fault| !matches!(fault, Fault::Avalanche | Fault::Restart);
        #[expect(clippy::cast_precision_loss, reason = "there are fewer connections than that")]
        let rate = connections.max(1) as f64 / every;
        Self {
            proxy: Arc::new(proxy),
            kinds: kinds.iter().filter(is_single).copied().collect(),
            rate,
            seed,
            is_on: Arc::default(),
            count: Arc::default(),
        }
    }

    /// Begins.
    pub(super) fn begin(&self) {
        if !self.kinds.is_empty() && !self.is_on.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().run());
        }
    }

    /// Lets be.
    pub(super) fn end(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }

    /// Cuts all connections at once.
    pub(super) fn avalanche(&self) {
        self.count.fetch_add(self.proxy.len() as u64, Ordering::Relaxed);
        self.proxy.cut_all();
    }

    /// Faults so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    async fn run(self) {
        let mut random = SmallRng::seed_from_u64(self.seed);
        let mut next = Instant::now();
        loop {
            // The time between two of many independent events.
            let pause = -(1.0 - random.random::<f64>()).ln() / self.rate;
            next += Duration::from_secs_f64(pause.min(60.0));
            tokio::time::sleep_until(next).await;
            if !self.is_on.load(Ordering::Relaxed) {
                return;
            }
            if let Some(kind) = self.kinds.get(random.random_range(0..self.kinds.len())) {
                self.proxy.strike(random.random_range(0..usize::MAX), *kind);
                self.count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
