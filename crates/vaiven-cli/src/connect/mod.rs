//! `vaiven connect`: talk to a WebSocket server from a terminal or a script.
//!
//! The options say how to connect and where messages come from: -m, a pipe, or a person at the terminal. Each of
//! them is a channel of actions; one loop carries them out and shows what comes in.

mod command;
mod exit;
mod options;
mod output;
mod pipe;
mod show;
mod talk;
mod terminal;

use self::command::Action;
use self::exit::Exit;
use self::options::Options;
use self::output::Output;
use self::pipe::Split;
use self::talk::{Plan, Talk, span};
use self::terminal::{Restore, Terminal};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use tokio::sync::mpsc;
use tokio::time::Instant;
use vaiven::WebSocket;
use vaiven::client::Response;

const LONG_ABOUT: &str = "\
Talk to a WebSocket server.

On a terminal, type lines to send them; what comes in appears above the line that you type. /help lists the commands. \
In a pipe, each line of the input becomes a message and each message a line of the output. With -m, send and wait for \
the answer: vaiven connect wss://example.com/ -m hello";

pub(crate) fn command() -> Command {
    let command = Command::new("connect").about("Talk to a WebSocket server").long_about(LONG_ABOUT);
    Options::augment_args(command.after_help(exit::HELP))
}

pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let options = Options::from_arg_matches(matches).expect("clap has checked the arguments");
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vaiven connect: cannot start: {error}");
            return Exit::Usage.into();
        }
    };
    let exit = runtime.block_on(converse(&options));
    // A lookup of a name may still be under way; nobody waits for it.
    runtime.shutdown_background();
    exit.into()
}

/// Where messages come from.
enum Source {
    Given(Vec<String>),
    /// Nothing is sent.
    Nobody,
    Pipe(Split),
    Person,
}

impl Source {
    fn of(options: &Options) -> Self {
        let talk = &options.talk;
        if !talk.messages.is_empty() {
            return Self::Given(talk.messages.clone());
        }
        let split = match (talk.one, talk.binary) {
            (false, false) => Split::Lines,
            (false, true) => Split::Blocks,
            (true, false) => Split::WholeText,
            (true, true) => Split::WholeBinary,
        };
        match (io::stdin().is_terminal(), io::stdout().is_terminal()) {
            (true, _) if talk.expected().is_some() && !talk.one => Self::Nobody,
            (true, true) if split == Split::Lines => Self::Person,
            _ => Self::Pipe(split),
        }
    }
}

async fn converse(options: &Options) -> Exit {
    let started = Instant::now();
    let mut output = Output::pipe(options.talk.show_binary);
    let deadline = options.talk.time_limit().map(|limit| started + limit);
    let (socket, response) = match open(options, deadline).await {
        Ok(opened) => opened,
        Err((exit, why)) => {
            output.error(&why);
            return exit;
        }
    };
    if options.verbose {
        for line in describe(&response) {
            output.note(&line);
        }
        output.note(&format!("connected after {}", span(started.elapsed())));
    }
    let mut plan = Plan {
        expect: options.talk.expected(),
        deadline,
        linger: Some(options.talk.linger),
        verbose: options.verbose,
        started,
    };
    let mut restore = None;
    let actions = match Source::of(options) {
        Source::Given(messages) => given(messages),
        Source::Nobody => {
            plan.linger = None;
            given(Vec::new())
        }
        Source::Pipe(split) => pipe::stdin(split),
        Source::Person => {
            output.note(&format!("connected to {}; /help lists the commands", response.target()));
            restore = Some(Restore::new());
            match person(options) {
                Ok((actions, terminal)) => {
                    output = terminal;
                    actions
                }
                Err(error) => {
                    output.error(&format!("cannot use this terminal: {error}"));
                    return Exit::Usage;
                }
            }
        }
    };
    let output = RefCell::new(output);
    let end = Talk::new(plan, &output).run(socket, actions).await;
    output.into_inner().finish();
    // The last word comes when the terminal is as it was.
    drop(restore);
    if let Some(why) = end.why {
        Output::pipe(None).error(&why);
    }
    end.exit
}

/// Connects within the limits of time.
async fn open(options: &Options, deadline: Option<Instant>) -> Result<(WebSocket, Response), (Exit, String)> {
    let client = options.client().map_err(|why| (Exit::Usage, why))?;
    let opening = async {
        let opened = client.connect(&options.url).await;
        opened.map_err(|error| (Exit::of_error(&error), error.to_string()))
    };
    let out_of_time = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        opened = opening => opened,
        () = out_of_time => Err((Exit::TimedOut, "out of time while connecting (see --timeout)".to_owned())),
        () = crate::signal::interrupted() => Err((Exit::Interrupted, "interrupted while connecting".to_owned())),
    }
}

fn given(messages: Vec<String>) -> mpsc::Receiver<Action> {
    let (sender, receiver) = mpsc::channel(messages.len().max(1));
    for message in messages {
        sender.try_send(Action::Send(message.into())).expect("the channel has room for all");
    }
    receiver
}

fn person(options: &Options) -> rustyline::Result<(mpsc::Receiver<Action>, Output)> {
    let mut terminal = Terminal::open(!options.talk.no_history)?;
    let output = Output::terminal(options.talk.show_binary, terminal.printer()?);
    Ok((terminal.start(), output))
}

/// The answer to the opening handshake, line by line.
fn describe(response: &Response) -> Vec<String> {
    let target = response.target();
    let mut lines = vec![format!("> GET {} from {}", target.resource(), target.host_header())];
    if let Some(address) = response.peer_addr() {
        lines.push(format!("  at {address}{}", if target.is_secure() { ", over TLS" } else { "" }));
    }
    lines.push("< 101 Switching Protocols".to_owned());
    for (name, value) in response.headers() {
        lines.push(format!("< {name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    lines.push(format!("  subprotocol: {}", response.subprotocol().unwrap_or("none")));
    lines.push(match response.deflate() {
        None => "  compression: none".to_owned(),
        Some(deflate) => format!(
            "  compression: windows of {} bits from the server and {} to it",
            deflate.server_max_window_bits, deflate.client_max_window_bits
        ),
    });
    lines
}
