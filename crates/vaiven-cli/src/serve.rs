//! `vaiven serve`: runs the server until a signal.

use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use vaiven_server::{Server, Settings};

/// EX_OSERR of sysexits.h: the system does not let it start.
const EXIT_OS: u8 = 71;

/// The subcommand.
pub(crate) fn command() -> Command {
    Command::new("serve")
        .about("Run the server: the chat page, rooms, an echo, health and metrics on one port")
        .arg(Arg::new("listen").long("listen").value_name("ADDRESS"))
        .arg(Arg::new("profile").long("profile").value_name("NAME"))
}

/// Runs the server.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let mut settings = match matches.get_one::<String>("profile").map(String::as_str) {
        Some("autobahn") => Settings::autobahn(),
        _ => Settings::default(),
    };
    if let Some(listen) = matches.get_one::<String>("listen") {
        settings.listen = listen.parse().expect("address");
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = if cores == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vaiven: cannot start: {error}");
            return ExitCode::from(EXIT_OS);
        }
    };
    runtime.block_on(async {
        let server = match Server::bind(settings).await {
            Ok(server) => server,
            Err(error) => {
                eprintln!("vaiven: {error}");
                return ExitCode::from(EXIT_OS);
            }
        };
        println!("open {}", server.url());
        let mut term = signal(SignalKind::terminate()).expect("signals");
        let stop = async {
            tokio::select! {
                _ = term.recv() => 1012.into(),
                _ = tokio::signal::ctrl_c() => 1001.into(),
            }
        };
        server.run(stop).await;
        ExitCode::SUCCESS
    })
}
