//! `vaiven verify`: proves delivery instead of promising it.
//!
//! Publishers in this process send numbered messages; subscribers in processes of their own, as many as the limit of
//! open files asks for, keep a ledger of what arrives. Between each client and the server stands a proxy that cuts,
//! resets, stalls and half-closes connections at random, and the server itself may be killed and started again. In the
//! end every acknowledged message must be in every ledger, once and in order.

mod clock;
mod disturber;
mod exit;
mod job;
mod ledger;
mod options;
mod proxy;
mod publisher;
mod report;
mod route;
mod server;
mod socketio;
mod subscriber;
mod times;
mod worker;
mod workers;

use self::disturber::Disturber;
use self::exit::Exit;
use self::job::{Order, Protocol};
use self::ledger::Sent;
use self::options::{Options, Plan, Starts};
use self::proxy::Fault;
use self::publisher::Publisher;
use self::report::Report;
use self::route::Route;
use self::server::Server;
use self::workers::Workers;
use crate::signal;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use vaiven::client::Target;

/// The subcommand of the processes with the subscribers.
const WORKER: &str = "verify-worker";
/// How long all subscribers may take to be there, and a minute more for each thousand.
const READY: Duration = Duration::from_secs(30);

const LONG_ABOUT: &str = "\
Prove that a server delivers, instead of believing it.

Subscribers keep a ledger of numbered messages while a proxy between them and the server cuts, resets and stalls their \
connections at random. In the end every acknowledged message must have reached every subscriber once and in order. \
Without a URL a server is started for the purpose, with its limits for strangers lifted, and may be killed and \
restarted in the middle.

  vaiven verify
  vaiven verify -c 1000 -d 60s --faults cut,reset,stall,half-open,avalanche,restart
  vaiven verify ws://127.0.0.1:8080/v1 --channel sala
  vaiven verify ws://127.0.0.1:8080/c/sala --faults none
  vaiven verify ws://127.0.0.1:8080/socket.io/ --channel sala

A server with its default limits takes 20 new connections per second and 256 in all from one address; more clients than \
that wait, or need its limits raised.";

pub(crate) fn command() -> Command {
    let command =
        Command::new("verify").about("Prove that a server loses and doubles nothing").long_about(LONG_ABOUT);
    Options::augment_args(command.after_help(exit::HELP))
}

/// The hidden command of the other processes.
pub(crate) fn worker_command() -> Command {
    Command::new(WORKER).hide(true).about("A part of `vaiven verify`")
}

pub(crate) fn run_worker() -> ExitCode {
    worker::run()
}

pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = Options::from_arg_matches(matches).expect("clap has checked the arguments");
    let is_json = options.json;
    let outcome = options.plan(crate::files::limit()).and_then(|plan| {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let exit = runtime.block_on(async {
            tokio::select! {
                exit = verify(plan, is_json) => exit,
                () = signal::interrupted() => Ok(Exit::Interrupted),
            }
        });
        runtime.shutdown_background();
        exit
    });
    outcome
        .unwrap_or_else(|why| {
            eprintln!("vaiven verify: {why}");
            Exit::Usage
        })
        .into()
}

async fn verify(mut plan: Plan, is_json: bool) -> Result<Exit, String> {
    let mut address = String::new();
    if plan.starts != Starts::Own {
        let target = Target::parse(&plan.job.url).map_err(|error| error.to_string())?;
        address = format!("{}:{}", target.host(), target.port());
    }
    let mut server = None;
    if let Some((started, address)) = Server::start(&plan.starts, &address).await? {
        if plan.starts == Starts::Own {
            plan.job.url = match plan.job.protocol {
                Protocol::V1 => format!("ws://{address}/v1"),
                Protocol::Plain => format!("ws://{address}/c/{}", plan.job.channel),
                Protocol::SocketIo => format!("ws://{address}/socket.io/"),
            };
        }
        server = Some(started);
    }
    let outcome = play(&plan, server.as_mut(), is_json).await;
    if let Some(server) = server {
        server.end().await;
    }
    outcome
}

async fn play(plan: &Plan, server: Option<&mut Server>, is_json: bool) -> Result<Exit, String> {
    let job = &plan.job;
    let (proxy, route) = Route::new(job)?;
    if let Err(error) = route.connect().await {
        eprintln!("vaiven verify: {error}");
        return Ok(Exit::Unreachable);
    }
    let mut workers = Workers::start(job, plan.workers).await?;
    let publishers =
        (0..job.publishers).map(|number| Publisher::new(number, &job.channel, job.protocol, &route));
    let publishers: Vec<Publisher> = publishers.collect();
    let patience = READY + Duration::from_millis(60 * job.subscribers as u64);
    let mut there = 0;
    let all_there = timeout(patience, workers.ready(|count| there = count)).await;
    match all_there {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(why),
        Err(_) => {
            eprintln!(
                "vaiven verify: after {patience:?} {there} of {} subscribers have subscribed",
                job.subscribers
            );
            return Ok(Exit::Unreachable);
        }
    }
    workers.order(&Order::Disturb).await?;
    let disturber = Disturber::new(proxy, &job.faults, job.publishers, job.fault_every, !job.seed);
    disturber.begin();
    let publishing = publishers.into_iter().map(|publisher| tokio::spawn(publisher.run(plan.pace)));
    let publishing: Vec<_> = publishing.collect();
    let restarts = disasters(plan, server, &mut workers, &disturber).await?;
    let mut sent: Vec<Sent> = Vec::new();
    for publishing in publishing {
        sent.push(publishing.await.map_err(|error| format!("a publisher has failed: {error}"))?);
    }
    disturber.end();
    let within = u64::try_from(plan.grace.as_millis()).unwrap_or(u64::MAX);
    workers.order(&Order::Finish { sent: sent.clone(), within }).await?;
    let mut findings = workers.findings().await?;
    findings.faults += disturber.count();
    let report = Report { plan, sent: &sent, findings, restarts };
    let text = if is_json { format!("{}\n", report.json()) } else { report.to_string() };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot print: {error}"))?;
    Ok(report.exit())
}

/// What happens to all at once: the avalanche after a third of the time, the server's death in the middle. Gives the
/// number of restarts when the time is over.
async fn disasters(
    plan: &Plan,
    server: Option<&mut Server>,
    workers: &mut Workers,
    disturber: &Disturber,
) -> Result<u64, String> {
    let (third, half) = (plan.pace.duration / 3, plan.pace.duration / 2);
    sleep(third).await;
    if plan.job.faults.contains(&Fault::Avalanche) {
        workers.order(&Order::Avalanche).await?;
        disturber.avalanche();
    }
    sleep(half.saturating_sub(third)).await;
    let mut restarts = 0;
    if let Some(server) = server
        && plan.job.faults.contains(&Fault::Restart)
    {
        server.restart().await?;
        restarts += 1;
    }
    Ok(restarts)
}
