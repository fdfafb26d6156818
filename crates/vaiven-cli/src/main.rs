//! The `vaiven` command.
#![forbid(unsafe_code)]

mod bench;
mod cli;
mod client_options;
mod completions;
mod connect;
mod duration;
mod files;
mod man;
mod serve;
mod signal;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return cli::explain(&error),
    };
    match matches.subcommand() {
        Some(("bench", matches)) => bench::run(matches),
        Some(("connect", matches)) => connect::run(matches),
        Some(("verify", matches)) => verify::run(matches),
        Some(("verify-worker", _)) => verify::run_worker(),
        Some(("man", matches)) => man::run(matches),
        Some(("completions", matches)) => completions::run(matches),
        Some(("serve", matches)) => serve::run(matches),
        _ => serve::run(&matches),
    }
}
