//! The options of `vaiven verify`, and the job that they make.

use super::job::{Job, Protocol};
use super::proxy::Fault;
use super::publisher::Pace;
use crate::duration;
use clap::{Args, ValueHint, value_parser};
use std::num::NonZeroU32;
use std::time::Duration;
use vaiven::client::Target;

/// Open files that a subscriber takes: its own socket, and two of the proxy.
const FILES_PER_SUBSCRIBER: usize = 3;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server: ws://HOST/v1, ws://HOST/c/ROOM for a plain room, or ws://HOST/socket.io/ [default: one of its own,
    /// which it starts and ends]
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    url: Option<String>,

    /// How clients talk [default: what the path is for, else v1]
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    protocol: Option<Protocol>,

    /// The channel; its namespace decides about the contract [default: verify-<random>]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,

    /// Show this token
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    #[command(flatten)]
    load: LoadOptions,

    #[command(flatten)]
    faults: FaultOptions,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct LoadOptions {
    /// Subscribers
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = value_parser!(u32).range(1..=1_000_000))]
    clients: u32,

    /// Publishers
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = value_parser!(u32).range(1..=1_000))]
    publishers: u32,

    /// Messages per second of each publisher
    #[arg(short, long, value_name = "N", default_value = "10")]
    rate: NonZeroU32,

    /// Bytes of a message, as far as its number leaves room
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = value_parser!(u32).range(1..=60_000))]
    size: u32,

    /// How long to publish, as 30s or 5m
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    duration: Duration,

    /// How long the last messages may take after that
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    grace: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
struct FaultOptions {
    /// What happens to connections; `none` for nothing
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', default_value = "cut,reset,stall")]
    faults: Vec<String>,

    /// The mean time between two faults of one connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    fault_every: Duration,

    /// Chooses the times and connections of the faults: the same seed, the same choice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Start the server with this command, and kill and restart it for the fault `restart`; words are split at spaces
    #[arg(long, value_name = "COMMAND", requires = "url")]
    server_command: Option<String>,
}

/// All that is decided before the first connection.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) job: Job,
    /// The server is to be started, by this command or as one of its own.
    pub(super) starts: Starts,
    pub(super) pace: Pace,
    pub(super) grace: Duration,
    pub(super) workers: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// It runs.
    Nothing,
    /// A server of this very program.
    Own,
    Command(Vec<String>),
}

impl Options {
    pub(super) fn plan(self, files: usize) -> Result<Plan, String> {
        let faults = faults(&self.faults.faults)?;
        let starts = match (&self.url, self.faults.server_command) {
            (None, _) => Starts::Own,
            (Some(_), None) => Starts::Nothing,
            (Some(_), Some(command)) => {
                Starts::Command(command.split_whitespace().map(str::to_owned).collect())
            }
        };
        if faults.contains(&Fault::Restart) && starts == Starts::Nothing {
            return Err("the fault `restart` needs --server-command, or no URL at all".to_owned());
        }
        let seed = self.faults.seed.unwrap_or_else(rand::random);
        let url = self.url.unwrap_or_default();
        let protocol = self.protocol.unwrap_or(match () {
            () if url.contains("/c/") => Protocol::Plain,
            () if url.contains("/socket.io") => Protocol::SocketIo,
            () => Protocol::V1,
        });
        if starts != Starts::Own {
            Target::parse(&url).map_err(|error| error.to_string())?;
        }
        let subscribers = self.load.clients as usize;
        let per_worker = files.saturating_sub(128) / FILES_PER_SUBSCRIBER;
        if per_worker == 0 {
            return Err(format!("this process may open only {files} files; raise the limit (ulimit -n)"));
        }
        let job = Job {
            url,
            channel: self.channel.unwrap_or_else(|| format!("verify-{seed:x}")),
            protocol,
            token: self.token,
            subscribers,
            publishers: self.load.publishers as usize,
            faults,
            fault_every: self.faults.fault_every.as_secs_f64(),
            seed,
        };
        let every = Duration::from_secs(1) / self.load.rate.get();
        let pace = Pace { every, duration: self.load.duration, size: self.load.size as usize };
        Ok(Plan { job, starts, pace, grace: self.load.grace, workers: subscribers.div_ceil(per_worker) })
    }
}

fn faults(names: &[String]) -> Result<Vec<Fault>, String> {
    use clap::ValueEnum;
    let names = names.iter().filter(|name| *name != "none");
    names
        .map(|name| {
            Fault::from_str(name, true).map_err(|_| {
                format!("`{name}` is no fault: there are cut, reset, stall, half-open, avalanche, restart and none")
            })
        })
        .collect()
}
