//! The command line: help, man page and completions come from here.

use crate::serve;
use clap::{Command, crate_version};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
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
