//! `vaiven completions`: what a shell needs to complete the command line, made from its definition.

use crate::cli;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use clap_complete::Shell;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
struct Options {
    /// The shell to make them for
    shell: Shell,
}

pub(crate) fn command() -> Command {
    let about = "Print completions for a shell: source <(vaiven completions bash)";
    Options::augment_args(Command::new("completions").about(about))
}

pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = Options::from_arg_matches(matches).expect("clap has checked the arguments");
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut cli::command(), "vaiven", &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
