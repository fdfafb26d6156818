//! Standard input as messages: lines, blocks, or all of it as one.
//!
//! It is read on a thread of its own, which nobody waits for at the end: a read from a pipe cannot be interrupted.

use super::command::Action;
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;
use vaiven::{Message, Text};

/// The longest line, or whole input: what clients and this project's JavaScript class take as one message.
const MAX_MESSAGE_BYTES: usize = 128 << 20;
/// A block of a binary input.
const BLOCK_BYTES: usize = 64 << 10;
/// Messages that are read ahead of the connection.
const AHEAD: usize = 4;

/// How the input becomes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// A text message for each line, without its line end.
    Lines,
    /// A binary message for each block that is read.
    Blocks,
    /// One text message of everything, without the last line end.
    WholeText,
    /// One binary message of everything.
    WholeBinary,
}

/// Reads standard input from now on.
pub(super) fn stdin(split: Split) -> mpsc::Receiver<Action> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut messages = Messages { input: io::stdin().lock(), split, is_over: false, line: 0 };
        loop {
            let action = match messages.next() {
                Ok(Some(message)) => Action::Send(message),
                Ok(None) => return,
                Err(why) => Action::Fail(why),
            };
            let is_last = matches!(action, Action::Fail(_));
            if sender.blocking_send(action).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

struct Messages<R> {
    input: R,
    split: Split,
    is_over: bool,
    line: usize,
}

impl<R: BufRead> Messages<R> {
    fn next(&mut self) -> Result<Option<Message>, String> {
        if self.is_over {
            return Ok(None);
        }
        let failed = |error: io::Error| format!("cannot read the input: {error}");
        let mut bytes = Vec::new();
        let limit = MAX_MESSAGE_BYTES as u64 + 2;
        match self.split {
            Split::Lines => {
                self.line += 1;
                if self.input.by_ref().take(limit).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                    return Ok(None);
                }
            }
            Split::Blocks => {
                bytes.resize(BLOCK_BYTES, 0);
                let read = self.input.read(&mut bytes).map_err(failed)?;
                bytes.truncate(read);
                return Ok((read > 0).then(|| bytes.into()));
            }
            Split::WholeText | Split::WholeBinary => {
                self.is_over = true;
                self.input.by_ref().take(limit).read_to_end(&mut bytes).map_err(failed)?;
            }
        }
        if self.split != Split::WholeBinary && bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(format!(
                "a message of more than {MAX_MESSAGE_BYTES} bytes is not sent; use --binary for blocks"
            ));
        }
        if self.split == Split::WholeBinary {
            return Ok(Some(bytes.into()));
        }
        let text = Text::try_from(bytes::Bytes::from(bytes)).map_err(|_| match self.split {
            Split::Lines => format!("line {} of the input is not UTF-8; --binary sends bytes", self.line),
            _ => "the input is not UTF-8; --binary sends bytes".to_owned(),
        });
        text.map(|text| Some(Message::Text(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(split: Split, input: &[u8], expected: &[Message]) {
        let mut messages = Messages { input, split, is_over: false, line: 0 };
        let mut found = Vec::new();
        while let Some(message) = messages.next().unwrap() {
            found.push(message);
        }
        assert_eq!(found, expected, "{split:?} of {}", input.escape_ascii());
    }

    #[test]
    fn lines_become_messages_without_their_ends() {
        check(Split::Lines, b"", &[]);
        check(Split::Lines, b"a", &["a".into()]);
        check(Split::Lines, "a\r\n\nñ\n".as_bytes(), &["a".into(), "".into(), "ñ".into()]);
    }

    #[test]
    fn the_whole_input_is_one_message() {
        check(Split::WholeText, b"a\nb\n", &["a\nb".into()]);
        check(Split::WholeText, b"", &["".into()]);
        check(Split::WholeBinary, b"a\n\xff\n", &[b"a\n\xff\n".to_vec().into()]);
    }

    #[test]
    fn blocks_are_of_64_kib_at_most() {
        let input = vec![7; BLOCK_BYTES + 1];
        check(Split::Blocks, &input, &[vec![7; BLOCK_BYTES].into(), vec![7].into()]);
    }

    #[test]
    fn text_that_is_none_names_its_line() {
        let mut messages =
            Messages { input: &b"a\n\xff\n"[..], split: Split::Lines, is_over: false, line: 0 };
        assert_eq!(messages.next(), Ok(Some("a".into())));
        assert_eq!(messages.next(), Err("line 2 of the input is not UTF-8; --binary sends bytes".to_owned()));
    }
}
