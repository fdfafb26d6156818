//! `vaiven bench`: load on a WebSocket server, and what it does under it.
//!
//! The options make a plan; each worker is a thread that opens its share of the connections and, when all are open,
//! sends and receives on them; this thread waits, looks at the server's process when the measured part begins and
//! ends, and puts the workers' tallies together. With a rate, messages are due at fixed times and latency counts from
//! then, so that a server that stalls cannot hide what it keeps waiting.

mod alarm;
mod exit;
mod fault;
mod job;
mod lane;
mod open;
mod options;
mod payload;
mod process;
mod progress;
mod report;
mod schedule;
mod tally;
mod worker;
mod workers;

use self::exit::Exit;
use self::job::Job;
use self::options::{Options, Plan};
use self::process::{Usage, own_cpu};
use self::progress::Progress;
use self::report::{Report, ServerUse};
use self::tally::Tally;
use self::workers::Workers;
use clap::builder::Resettable;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// How often the terminal is told, and an end is noticed.
const TICK: Duration = Duration::from_millis(100);

const LONG_ABOUT: &str = "\
Measure what a WebSocket server does under load.

Each message is sent at a fixed time, is numbered, and must come back as it was; latency counts from the moment it \
was due, so waiting for a slow server is never left out. With --in-flight the next message is sent when an answer is \
there: that finds the throughput, and its latency leaves out what was not sent meanwhile. With --room one connection \
publishes to all others, and each delivery counts.

A vaiven server with its defaults closes connections that send more than 100 messages per second for long, with 1008; \
to find its throughput, start it with `vaiven serve --profile autobahn`.

  vaiven bench ws://127.0.0.1:8080 -c 100 -r 1000
  vaiven bench ws://127.0.0.1:8080 --in-flight 16 -s 1k --pid $(pidof vaiven)
  vaiven bench ws://127.0.0.1:8080 --room -c 50 --json";

pub(crate) fn command() -> Command {
    let command = Command::new("bench").about("Measure a WebSocket server under load").long_about(LONG_ABOUT);
    let help = format!("{}\n{}", report::fields_help(), exit::HELP);
    // -s is the size here.
    Options::augment_args(command.after_long_help(help).after_help(exit::HELP))
        .mut_arg("subprotocols", |arg| arg.short(Resettable::Reset))
}

pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = Options::from_arg_matches(matches).expect("clap has checked the arguments");
    let outcome = options.plan().and_then(|plan| {
        crate::files::make_room(plan.connections, plan.workers as u64)?;
        let rss_before = server_usage(&plan)?.map(|usage| usage.rss);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let exit = runtime.block_on(measure(plan, rss_before));
        runtime.shutdown_background();
        exit
    });
    outcome
        .unwrap_or_else(|why| {
            eprintln!("vaiven bench: {why}");
            Exit::Usage
        })
        .into()
}

fn server_usage(plan: &Plan) -> Result<Option<Usage>, String> {
    let look = |pid| Usage::of(pid).map_err(|error| format!("cannot look at process {pid}: {error}"));
    plan.pid.map(look).transpose()
}

/// What was seen of the processes at the ends of the measured part.
#[derive(Default)]
struct Seen {
    server: Option<(Usage, Usage)>,
    own: Option<(Duration, Duration)>,
}

async fn measure(plan: Plan, rss_before: Option<u64>) -> Result<Exit, String> {
    let job = Arc::new(Job::new(plan));
    let plan = &job.plan;
    let mut workers = Workers::start(&job).map_err(|error| format!("cannot start a thread: {error}"))?;
    tokio::spawn(stop_when_interrupted(Arc::clone(&job)));
    let mut progress = Progress::connecting(&job);
    let counts = {
        let mut opened = pin!(workers.opened());
        loop {
            tokio::select! {
                counts = &mut opened => break counts,
                () = tokio::time::sleep(TICK) => progress.show_connections(&job),
            }
        }
    };
    let connecting = job.began.elapsed();
    let too_few = plan.is_room && counts.iter().sum::<u64>() < 2;
    let start = if job.stopped.load(Ordering::Relaxed) || too_few {
        workers.dismiss();
        Instant::now()
    } else {
        workers.begin(&job, &counts).await
    };
    progress.begin(&job);
    let (tally, seen, measured) = watch(&job, &mut workers, &mut progress, start).await;
    progress.finish();
    let server = plan.pid.zip(seen.server).map(|(pid, (from, to))| ServerUse {
        pid,
        cpu: to.cpu.saturating_sub(from.cpu),
        rss_before: rss_before.unwrap_or(from.rss),
        rss_after: to.rss,
    });
    let own_cpu = seen.own.map(|(from, to)| to.saturating_sub(from));
    let was_interrupted = job.stopped.load(Ordering::Relaxed);
    let report = Report { plan, tally, connecting, measured, was_interrupted, own_cpu, server };
    print(&report).map_err(|error| format!("cannot print: {error}"))?;
    Ok(report.exit())
}

/// Waits for the workers, and looks at the processes when the measured part begins and ends.
async fn watch(
    job: &Job,
    workers: &mut Workers,
    progress: &mut Progress,
    start: Instant,
) -> (Tally, Seen, Duration) {
    let (from, to) = (start + job.plan.warm_up, start + job.plan.warm_up + job.plan.duration);
    let look = || (job.plan.pid.and_then(|pid| Usage::of(pid).ok()), own_cpu());
    let (mut before, mut after, mut ended) = (None, None, None);
    let mut seen = start;
    let mut tally = pin!(workers.tally());
    let tally = loop {
        let now = Instant::now();
        if before.is_none() && now >= from {
            before = Some(look());
        }
        let is_over = now >= to || job.stopped.load(Ordering::Relaxed);
        if is_over && ended.is_none() {
            (after, ended) = (Some(look()), Some(now.min(to)));
        }
        progress.show_time(job, now.saturating_duration_since(start), now.saturating_duration_since(seen));
        seen = now;
        let edge = if now < from { from } else { to };
        let next = if now < edge { edge.min(now + TICK) } else { now + TICK };
        tokio::select! {
            tally = &mut tally => break tally,
            () = tokio::time::sleep_until(next.into()) => {}
        }
    };
    let ended = ended.unwrap_or_else(|| Instant::now().min(to));
    let (server_before, own_before) = before.unwrap_or_default();
    let (server_after, own_after) = after.unwrap_or_else(look);
    let seen = Seen { server: server_before.zip(server_after), own: own_before.zip(own_after) };
    (tally, seen, ended.saturating_duration_since(from))
}

/// The first signal ends the run with what there is, the second at once.
async fn stop_when_interrupted(job: Arc<Job>) {
    crate::signal::interrupted().await;
    job.stopped.store(true, Ordering::Relaxed);
    crate::signal::interrupted().await;
    std::process::exit(i32::from(Exit::Interrupted as u8));
}

fn print(report: &Report<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if report.plan.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()
}
