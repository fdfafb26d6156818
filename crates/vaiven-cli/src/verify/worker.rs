//! A process with its share of the subscribers: takes orders on standard input, tells on standard output.

use super::disturber::Disturber;
use super::job::{Findings, Job, Order, Told};
use super::ledger::Sent;
use super::route::Route;
use super::subscriber::{Clocks, Subscriber};
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Subscribers that open at the same time.
const TURNS: usize = 64;
/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until the orders end.
pub(super) fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(work()),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tell(&Told::Failed(why));
            ExitCode::FAILURE
        }
    }
}

fn tell(told: &Told) {
    let line = serde_json::to_string(told).expect("it has no map with keys that are not strings");
    // Nobody is left to be told where the first process is gone.
    let _ = writeln!(std::io::stdout(), "{line}");
}

type Orders = Lines<BufReader<Stdin>>;

async fn next(orders: &mut Orders) -> Result<Order, String> {
    let line = orders.next_line().await.map_err(|error| format!("cannot read the orders: {error}"))?;
    let line = line.ok_or("the process that gives the orders is gone")?;
    serde_json::from_str(&line).map_err(|error| format!("an order is not understood: {error}"))
}

async fn work() -> Result<(), String> {
    let mut orders = BufReader::new(stdin()).lines();
    let Order::Begin(job) = next(&mut orders).await? else {
        return Err("the first order is another".to_owned());
    };
    let share = Share::new(job)?;
    let mut there = share.there.subscribe();
    let all = share.job.subscribers;
    let mut told = usize::MAX;
    while told != all {
        let count = *there.borrow_and_update();
        if count != told {
            told = count;
            tell(&Told::Ready(told));
        }
        if told != all {
            tokio::time::sleep(LOOK).await;
        }
    }
    loop {
        match next(&mut orders).await? {
            Order::Begin(_) => return Err("it has begun already".to_owned()),
            Order::Disturb => share.disturber.begin(),
            Order::Avalanche => share.disturber.avalanche(),
            Order::Finish { sent, within } => {
                share.finish(&sent, Duration::from_millis(within)).await;
                return Ok(());
            }
        }
    }
}

/// The subscribers of this process and the network before them.
struct Share {
    job: Arc<Job>,
    disturber: Disturber,
    subscribers: Vec<Subscriber>,
    clocks: Arc<Mutex<Clocks>>,
    there: Arc<watch::Sender<usize>>,
}

impl Share {
    fn new(job: Job) -> Result<Self, String> {
        let (proxy, route) = Route::new(&job)?;
        let disturber = Disturber::new(proxy, &job.faults, job.subscribers, job.fault_every, job.seed);
        let job = Arc::new(job);
        let clocks = Arc::default();
        let there = Arc::new(watch::Sender::new(0));
        let turns = Arc::new(Semaphore::new(TURNS));
        let start = |_| Subscriber::start(&job, &route, &clocks, &there, &turns);
        let subscribers = (0..job.subscribers).map(start).collect();
        Ok(Self { job, disturber, subscribers, clocks, there })
    }

    /// Waits until everything has arrived, or may no more, and tells what was found.
    async fn finish(&self, sent: &[Sent], within: Duration) {
        self.disturber.end();
        let end = Instant::now() + within;
        let mut waiting: Vec<&Subscriber> = self.subscribers.iter().collect();
        while Instant::now() < end {
            waiting.retain(|subscriber| !subscriber.is_complete(sent));
            if waiting.is_empty() {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut findings = Findings::default();
        for subscriber in &self.subscribers {
            subscriber.add_to(&mut findings, sent);
        }
        findings.faults = self.disturber.count();
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let Clocks { latency, replay, away } = std::mem::take(&mut *clocks);
        drop(clocks);
        tell(&Told::Done(Box::new(Findings { latency, replay, away, ..findings })));
    }
}
