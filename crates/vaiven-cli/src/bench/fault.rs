//! What went wrong, by kind: names that stay the same, counts, and the first case in words.

use std::collections::BTreeMap;
use vaiven::client::{DialError, HandshakeProblem};
use vaiven::{CloseFrame, Error};

/// The name of what a message is that nobody sent, or not as it came.
pub(super) const WRONG: &str = "wrong_message";

/// All that went wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    kinds: BTreeMap<String, Fault>,
}

/// One kind of it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) count: u64,
    /// The first case.
    pub(super) example: String,
}

impl Faults {
    pub(super) fn note(&mut self, kind: &str, example: impl FnOnce() -> String) {
        match self.kinds.get_mut(kind) {
            Some(fault) => fault.count += 1,
            None => {
                self.kinds.insert(kind.to_owned(), Fault { count: 1, example: example() });
            }
        }
    }

    pub(super) fn note_error(&mut self, error: &Error) {
        self.note(&kind(error), || error.to_string());
    }

    /// The server closed where it should not have.
    pub(super) fn note_close(&mut self, frame: Option<&CloseFrame>) {
        let (code, reason) = frame.map_or((1005, ""), |frame| (frame.code.value(), &*frame.reason));
        self.note(&format!("closed_{code}"), || {
            let reason =
                if reason.is_empty() { "without a reason".to_owned() } else { format!("{reason:?}") };
            format!("the server closed the connection with {code}, {reason}")
        });
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (kind, fault) in other.kinds {
            match self.kinds.get_mut(&kind) {
                Some(mine) => mine.count += fault.count,
                None => {
                    self.kinds.insert(kind, fault);
                }
            }
        }
    }

    pub(super) fn count(&self, kind: &str) -> u64 {
        self.kinds.get(kind).map_or(0, |fault| fault.count)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Fault)> {
        self.kinds.iter().map(|(kind, fault)| (kind.as_str(), fault))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// The kind of an error.
fn kind(error: &Error) -> String {
    let name = match error {
        Error::Dial(error) => match **error {
            DialError::InvalidUrl { .. } | DialError::InvalidConfig { .. } => "usage",
            DialError::Resolve { .. } => "resolve",
            DialError::Connect { .. } => "connect",
            DialError::Timeout { .. } => "connect_timeout",
            DialError::Tls { .. } => "tls",
            DialError::Proxy { .. } => "proxy",
            DialError::Redirect { .. } => "redirect",
            _ => "dial",
        },
        Error::Handshake(failure) => match failure.problem() {
            HandshakeProblem::Refused(refused) => return format!("refused_{}", refused.status().as_u16()),
            HandshakeProblem::Request(_) => "usage",
            HandshakeProblem::Timeout(_) => "handshake_timeout",
            HandshakeProblem::Response(_) => "handshake_response",
            HandshakeProblem::Disconnected | HandshakeProblem::Io(_) => "handshake_broken",
            _ => "handshake",
        },
        Error::Violation(violation) => return format!("violation_{}", violation.close_code().value()),
        Error::Disconnected => "disconnected",
        Error::Timeout(_) => "timeout",
        Error::Io(_) => "io",
        _ => "other",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_and_the_first_case_is_kept() {
        let (mut one, mut other) = (Faults::default(), Faults::default());
        one.note_close(Some(&CloseFrame::new(1008, "slow down")));
        one.note_error(&Error::Disconnected);
        other.note_close(Some(&CloseFrame::new(1008, "again")));
        other.note_close(None);
        one.merge(other);
        let all: Vec<_> = one.iter().map(|(kind, fault)| (kind, fault.count)).collect();
        assert_eq!(all, [("closed_1005", 1), ("closed_1008", 2), ("disconnected", 1)]);
        let (_, fault) = one.iter().find(|(kind, _)| *kind == "closed_1008").unwrap();
        assert!(fault.example.contains("slow down"), "{}", fault.example);
    }
}
