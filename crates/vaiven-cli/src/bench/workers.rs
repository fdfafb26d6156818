//! The threads of a run, from the one who waits for them: told their shares, begun together, and summed up.

use super::job::{Job, Timing};
use super::schedule::Share;
use super::tally::Tally;
use super::worker;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

/// The pause between the last connection and the first message: the server may still be busy with it.
const PAUSE: Duration = Duration::from_millis(100);

/// The threads of a run.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// For each the way to tell it its share.
    shares: Vec<oneshot::Sender<Share>>,
    /// What each worker has opened.
    opened: mpsc::UnboundedReceiver<(u64, u64)>,
    /// Ends when every worker is ready to begin, or has ended.
    ready: mpsc::UnboundedReceiver<Infallible>,
    /// What each has counted, at its end.
    tallies: mpsc::UnboundedReceiver<Tally>,
}

/// A worker's side of the channels.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) index: u64,
    pub(super) opened: mpsc::UnboundedSender<(u64, u64)>,
    pub(super) share: oneshot::Receiver<Share>,
    /// Dropped when every connection knows its part.
    pub(super) ready: mpsc::UnboundedSender<Infallible>,
    pub(super) tally: mpsc::UnboundedSender<Tally>,
}

impl Workers {
    pub(super) fn start(job: &Arc<Job>) -> io::Result<Self> {
        let (mut workers, posts) = Self::new(job.plan.workers as u64);
        for post in posts {
            let job = Arc::clone(job);
            let runtime =
                move || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let thread =
                std::thread::Builder::new().name(format!("load-{}", post.index)).spawn(move || {
                    let Ok(runtime) = runtime() else { return };
                    runtime.block_on(worker::run(job, post));
                    runtime.shutdown_background();
                })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// The channels to so many workers, and their sides of them.
    fn new(count: u64) -> (Self, Vec<Post>) {
        let (opened_sender, opened) = mpsc::unbounded_channel();
        let (ready_sender, ready) = mpsc::unbounded_channel();
        let (tally_sender, tallies) = mpsc::unbounded_channel();
        let (shares, posts) = (0..count)
            .map(|index| {
                let (sender, share) = oneshot::channel();
                let (opened, ready, tally) =
                    (opened_sender.clone(), ready_sender.clone(), tally_sender.clone());
                (sender, Post { index, opened, share, ready, tally })
            })
            .unzip();
        (Self { threads: Vec::new(), shares, opened, ready, tallies }, posts)
    }

    /// Waits for all to have opened their connections: how many each has, in order.
    pub(super) async fn opened(&mut self) -> Vec<u64> {
        let mut counts = vec![0; self.shares.len()];
        while let Some((index, count)) = self.opened.recv().await {
            counts[usize::try_from(index).expect("it counts workers")] = count;
        }
        counts
    }

    /// Lets those that have connections begin, together: when all are ready for what the others send. The others
    /// end. Gives the start.
    pub(super) async fn begin(&mut self, job: &Job, counts: &[u64]) -> Instant {
        let total = counts.iter().sum();
        let mut first = 0;
        for (sender, count) in self.shares.drain(..).zip(counts) {
            let share = Share { first, count: *count, total };
            first += count;
            if *count > 0 {
                // A worker that is gone has panicked, which joining it tells.
                let _ = sender.send(share);
            }
        }
        while self.ready.recv().await.is_some() {}
        let start = Instant::now() + PAUSE;
        job.timing.set(Timing::new(start, &job.plan)).expect("a run begins once");
        start
    }

    /// Lets all end without a message.
    pub(super) fn dismiss(&mut self) {
        self.shares.clear();
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

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
