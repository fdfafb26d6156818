//! `vaiven serve`: settings to a running server, and signals to its end.

use crate::signal::{Reloads, Signal, Signals};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vaiven::CloseCode;
use vaiven_server::settings::{self, Kind, LogFormat, LogLevel, Profile, SETTINGS, Setting};
use vaiven_server::{Server, Settings, TRACE_TARGET, Traces};

/// EX_OSERR of sysexits.h: the system refuses, as when a port is in use.
const EXIT_OS: u8 = 71;
/// EX_CONFIG: the configuration is wrong.
const EXIT_CONFIG: u8 = 78;

/// How long connections may take after the second signal.
const FORCED_AFTER: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "\
Each option is also an environment variable (--max-rooms: VAIVEN_MAX_ROOMS) and a key of the configuration file \
(max_rooms). An option counts before a variable, and that before the file. Lists are separated by commas. Why each \
default is what it is stands in docs/configuration.md.

Exit codes: 0 stopped by a signal, 1 wrong usage or stopped by force, 71 the system refused, 78 wrong configuration.";

/// The subcommand.
pub(crate) fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Configuration file, in TOML");
    let check = Arg::new("check-config")
        .long("check-config")
        .action(ArgAction::SetTrue)
        .help("Say what is wrong with the configuration, and end");
    Command::new("serve")
        .about("Run the server: chat and game, rooms, echo, health and metrics on one port")
        .after_help(AFTER_HELP)
        .args([config, check])
        .args(SETTINGS.iter().map(arg))
}

fn arg(setting: &Setting) -> Arg {
    let shown = setting.show(&Settings::default()).replace('"', "");
    let default = if matches!(&*shown, "" | "[]") { String::new() } else { format!(" [default: {shown}]") };
    let arg = Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.placeholder)
        .help(format!("{}{default}", setting.help));
    match setting.kind {
        Kind::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Whole => arg.allow_negative_numbers(true).help_heading("Limits"),
        Kind::Seconds => arg.allow_negative_numbers(true).help_heading("Times"),
        Kind::Text | Kind::List => arg,
    }
}

/// Runs the server until a signal.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let settings = match load(matches) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in problems {
                eprintln!("vaiven: {problem}");
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if matches.get_flag("check-config") {
        for warning in settings.warnings() {
            eprintln!("vaiven: {warning}");
        }
        say("vaiven: the configuration is right");
        return ExitCode::SUCCESS;
    }
    let served = runtime().map_err(|error| format!("cannot start: {error}")).and_then(|runtime| {
        let traces = {
            let _within = runtime.enter();
            Traces::new(&settings)?
        };
        log(&settings, traces.as_ref());
        let outcome = runtime.block_on(serve(settings));
        if let Some(traces) = traces {
            // The last spans tell of the end. They are sent on the runtime, which this thread may be.
            let _ = runtime.block_on(runtime.spawn_blocking(move || traces.flush()));
        }
        // Connections that did not close in time are not waited for.
        runtime.shutdown_background();
        outcome
    });
    served.unwrap_or_else(|error| {
        eprintln!("vaiven: {error}");
        ExitCode::from(EXIT_OS)
    })
}

fn load(matches: &ArgMatches) -> Result<Settings, Vec<String>> {
    // A variable that is set to nothing is as good as not set, since many tools cannot unset one.
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    };
    let flag = |flag: &str| matches.get_one::<String>(&flag.replace('-', "_")).cloned();
    let file = matches.get_one::<PathBuf>("config").cloned();
    let file = file.or_else(|| variable("VAIVEN_CONFIG").map(PathBuf::from));
    settings::load(file.as_deref(), variable, flag)
}

/// One thread for each core; on a single core none besides this one.
fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

fn log(settings: &Settings, traces: Option<&Traces>) {
    let level = match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Human => lines.with_ansi(colours).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Spans are for traces. Where there is nobody else who wants them they cost next to nothing.
    let wanted = Targets::new().with_default(level).with_target(TRACE_TARGET, LevelFilter::OFF);
    let lines = lines.with_filter(wanted);
    tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).init();
}

async fn serve(settings: Settings) -> Result<ExitCode, String> {
    allow_many_files();
    let mut signals = Signals::new().map_err(|error| format!("cannot hear signals: {error}"))?;
    let max_connections = if settings.profile == Profile::Standard { settings.max_connections } else { 0 };
    let server = Server::bind(settings).await.map_err(|error| error.to_string())?;
    if server.max_connections() < max_connections {
        tracing::warn!(
            max_connections = server.max_connections(),
            "fewer connections are taken than configured, since the system allows no more open files: see ulimit -n"
        );
    }
    say(&banner(&server));
    let mut reloads = Reloads::new().map_err(|error| format!("cannot hear signals: {error}"))?;
    let reload = server.reload();
    tokio::spawn(async move {
        loop {
            reloads.next().await;
            let reload = reload.clone();
            // It reads files.
            let _ = tokio::task::spawn_blocking(move || reload.now()).await;
        }
    });
    let (told, stop) = oneshot::channel();
    let forced = async {
        // The server is there for as long as this is.
        let _ = told.send(close_code(signals.next().await));
        say("Closing all connections. Once more to stop within 5 seconds.");
        signals.next().await;
        tokio::time::sleep(FORCED_AFTER).await;
    };
    tokio::select! {
        drained = server.run(async { stop.await.unwrap_or(CloseCode::GOING_AWAY) }) => {
            if drained.dropped > 0 {
                tracing::warn!(dropped = drained.dropped, "connections that did not close in time were dropped");
            }
            Ok(ExitCode::SUCCESS)
        }
        () = forced => Ok(ExitCode::FAILURE),
    }
}

/// Raises the number of files that may be open to what the system lets this user have: every connection is one.
fn allow_many_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it fails, there are fewer connections.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// The close code that a signal stands for: a service manager starts the server anew, a person stops it.
fn close_code(signal: Signal) -> CloseCode {
    match signal {
        Signal::Terminate => CloseCode::RESTART,
        Signal::Interrupt => CloseCode::GOING_AWAY,
    }
}

/// What to open, and how to stop.
fn banner(server: &Server) -> String {
    let page = server.url();
    let socket = page.replacen("http", "ws", 1);
    format!(
        "Vaivén is running. Open this page in two windows, and talk, or the other one, and play:

    {page}
    {page}arena

Or join the room from the page's console (F12):

    const socket = new WebSocket('{socket}c/sala');
    socket.onmessage = (event) => console.log(event.data);
    socket.onopen = () => socket.send('hola');

Stop with Ctrl+C.
"
    )
}

/// Prints a line. A closed terminal is no reason to end.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
