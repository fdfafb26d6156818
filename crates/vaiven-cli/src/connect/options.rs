//! The options of `vaiven connect`, and the client that they describe.

use crate::duration;
use clap::{Args, ValueEnum, ValueHint};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vaiven::client::{DialOptions, Proxy, RedirectPolicy, TlsConfig};
use vaiven::{Client, Config, DeflateConfig, KeepaliveConfig, Role};

/// How long a server may be silent behind a ping of --ping-interval.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit of -m and -1 where none is given.
const ONE_SHOT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to connect: ws://, wss://, http:// or https://
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) url: String,

    #[command(flatten)]
    request: RequestOptions,

    #[command(flatten)]
    dial: DialArgs,

    #[command(flatten)]
    pub(super) talk: TalkOptions,

    /// Show the handshake, control frames and lengths, with the time since the start
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
struct RequestOptions {
    /// Add a header to the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Offer a subprotocol; may be repeated, the best liked first
    #[arg(long = "subprotocol", short = 's', value_name = "NAME", value_delimiter = ',')]
    subprotocols: Vec<String>,

    /// Send this Origin, as a browser would
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,

    /// Offer compression (permessage-deflate)
    #[arg(long)]
    compress: bool,

    /// Follow up to five redirects, never from wss to ws
    #[arg(short = 'L', long)]
    location: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
struct DialArgs {
    /// Connect through this proxy: http://, https://, socks5:// or socks5h://
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy")]
    proxy: Option<String>,

    /// Connect directly, whatever http_proxy and its like say
    #[arg(long)]
    no_proxy: bool,

    /// Trust the certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca: Option<PathBuf>,

    /// Show this client certificate, a PEM file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    cert: Option<PathBuf>,

    /// The key of --cert; where it is not given, it is looked for in the same file
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,

    /// How long connecting may take, as 500ms or 5s [default: 10s, TLS 5s, handshake 30s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    connect_timeout: Option<Duration>,

    /// Ping the server when it is silent for this long, and hang up when no answer comes
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ping_interval: Option<Duration>,
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
        let Self { request, dial, .. } = self;
        let mut config = Config::new(Role::Client);
        config.keepalive =
            dial.ping_interval.map(|interval| KeepaliveConfig { interval, timeout: PONG_TIMEOUT });
        let mut client = Client::new().config(config).dial_options(dial.options()?);
        if let Some(limit) = dial.connect_timeout {
            client = client.handshake_timeout(limit);
        }
        for (name, value) in &request.headers {
            client = client.header(name, value.as_str());
        }
        for name in &request.subprotocols {
            client = client.subprotocol(name);
        }
        if let Some(origin) = &request.origin {
            client = client.origin(origin);
        }
        if request.compress {
            client = client.deflate(DeflateConfig::client());
        }
        if request.location {
            client = client.redirects(RedirectPolicy::limited(RedirectPolicy::MAX_REDIRECTS));
        }
        Ok(client)
    }
}

impl DialArgs {
    fn options(&self) -> Result<DialOptions, String> {
        let mut options = DialOptions::default();
        if let Some(limit) = self.connect_timeout {
            options = options.connect_timeout(limit).tls_timeout(limit);
        }
        if self.no_proxy {
            options = options.without_proxy();
        }
        if let Some(proxy) = &self.proxy {
            options = options.proxy(Proxy::parse(proxy).map_err(|error| error.to_string())?);
        }
        if self.ca.is_some() || self.cert.is_some() {
            options = options.tls(self.tls()?);
        }
        Ok(options)
    }

    fn tls(&self) -> Result<TlsConfig, String> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &self.ca {
            tls = tls.add_roots_pem(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(path) = &self.cert {
            let chain = read(path)?;
            let key = self.key.as_deref().map_or_else(|| Ok(chain.clone()), read)?;
            tls = tls
                .client_certificate_pem(&chain, &key)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        tls.build().map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
