//! The threads of a run, from the one who waits for them: told their shares, begun together, and summed up.

use super::job::{Go, Job};
use super::schedule::{Share, Window};
use super::tally::Tally;
use super::worker;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

/// The threads of a run.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// For each the way to tell it to begin.
    go: Vec<oneshot::Sender<Go>>,
    /// What each worker has opened.
    opened: mpsc::UnboundedReceiver<(u64, u64)>,
    /// What each has counted, at its end.
    tallies: mpsc::UnboundedReceiver<Tally>,
}

impl Workers {
    pub(super) fn start(job: &Arc<Job>) -> io::Result<Self> {
        let (opened_sender, opened) = mpsc::unbounded_channel();
        let (tally_sender, tallies) = mpsc::unbounded_channel();
        let (mut threads, mut go) = (Vec::new(), Vec::new());
        for index in 0..job.plan.workers as u64 {
            let (sender, told) = oneshot::channel();
            go.push(sender);
            let (job, opened, tally) = (Arc::clone(job), opened_sender.clone(), tally_sender.clone());
            let runtime =
                move || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let thread = std::thread::Builder::new().name(format!("load-{index}")).spawn(move || {
                let Ok(runtime) = runtime() else { return };
                // The other side is there for as long as this is.
                let _ = tally.send(runtime.block_on(worker::run(job, index, opened, told)));
                runtime.shutdown_background();
            })?;
            threads.push(thread);
        }
        Ok(Self { threads, go, opened, tallies })
    }

    /// Waits for all to have opened their connections: how many each has, in order.
    pub(super) async fn opened(&mut self) -> Vec<u64> {
        let mut counts = vec![0; self.go.len()];
        while let Some((index, count)) = self.opened.recv().await {
            counts[usize::try_from(index).expect("it counts workers")] = count;
        }
        counts
    }

    /// Tells those that have connections to begin; the others end.
    pub(super) fn go(&mut self, counts: &[u64], start: Instant, window: Window) {
        let total = counts.iter().sum();
        let mut first = 0;
        for (go, count) in self.go.drain(..).zip(counts) {
            let share = Share { first, count: *count, total };
            first += count;
            if *count > 0 {
                // A worker that is gone has panicked, which joining it tells.
                let _ = go.send(Go { start, share, window });
            }
        }
    }

    /// Lets all end without a message.
    pub(super) fn dismiss(&mut self) {
        self.go.clear();
    }

    /// All tallies together, when the last worker has ended.
    pub(super) async fn tally(&mut self) -> Tally {
        let mut all = Tally::new();
        while let Some(tally) = self.tallies.recv().await {
            all.merge(tally);
        }
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        all
    }
}
