//! How a run ended, as an exit code for scripts.

use std::process::ExitCode;

/// How it ended. The numbers are promised in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Proven = 0,
    Usage = 1,
    Unreachable = 2,
    Broken = 3,
    Interrupted = 130,
}

/// The part of the help that promises the numbers.
pub(super) const HELP: &str = "\
Exit codes:
  0    every acknowledged message reached every subscriber, once and in order
  1    the command line is wrong, or this system does not allow what it asks
  2    the subscribers could not all subscribe
  3    messages were lost, doubled or out of order
  130  interrupted by Ctrl-C or SIGTERM; nothing is proven";

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
        for exit in [Exit::Proven, Exit::Usage, Exit::Unreachable, Exit::Broken, Exit::Interrupted] {
            assert!(HELP.contains(&format!("\n  {:<3}  ", exit as u8)), "{exit:?}");
        }
    }
}
