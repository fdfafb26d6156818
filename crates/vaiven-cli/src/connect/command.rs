//! A line that was typed, to what it asks for.

use bytes::Bytes;
use vaiven::{CloseCode, CloseFrame, Message};

/// Something to do on the connection.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Send(Message),
    Ping(Bytes),
    Close(CloseFrame),
    /// Close normally; the input is over.
    Quit,
    /// The input cannot be used, for this reason.
    Fail(String),
}

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Nothing,
    Act(Action),
    Help,
}

/// What /help prints.
pub(super) const HELP: &str = "\
text                    send it; //text sends a text that begins with a slash
/ping [TEXT]            ping the server and show how long its pong took
/binary FILE            send a file as one binary message
/hex DIGITS             send these bytes as one binary message
/close [CODE] [REASON]  close with this code (1000) and reason
/quit                   close normally and leave, as Ctrl-D and Ctrl-C do
/help                   this";

/// The largest file that /binary sends: what clients take as one message by default.
const MAX_FILE_BYTES: u64 = 128 << 20;

/// Reads a line.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(if line.is_empty() { Line::Nothing } else { Line::Act(Action::Send(line.into())) });
    };
    if command.starts_with('/') {
        return Ok(Line::Act(Action::Send(command.into())));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let action = match name {
        "ping" if rest.len() <= 125 => Action::Ping(Bytes::copy_from_slice(rest.as_bytes())),
        "ping" => return Err("the payload of a ping has 125 bytes at most".to_owned()),
        "binary" => Action::Send(file(rest)?),
        "hex" => Action::Send(Message::from(unhex(rest)?)),
        "close" => Action::Close(close(rest)?),
        "quit" | "exit" => Action::Quit,
        "help" | "?" => return Ok(Line::Help),
        _ => return Err(format!("there is no /{name}; /help lists the commands, // sends a slash")),
    };
    Ok(Line::Act(action))
}

fn file(path: &str) -> Result<Message, String> {
    if path.is_empty() {
        return Err("name a file: /binary FILE".to_owned());
    }
    let failed = |error| format!("cannot read {path}: {error}");
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("{path} has {length} bytes; a message may have {MAX_FILE_BYTES}"));
    }
    std::fs::read(path).map(Message::from).map_err(failed)
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = digits.chars().filter(|char| !char.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some((high.to_digit(16)? * 16 + low.to_digit(16)?).to_le_bytes()[0]),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(|| "write two hexadecimal digits for each byte".to_owned())
}

fn close(rest: &str) -> Result<CloseFrame, String> {
    let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let code = match code {
        "" => CloseCode::NORMAL,
        code => code.parse::<u16>().map(CloseCode::from).map_err(|_| format!("`{code}` is no close code"))?,
    };
    if !code.is_sendable() {
        return Err(format!("{code} may not be sent; use 1000, or 3000 to 4999 (RFC 6455 7.4)"));
    }
    if reason.len() > CloseFrame::MAX_REASON_BYTES {
        return Err(format!("a reason has {} bytes at most", CloseFrame::MAX_REASON_BYTES));
    }
    Ok(CloseFrame::new(code, reason.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Action) {
        assert_eq!(parse(line), Ok(Line::Act(expected)), "{line}");
    }

    #[track_caller]
    fn check_error(line: &str, expected: &str) {
        let error = parse(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }

    #[test]
    fn what_begins_with_no_slash_is_sent() {
        assert_eq!(parse(""), Ok(Line::Nothing));
        check("hola", Action::Send("hola".into()));
        check(" /ping", Action::Send(" /ping".into()));
        check("//help", Action::Send("/help".into()));
    }

    #[test]
    fn commands_are_read_with_their_arguments() {
        check("/ping", Action::Ping(Bytes::new()));
        check("/ping  are you there ", Action::Ping(Bytes::from("are you there")));
        check("/hex 00 ff7F", Action::Send(vec![0, 255, 127].into()));
        check("/close", Action::Close(CloseFrame::new(1000, "")));
        check("/close 4001 good bye", Action::Close(CloseFrame::new(4001, "good bye")));
        check("/quit", Action::Quit);
        assert_eq!(parse("/help"), Ok(Line::Help));
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        check_error("/nope", "there is no /nope");
        check_error(&format!("/ping {}", "a".repeat(126)), "125 bytes");
        check("/ping ".to_owned().as_str(), Action::Ping(Bytes::new()));
        check_error("/hex 0", "two hexadecimal digits");
        check_error("/hex 0g", "two hexadecimal digits");
        check_error("/close 1006", "may not be sent");
        check_error("/close no", "no close code");
        check_error(&format!("/close 1000 {}", "a".repeat(124)), "123 bytes");
        check_error("/binary", "name a file");
        check_error("/binary /does/not/exist", "cannot read");
    }
}
