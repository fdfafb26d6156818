//! `vaiven man`: the manual pages, made from the definition of the command line.

use crate::cli;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
struct Options {
    /// The command whose page to print; without it, the page of `vaiven` itself
    #[arg(value_name = "COMMAND")]
    page: Option<String>,

    /// Write all pages into this directory, as `vaiven.1`, `vaiven-connect.1` and so on
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    dir: Option<PathBuf>,
}

pub(crate) fn command() -> Command {
    Options::augment_args(Command::new("man").about("Print the manual page: vaiven man connect | man -l -"))
}

pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = Options::from_arg_matches(matches).expect("clap has checked the arguments");
    match print(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vaiven man: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(options: &Options) -> io::Result<()> {
    let mut whole = cli::command();
    if let Some(dir) = &options.dir {
        std::fs::create_dir_all(dir)?;
        return clap_mangen::generate_to(whole, dir);
    }
    whole.build();
    let page = match &options.page {
        None => &whole,
        Some(name) => whole
            .find_subcommand(name)
            .ok_or_else(|| io::Error::other(format!("there is no command `{name}`; see vaiven --help")))?,
    };
    let mut text = Vec::new();
    Man::new(page.clone()).render(&mut text)?;
    io::stdout().write_all(&text)
}
