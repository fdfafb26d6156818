//! The real client: `vaiven::Client`, set up as a row says, and what it tells its caller.

use crate::row::ClientSetup;
use crate::tls::Authority;
use crate::token::Words;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::Runtime;
use vaiven::client::{DialError, DialOptions, HandshakeProblem, RedirectPolicy};
use vaiven::{Client, Config, DeflateConfig, Error, Message, Role, WebSocket};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("it starts")
});

/// Starts the client against the runner at `host`, and gives what it will tell.
pub(crate) fn start(setup: &ClientSetup, host: &str) -> Receiver<String> {
    let url = setup.url.as_deref().unwrap_or("ws://{host}/").replace("{host}", host);
    if let Some(command) = other_client() {
        return start_other(command, setup, &url);
    }
    let client = client(setup);
    let does = setup.does.clone().unwrap_or_else(|| "echo".to_owned());
    let (tell, told) = channel();
    RUNTIME.spawn(async move {
        let outcome = match client.connect(&url).await {
            Ok((socket, _)) => run(socket, &does).await,
            Err(error) => Err(error),
        };
        // The row may have had enough.
        let _ = tell.send(outcome.unwrap_or_else(|error| told_as(&error)));
    });
    told
}

/// Another client than ours: `CATALOGUE_CLIENT` is its command.
fn other_client() -> Option<Command> {
    let other = std::env::var("CATALOGUE_CLIENT").ok()?;
    let mut words = other.split_whitespace();
    let mut command = Command::new(words.next().expect("CATALOGUE_CLIENT names a command"));
    command.args(words);
    Some(command)
}

/// Whether another client than ours is played.
pub(crate) fn is_other() -> bool {
    std::env::var_os("CATALOGUE_CLIENT").is_some()
}

/// What is expected to be told: of another client no more than how the connection ended.
pub(crate) fn expected(outcome: &str) -> &str {
    if !is_other() {
        return outcome;
    }
    match outcome.split(' ').next() {
        Some("closed") => outcome,
        Some("violation") => outcome.get(.."violation 1002".len()).unwrap_or(outcome),
        _ => "failed",
    }
}

/// Runs another client, whose last line tells how the connection ended.
fn start_other(mut command: Command, setup: &ClientSetup, url: &str) -> Receiver<String> {
    command.args(["--url", url]);
    command.args(setup.subprotocols.iter().map(|name| format!("--subprotocol={name}")));
    command.args(setup.headers.iter().map(|field| format!("--header={field}")));
    let flags = [(setup.deflate, "--deflate"), (setup.without_client_window, "--without-client-window")];
    command.args(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag));
    command.args(setup.max_message_bytes.map(|bytes| format!("--max-message-bytes={bytes}")));
    command.args(setup.max_fragments.map(|count| format!("--max-fragments={count}")));
    command.args(setup.does.as_ref().map(|does| format!("--does={does}")));
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let output = command.stdin(Stdio::null()).output().expect("the client starts");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = lines.lines().last().map(str::to_owned);
        // The row may have had enough.
        let _ = tell.send(last.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned()));
    });
    told
}

/// Whether another client is played that does not do what the row asks for: it follows no redirects, trusts no authority
/// of the runner's, and sends nothing by itself.
pub(crate) fn lacks(setup: &ClientSetup) -> bool {
    let does = setup.does.as_deref().unwrap_or("echo");
    is_other() && (setup.redirects || setup.trusts.is_some() || !matches!(does, "echo" | "close"))
}

fn client(setup: &ClientSetup) -> Client {
    let mut dial = DialOptions::default().without_proxy();
    if setup.trusts.as_deref() == Some("authority") {
        dial = dial.tls(Authority::shared().trusted());
    }
    let mut config = Config::new(Role::Client);
    let limits = &mut config.limits;
    limits.max_message_bytes = setup.max_message_bytes.unwrap_or(limits.max_message_bytes);
    limits.max_fragments = setup.max_fragments.unwrap_or(limits.max_fragments);
    let mut client = Client::new().dial_options(dial).config(config);
    for name in &setup.subprotocols {
        client = client.subprotocol(name);
    }
    for field in &setup.headers {
        let (name, value) = field.split_once(": ").expect("a field has a name and a value");
        client = client.header(name, value);
    }
    if setup.deflate {
        let mut deflate = DeflateConfig::client();
        if setup.without_client_window {
            deflate.client_max_window_bits = None;
        }
        client = client.deflate(deflate);
    }
    if setup.redirects {
        client = client.redirects(RedirectPolicy::limited(RedirectPolicy::MAX_REDIRECTS));
    }
    client
}

/// Uses the connection, and says how it ended.
async fn run(mut socket: WebSocket, does: &str) -> Result<String, Error> {
    match does.split_once(' ').unwrap_or((does, "")) {
        ("echo", _) => {
            while let Some(message) = socket.recv().await? {
                if let Err(error) = socket.send(message).await {
                    // What ended the connection is what the receiving side tells.
                    drop(error);
                }
            }
        }
        ("close", _) => socket.close(1000, "").await?,
        ("send-and-close", bytes) => {
            let payload = Words::new().bytes(bytes).expect("it has bytes to send");
            socket.feed(Message::binary(payload)).await?;
            socket.close(1000, "").await?;
        }
        other => panic!("the client cannot do {other:?}"),
    }
    let code = socket.close_frame().map_or(1006, |frame| u16::from(frame.code));
    Ok(format!("closed {code}"))
}

/// An error in a few words: its kind, and what tells it from others of this kind.
fn told_as(error: &Error) -> String {
    match error {
        Error::Violation(violation) => {
            format!("violation {} {violation:?}", u16::from(violation.close_code()))
        }
        Error::Disconnected => "disconnected".to_owned(),
        Error::Timeout(kind) => format!("timeout {kind:?}"),
        Error::Io(error) => format!("io {:?}", error.kind()),
        Error::Closing => "closing".to_owned(),
        Error::Dial(error) => format!("dial {}", dial_as(error)),
        Error::Handshake(failure) => match failure.problem() {
            HandshakeProblem::Request(error) => format!("request {}", variant(error)),
            HandshakeProblem::Response(error) => format!("answer {}", variant(error)),
            HandshakeProblem::Refused(refused) => format!("refused {}", refused.status().as_u16()),
            HandshakeProblem::Timeout(_) => "handshake timeout".to_owned(),
            HandshakeProblem::Disconnected => "handshake disconnected".to_owned(),
            HandshakeProblem::Io(error) => format!("handshake io {:?}", error.kind()),
            other => format!("handshake {other:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn dial_as(error: &DialError) -> String {
    match error {
        DialError::Tls { problem, .. } => format!("tls {problem:?}"),
        other => variant(other),
    }
}

/// The name of an enum's variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}
