//! How a run ended, as an exit code for scripts.

use std::process::ExitCode;

/// How it ended. The numbers are promised in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Clean = 0,
    Usage = 1,
    Unreachable = 2,
    Faulty = 3,
    Interrupted = 130,
}

/// The part of the help that promises the numbers.
pub(super) const HELP: &str = "\
Exit codes:
  0    every message was sent and came back as it was
  1    the command line is wrong, or this system does not allow what it asks
  2    no connection could be opened
  3    something failed: connections, or messages that were lost, wrong or not sent
  130  interrupted by Ctrl-C or SIGTERM; what was measured so far is printed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_help() {
        for exit in [Exit::Clean, Exit::Usage, Exit::Unreachable, Exit::Faulty, Exit::Interrupted] {
            assert!(HELP.contains(&format!("\n  {:<3}  ", exit as u8)), "{exit:?}");
        }
    }
}
