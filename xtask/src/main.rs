//! Chores of the workspace: `cargo xtask test` runs every suite, `cargo xtask tidy` checks the style alone.

mod host;
mod package;
mod suites;
mod tally;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask test [SUITE...]    run all suites, or those named, in order
       cargo xtask tidy               check the style of every file
       cargo xtask list               name the suites";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", names @ ..] => suites::test(names),
        ["tidy"] => tidy::report(),
        ["list"] => {
            suites::list();
            ExitCode::SUCCESS
        }
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}
