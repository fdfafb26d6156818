//! How a conversation ended, as an exit code for scripts.

use std::process::ExitCode;
use vaiven::client::{DialError, HandshakeProblem};
use vaiven::{CloseFrame, Error};

/// How it ended. The numbers are promised in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Usage = 1,
    Unreachable = 2,
    Refused = 3,
    Broken = 4,
    TimedOut = 5,
    ClosedWith = 6,
    Interrupted = 130,
}

/// The part of the help that promises the numbers.
pub(super) const HELP: &str = "\
Exit codes:
  0    closed from here, or by the server with 1000, 1001 or no code
  1    the command line, a local file or the input is unusable
  2    no connection: the name, TCP, the proxy, or TLS and its certificate
  3    the server refused the opening handshake, or answered it wrongly
  4    the connection broke: no Close frame, or a broken rule of the protocol
  5    out of time: --timeout, --connect-timeout, or no answer to the handshake
  6    the server closed with another code, which stands on stderr
  130  interrupted by Ctrl-C or SIGTERM";

impl Exit {
    pub(super) fn of_error(error: &Error) -> Self {
        match error {
            Error::Dial(error) => match **error {
                DialError::InvalidUrl { .. } | DialError::InvalidConfig { .. } => Self::Usage,
                DialError::Timeout { .. } => Self::TimedOut,
                DialError::Redirect { .. } => Self::Refused,
                _ => Self::Unreachable,
            },
            Error::Handshake(failure) => match failure.problem() {
                HandshakeProblem::Request(_) => Self::Usage,
                HandshakeProblem::Timeout(_) => Self::TimedOut,
                _ => Self::Refused,
            },
            _ => Self::Broken,
        }
    }

    /// The server closed, with this frame.
    pub(super) fn of_close(frame: &CloseFrame) -> Self {
        match frame.code.value() {
            1000 | 1001 | 1005 => Self::Done,
            _ => Self::ClosedWith,
        }
    }
}

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
        for exit in [
            Exit::Done,
            Exit::Usage,
            Exit::Unreachable,
            Exit::Refused,
            Exit::Broken,
            Exit::TimedOut,
            Exit::ClosedWith,
            Exit::Interrupted,
        ] {
            let line = format!("\n  {:<3}  ", exit as u8);
            assert!(HELP.contains(&line), "{exit:?}");
        }
    }

    #[test]
    fn close_codes_are_normal_or_not() {
        for (code, exit) in [
            (1000, Exit::Done),
            (1001, Exit::Done),
            (1005, Exit::Done),
            (1008, Exit::ClosedWith),
            (4000, Exit::ClosedWith),
        ] {
            assert_eq!(Exit::of_close(&CloseFrame::new(code, "")), exit);
        }
    }
}
