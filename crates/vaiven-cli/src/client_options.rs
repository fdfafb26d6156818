//! Options of every command that connects, and the client that they describe.

use crate::duration;
use clap::{Args, ValueHint};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vaiven::client::{DialOptions, Proxy, RedirectPolicy, TlsConfig};
use vaiven::{Client, Config, DeflateConfig, KeepaliveConfig};

/// How long a server may be silent behind a ping of --ping-interval.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

// What to ask of the server, and how to reach it. A doc comment here would become the text of the commands.
#[derive(Debug, Args)]
pub(crate) struct ClientOptions {
    #[command(flatten)]
    request: RequestOptions,

    #[command(flatten)]
    dial: DialArgs,
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

impl ClientOptions {
    /// The client that the options describe, with the limits and timers of `config` for its connections.
    ///
    /// # Errors
    /// A sentence about the file or the option that is unusable.
    pub(crate) fn client(&self, mut config: Config) -> Result<Client, String> {
        let Self { request, dial } = self;
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
