//! The command line: help, man page and completions come from here.

use crate::{bench, completions, connect, man, serve, verify};
use clap::{Command, crate_version};
use std::process::ExitCode;

const AFTER_HELP: &str = "Without a command vaiven serves, and takes the options of `vaiven serve`.";

/// The whole command.
pub(crate) fn command() -> Command {
    let serve = serve::command();
    Command::new("vaiven")
        .version(crate_version!())
        .about("Real-time rooms over WebSocket")
        .after_help(AFTER_HELP)
        // The options of the command that may be left out; `serve --help` shows them.
        .args(serve.get_arguments().cloned().map(|arg| arg.hide(true)))
        .args_conflicts_with_subcommands(true)
        .subcommand(serve)
        .subcommand(connect::command())
        .subcommand(bench::command())
        .subcommand(verify::command())
        .subcommand(verify::worker_command())
        .subcommand(man::command())
        .subcommand(completions::command())
}

/// Prints what was asked for, or what is wrong with the command line: then the exit code is 1, since 2 and more say
/// what became of a connection.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told where this cannot be written.
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn the_command_may_be_left_out() {
        let matches =
            command().try_get_matches_from(["vaiven", "--listen", "[::1]:1"]).expect("it is accepted");
        assert_eq!(matches.get_one::<String>("listen").map(String::as_str), Some("[::1]:1"));
        assert!(command().try_get_matches_from(["vaiven", "--listen", "[::1]:1", "serve"]).is_err());
    }
}
