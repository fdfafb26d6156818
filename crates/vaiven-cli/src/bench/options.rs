//! The options of `vaiven bench`, and the plan that they make.

use super::payload::{Kind, Payload};
use super::schedule::Schedule;
use crate::client_options::ClientOptions;
use crate::duration;
use clap::{Args, ValueHint, value_parser};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;
use vaiven::client::Target;
use vaiven::{Client, Config, Role};

/// The most bytes of a message: half of what a client takes.
const MAX_SIZE: usize = 64 << 20;
/// Messages per second in all where nothing is said.
const ECHO_RATE: NonZeroU64 = NonZeroU64::new(500).expect("it is not zero");
/// The same for the one publisher of a room.
const ROOM_RATE: NonZeroU64 = NonZeroU64::new(50).expect("it is not zero");

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server; without a path /echo of it is asked, or with --room a room of its own under /c/
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    url: String,

    #[command(flatten)]
    load: LoadOptions,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct LoadOptions {
    /// Connections
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = value_parser!(u32).range(1..=1_000_000))]
    connections: u32,

    /// Bytes of a message, as 64, 16k or 1m
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = size)]
    size: usize,

    /// Kind of the messages
    #[arg(long, value_enum, value_name = "KIND", default_value = "text")]
    kind: Kind,

    /// Messages per second of all connections together, sent when they are due, whether answers come or not
    /// [default: 500; with --room 50]
    #[arg(short, long, value_name = "N", conflicts_with = "in_flight")]
    rate: Option<NonZeroU64>,

    /// Instead of a rate: keep this many messages of each connection under way, the next when an answer is there
    #[arg(long, value_name = "N", conflicts_with = "room", value_parser = value_parser!(u32).range(1..=65_536))]
    in_flight: Option<u32>,

    /// How long to measure, as 10s or 5m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    duration: Duration,

    /// How long to run before that; 0 measures from the first message on
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span_or_none)]
    warm_up: Duration,

    /// One connection publishes into a room, all others listen
    #[arg(long)]
    room: bool,

    /// Begin at most this many connections per second [default: as fast as it goes]
    #[arg(long, value_name = "N")]
    connect_rate: Option<NonZeroU64>,

    /// Have at most this many opening handshakes under way
    #[arg(long, value_name = "N", default_value = "64")]
    connect_concurrency: NonZeroU32,

    /// Threads that make the load [default: one for two processors]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Measuring")]
struct OutputOptions {
    /// Tell CPU time and memory of the server with this process id (Linux)
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// Print one JSON object; its fields stand below
    #[arg(long)]
    json: bool,
}

/// How messages are paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// At fixed times.
    Open(Schedule),
    /// So many under way on each connection.
    Closed { in_flight: u32 },
}

/// All that is decided before the first connection.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) url: String,
    pub(super) client: Client,
    pub(super) payload: Payload,
    pub(super) load: Load,
    pub(super) is_room: bool,
    pub(super) connections: u64,
    pub(super) connect_schedule: Option<Schedule>,
    pub(super) connect_concurrency: usize,
    pub(super) workers: usize,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) pid: Option<u32>,
    pub(super) json: bool,
}

impl Options {
    /// The plan that the options make.
    ///
    /// # Errors
    /// A sentence about what is unusable.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let Self { url, load, output, client } = self;
        if load.room && load.connections < 2 {
            return Err("a room needs two connections at least: one publishes, the others listen".to_owned());
        }
        let pace = match load.in_flight {
            Some(in_flight) => Load::Closed { in_flight },
            None => {
                Load::Open(Schedule::new(load.rate.unwrap_or(if load.room { ROOM_RATE } else { ECHO_RATE })))
            }
        };
        let mut config = Config::new(Role::Client);
        if let Load::Closed { in_flight } = pace {
            // All that is under way fits: what the server does not take then waits here, and counts as latency.
            let all = load.size.saturating_add(16).saturating_mul(in_flight as usize);
            config.outbox_bytes = config.outbox_bytes.max(all);
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = load.workers.map_or(cores.div_ceil(2), NonZeroUsize::get);
        Ok(Plan {
            url: with_path(url, load.room)?,
            client: client.client(config)?,
            payload: Payload::new(load.kind, load.size),
            load: pace,
            is_room: load.room,
            connections: u64::from(load.connections),
            connect_schedule: load.connect_rate.map(Schedule::new),
            connect_concurrency: load.connect_concurrency.get() as usize,
            workers: workers.min(load.connections as usize),
            warm_up: load.warm_up,
            duration: load.duration,
            pid: output.pid,
            json: output.json,
        })
    }
}

/// The URL, with a path where it has none.
fn with_path(url: &str, is_room: bool) -> Result<String, String> {
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    if target.resource() != "/" {
        return Ok(url.to_owned());
    }
    let path = if is_room { format!("/c/bench-{}", std::process::id()) } else { "/echo".to_owned() };
    Ok(format!("{}{path}", url.trim_end_matches('/')))
}

fn span_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { duration::parse(text) }
}

fn size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) => (digits, if lower.ends_with('k') { 1 << 10 } else { 1 << 20 }),
        None => (&*lower, 1),
    };
    let number: usize = digits.parse().map_err(|_| "write a number of bytes, as 64, 16k or 1m".to_owned())?;
    let size = number.checked_mul(unit).filter(|size| *size <= MAX_SIZE);
    size.ok_or_else(|| format!("a message may have {MAX_SIZE} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_gets_one() {
        let check = |url, room, expected: &str| assert_eq!(with_path(url, room).unwrap(), expected);
        check("ws://127.0.0.1:8080", false, "ws://127.0.0.1:8080/echo");
        check("wss://example.com/", false, "wss://example.com/echo");
        check("ws://127.0.0.1:8080/other?x=1", false, "ws://127.0.0.1:8080/other?x=1");
        check("ws://127.0.0.1/", true, &format!("ws://127.0.0.1/c/bench-{}", std::process::id()));
        check("ws://127.0.0.1/c/sala", true, "ws://127.0.0.1/c/sala");
        assert!(with_path("ftp://127.0.0.1/", false).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, expected) in
            [("0", Some(0)), ("20", Some(20)), ("16k", Some(16 << 10)), ("1M", Some(1 << 20))]
        {
            assert_eq!(size(text).ok(), expected);
        }
        for bad in ["", "k", "-1", "1g", "65m", "99999999999999999999", "999999999999999999m"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
