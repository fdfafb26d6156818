//! Opens the connections of a worker: so many per second, so many at once.

use super::job::nanos_between;
use super::worker::Worker;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How late an interruption is noticed.
const TICK: Duration = Duration::from_millis(20);

/// Opens every connection whose turn is this worker's: each has every `workers`th.
pub(super) async fn all(worker: &Rc<Worker>, index: u64) {
    let plan = &worker.job.plan;
    let workers = plan.workers as u64;
    let mut under_way = JoinSet::new();
    let most = plan.connect_concurrency.div_ceil(plan.workers);
    let mut numbers = (index..plan.connections).step_by(plan.workers).peekable();
    debug_assert!(index < workers);
    while numbers.peek().is_some() || !under_way.is_empty() {
        if worker.job.stopped.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let due = numbers.peek().map(|number| {
            let after = plan.connect_schedule.map_or(0, |schedule| schedule.due(*number));
            worker.job.began + Duration::from_nanos(after)
        });
        let wake = match due {
            Some(due) if due <= now && under_way.len() < most => {
                numbers.next();
                under_way.spawn_local(one(Rc::clone(worker)));
                continue;
            }
            Some(due) if due > now => due.min(now + TICK),
            _ => now + TICK,
        };
        tokio::select! {
            _ = under_way.join_next(), if !under_way.is_empty() => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

async fn one(worker: Rc<Worker>) {
    let (job, started) = (&worker.job, Instant::now());
    match job.plan.client.connect(&job.plan.url).await {
        Ok((socket, _)) => {
            {
                let mut tally = worker.tally.borrow_mut();
                tally.opened += 1;
                tally.connecting.note(nanos_between(started, Instant::now()));
            }
            job.opened.fetch_add(1, Ordering::Relaxed);
            worker.add(socket);
        }
        Err(error) => {
            let mut tally = worker.tally.borrow_mut();
            tally.failed += 1;
            tally.faults.note_error(&error);
            job.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
