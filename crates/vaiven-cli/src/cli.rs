//! The command line: help, man page and completions come from here.

use crate::{completions, connect, man, serve};
use clap::{Command, crate_version};
use std::process::ExitCode;

/// The whole command.
pub(crate) fn command() -> Command {
    let serve = serve::command();
    Command::new("vaiven")
        .version(crate_version!())
        .about("Real-time rooms over WebSocket: a server, and tools to talk to one")
        .after_help("Without a command, `vaiven` serves: open http://127.0.0.1:8080/ and talk.")
        .args(serve.get_arguments().cloned().map(|arg| arg.hide(true)))
        .args_conflicts_with_subcommands(true)
        .subcommand(serve)
        .subcommand(connect::command())
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
}
