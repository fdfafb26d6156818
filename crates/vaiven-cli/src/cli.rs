//! The command line: help, man page and completions come from here.

use crate::serve;
use clap::{Command, crate_version};

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
}
