//! The options of `vaiven connect`, and the client that they describe.

use crate::client_options::ClientOptions;
use crate::duration;
use clap::{Args, ValueEnum, ValueHint};
use std::time::Duration;
use vaiven::{Client, Config, Role};

/// The limit of -m and -1 where none is given.
const ONE_SHOT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to connect: ws://, wss://, http:// or https://
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) url: String,

    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    pub(super) talk: TalkOptions,

    /// Show the handshake, control frames and lengths, with the time since the start
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Conversation")]
pub(super) struct TalkOptions {
    /// Send this text, wait for one answer (see --expect), and close; may be repeated
    #[arg(short, long = "message", value_name = "TEXT")]
    pub(super) messages: Vec<String>,

    /// Close after this many received messages
    #[arg(long, value_name = "N")]
    expect: Option<u64>,

    /// Give up after this time in all [default: 10s with -m and -1, else none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// From a pipe, make a text message of each line; this is the default
    #[arg(long, conflicts_with = "binary")]
    text: bool,

    /// From a pipe, make a binary message of each block that is read, of 64 KiB at most
    #[arg(long)]
    pub(super) binary: bool,

    /// One message per side: the whole input is one, and the first answer ends it
    #[arg(short = '1', long = "one", conflicts_with = "messages")]
    pub(super) one: bool,

    /// How long to wait for answers after the end of a piped input
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "1s")]
    pub(super) linger: Duration,

    /// How to show binary messages [default: hexdump on a terminal, else raw]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) show_binary: Option<BinaryFormat>,

    /// Do not keep what is typed in ~/.local/state/vaiven/history; a line that begins with a space never is
    #[arg(long)]
    pub(super) no_history: bool,
}

/// How binary messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BinaryFormat {
    /// Offsets, bytes and characters, up to 4 KiB of a message
    Hexdump,
    /// Two digits for each byte, a line for each message
    Hex,
    /// Base64, a line for each message
    Base64,
    /// The bytes as they are, with nothing between messages
    Raw,
}

impl TalkOptions {
    /// After how many messages to close, if so.
    pub(super) fn expected(&self) -> Option<u64> {
        self.expect.or_else(|| self.is_one_shot().then_some(1))
    }

    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.timeout.or_else(|| self.is_one_shot().then_some(ONE_SHOT_TIMEOUT))
    }

    fn is_one_shot(&self) -> bool {
        self.one || !self.messages.is_empty()
    }
}

impl Options {
    /// The client that the options describe.
    ///
    /// # Errors
    /// A sentence about the file or the option that is unusable.
    pub(super) fn client(&self) -> Result<Client, String> {
        self.client.client(Config::new(Role::Client))
    }
}
