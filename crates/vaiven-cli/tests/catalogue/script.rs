//! A play to steps: the small language in which the catalogue says what happens. `conformance/catalogue/README.md`
//! describes it.

use crate::token::{Words, duration, number};
use crate::wire::{FrameSpec, LengthForm};
use std::time::Duration;

/// Which side the runner plays; the other one is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Something that the runner does or expects.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A client connects; a server accepts and reads the request.
    Connect,
    /// An opening handshake to its end, with these changes of the right request or answer.
    Open(Head),
    /// The request or answer alone.
    Head(Head),
    Send {
        bytes: Vec<u8>,
        pace: Pace,
    },
    /// What is sent from here on leaves in one piece at `Release`.
    Hold,
    Release,
    Wait(Duration),
    Fin,
    Rst,
    /// No more is read until `Read`.
    Unread,
    Read,
    /// The server gets SIGTERM.
    Terminate,
    /// So many further connections are opened and kept.
    Crowd(usize),
    /// Lets go of the connection.
    HangUp,
    /// Memory and CPU time are counted from here on.
    Measure,
    /// A TLS handshake with this certificate, and what is answered to the request.
    Tls(String, Vec<u8>),
    Expect(Expect),
}

/// How fast bytes leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// Each byte by itself, with a pause behind it.
    Bytewise(Duration),
}

/// A request or an answer: the right one, changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) start_line: Option<String>,
    pub(crate) without: Vec<String>,
    /// `Name: value`, each: more of them, whatever is there.
    pub(crate) with: Vec<Vec<u8>>,
    /// `Name: value`, each, in place of what is there.
    pub(crate) set: Vec<Vec<u8>>,
}

/// What must come.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// The head of an answer with one of these.
    Status(Vec<u16>),
    /// The same, and the end of the connection.
    Refused(Vec<u16>),
    Field(String),
    NoField(String),
    Body(String),
    /// A frame with this first byte and payload.
    Frame(u8, Vec<u8>),
    Close {
        code: Option<u16>,
        reason: Option<Vec<u8>>,
    },
    /// A Close frame, and FIN within the time.
    End {
        code: Option<u16>,
        within: Duration,
    },
    Eof(Duration),
    /// FIN or RST.
    Gone(Duration),
    Nothing(Duration),
    /// A ping is answered.
    Alive,
    /// So many messages come, whatever they are.
    Messages(u64),
    /// A Close frame with this code, whatever comes before it, and the end.
    AtLast(u16),
    /// What was received and not looked at has no such text in it.
    NoMore(String),
    /// The play has taken so long.
    Elapsed(Duration, Duration),
    /// The server's memory grew by less than this since the play began.
    Memory(u64),
    /// The server took less CPU time than this since the play began.
    Cpu(Duration),
    /// The server has counted so many connections that ended with this code.
    Closes(u16, u64),
    /// No connection is open in the server.
    Idle(Duration),
    /// The server ended with exit code 0.
    Exit(Duration),
    /// The request has this text in it, or not.
    Request(String),
    NoRequest(String),
    /// What the client tells its caller begins with one of these.
    Outcome(Vec<String>),
    /// So many bytes of plain text came by TLS at least, and at most.
    Plaintext(usize, usize),
}

/// How long FIN may take behind a Close frame.
const END: Duration = Duration::from_secs(1);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a play. Frames are masked as `side` has to.
pub(crate) fn parse(play: &str, side: Side) -> Vec<Step> {
    let mut words = Words::new();
    play.lines()
        .map(Words::split)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            step(&line, side, &mut words)
        })
        .collect()
}

fn step(line: &[&str], side: Side, words: &mut Words) -> Step {
    match line {
        ["connect" | "accept"] => Step::Connect,
        ["open", rest @ ..] => Step::Open(head(rest, words)),
        ["request" | "answer", rest @ ..] => Step::Head(head(rest, words)),
        ["hold"] => Step::Hold,
        ["release"] => Step::Release,
        ["wait", time] => Step::Wait(duration(time)),
        ["fin"] => Step::Fin,
        ["rst"] => Step::Rst,
        ["unread"] => Step::Unread,
        ["read"] => Step::Read,
        ["hang-up"] => Step::HangUp,
        ["measure"] => Step::Measure,
        ["terminate"] => Step::Terminate,
        ["crowd", count] => Step::Crowd(usize::try_from(number(count)).expect("it fits")),
        ["tls", certificate, rest @ ..] => Step::Tls((*certificate).to_owned(), payload(rest, words)),
        ["expect", rest @ ..] => Step::Expect(expect(rest, words)),
        ["bytewise", rest @ ..] => {
            Step::Send { bytes: bytes(rest, side, words), pace: Pace::Bytewise(Duration::ZERO) }
        }
        ["trickle", time, rest @ ..] => {
            Step::Send { bytes: bytes(rest, side, words), pace: Pace::Bytewise(duration(time)) }
        }
        rest => Step::Send { bytes: bytes(rest, side, words), pace: Pace::AtOnce },
    }
}

/// Raw bytes, or a frame, or many of them.
fn bytes(line: &[&str], side: Side, words: &mut Words) -> Vec<u8> {
    match line {
        ["times", count, rest @ ..] => {
            let unit = bytes(rest, side, words);
            unit.repeat(usize::try_from(number(count)).expect("it fits"))
        }
        ["send", rest @ ..] => payload(rest, words),
        ["text", rest @ ..] => frame(0x81, rest, side, words),
        ["binary", rest @ ..] => frame(0x82, rest, side, words),
        ["continuation", rest @ ..] => frame(0x80, rest, side, words),
        ["ping", rest @ ..] => frame(0x89, rest, side, words),
        ["pong", rest @ ..] => frame(0x8a, rest, side, words),
        ["frame", first, rest @ ..] => frame(u8::try_from(number(first)).expect("a byte"), rest, side, words),
        ["close", code, rest @ ..] if code.bytes().all(|byte| byte.is_ascii_digit()) => {
            let code = u16::try_from(number(code)).expect("a code");
            let body = [&code.to_be_bytes()[..], &payload(rest, words)].concat();
            spec(0x88, side, body).to_wire()
        }
        ["close", rest @ ..] => frame(0x88, rest, side, words),
        other => panic!("no such step: {other:?}"),
    }
}

fn payload(line: &[&str], words: &mut Words) -> Vec<u8> {
    line.iter()
        .flat_map(|word| words.bytes(word).unwrap_or_else(|| panic!("not bytes: {word} in {line:?}")))
        .collect()
}

fn spec(first: u8, side: Side, payload: Vec<u8>) -> FrameSpec {
    let masked = side == Side::Client;
    FrameSpec { first, masked, form: LengthForm::Shortest, declared: None, payload }
}

fn frame(first: u8, line: &[&str], side: Side, words: &mut Words) -> Vec<u8> {
    let mut frame = spec(first, side, Vec::new());
    let mut line = line.iter();
    while let Some(&word) = line.next() {
        match word {
            "nofin" => frame.first &= 0x7f,
            "rsv1" => frame.first |= 0x40,
            "rsv2" => frame.first |= 0x20,
            "rsv3" => frame.first |= 0x10,
            "masked" => frame.masked = true,
            "unmasked" => frame.masked = false,
            "length16" => frame.form = LengthForm::Bits16,
            "length64" => frame.form = LengthForm::Bits64,
            "declare" => frame.declared = Some(number(line.next().expect("a length"))),
            word => frame.payload.extend(payload(&[word], words)),
        }
    }
    frame.to_wire()
}

fn head(line: &[&str], words: &mut Words) -> Head {
    let mut head = Head::default();
    let mut line = line.iter();
    while let Some(&word) = line.next() {
        let mut next = || payload(&[*line.next().expect("a field")], words);
        match word {
            "with" => head.with.push(next()),
            "set" => head.set.push(next()),
            "without" => head.without.push(String::from_utf8(next()).expect("a name")),
            start => head.start_line = Some(words.text(start)),
        }
    }
    head
}

fn expect(line: &[&str], words: &mut Words) -> Expect {
    match line {
        ["status", rest @ ..] => {
            Expect::Status(alternatives(rest, |word| u16::try_from(number(word)).expect("a status")))
        }
        ["refused", rest @ ..] => {
            Expect::Refused(alternatives(rest, |word| u16::try_from(number(word)).expect("a status")))
        }
        ["messages", count] => Expect::Messages(number(count)),
        ["at-last", code] => Expect::AtLast(code_of(code)),
        ["no-more", text] => Expect::NoMore(words.text(text)),
        ["elapsed", least, "to", most] => Expect::Elapsed(duration(least), duration(most)),
        ["field", field] => Expect::Field(words.text(field)),
        ["no-field", name] => Expect::NoField(words.text(name)),
        ["body", text] => Expect::Body(words.text(text)),
        ["text", rest @ ..] => Expect::Frame(0x81, payload(rest, words)),
        ["binary", rest @ ..] => Expect::Frame(0x82, payload(rest, words)),
        ["ping", rest @ ..] => Expect::Frame(0x89, payload(rest, words)),
        ["pong", rest @ ..] => Expect::Frame(0x8a, payload(rest, words)),
        ["close"] => Expect::Close { code: None, reason: None },
        ["close", code] => Expect::Close { code: Some(code_of(code)), reason: None },
        ["close", code, rest @ ..] => {
            Expect::Close { code: Some(code_of(code)), reason: Some(payload(rest, words)) }
        }
        ["end"] => Expect::End { code: None, within: END },
        ["end", code] => Expect::End { code: Some(code_of(code)), within: END },
        ["eof", "within", time] => Expect::Eof(duration(time)),
        ["gone", "within", time] => Expect::Gone(duration(time)),
        ["nothing", "for", time] => Expect::Nothing(duration(time)),
        ["alive"] => Expect::Alive,
        ["memory", "below", bytes] => Expect::Memory(number(bytes)),
        ["cpu", "below", time] => Expect::Cpu(duration(time)),
        ["closes", code, count] => Expect::Closes(code_of(code), number(count)),
        ["idle"] => Expect::Idle(PATIENCE),
        ["idle", "within", time] => Expect::Idle(duration(time)),
        ["exit", "within", time] => Expect::Exit(duration(time)),
        ["request", text] => Expect::Request(words.text(text)),
        ["no-request", text] => Expect::NoRequest(words.text(text)),
        ["outcome", rest @ ..] => Expect::Outcome(alternatives(rest, |word| words.text(word))),
        ["plaintext", "none"] => Expect::Plaintext(0, 0),
        ["plaintext", "some"] => Expect::Plaintext(1, usize::MAX),
        other => panic!("no such expectation: {other:?}"),
    }
}

fn code_of(word: &str) -> u16 {
    u16::try_from(number(word)).expect("a code")
}

fn alternatives<T>(words: &[&str], read: impl FnMut(&str) -> T) -> Vec<T> {
    words.iter().copied().filter(|word| *word != "or").map(read).collect()
}
