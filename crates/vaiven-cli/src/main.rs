//! The `vaiven` command.
#![forbid(unsafe_code)]

mod cli;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        _ => serve::run(&matches),
    }
}
