//! What can be set, and the defaults with their reasons.
//!
//! [`SETTINGS`] is the one table from which the keys of the file, the flags, the environment variables and
//! `docs/configuration.md` come; [`load`] reads them from where they were set.

mod load;
mod namespace;
mod problem;
mod table;
mod value;

pub use load::{FileError, Given, documentation, load};
pub(crate) use namespace::DEFAULT as DEFAULT_NAMESPACE;
pub use namespace::{Access, Contract, Namespace};
pub use problem::{Problem, Source};
pub use table::{NAMESPACE_SETTINGS, SETTINGS, Setting};
pub use value::{Kind, Value};

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use vaiven::server::{
    AllowedHost, ForwardedField, HostPolicy, IpNetwork, Origin, OriginPolicy, ServerConfig, TlsConfig,
    TlsError, TrustedProxies,
};
use vaiven::{DeflateConfig, KeepaliveConfig, Limits};
use vaiven_hub::ChannelName;

/// Settings of a server. What each means, and why its default is what it is, stands in [`SETTINGS`].
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the table describes them")]
#[non_exhaustive]
pub struct Settings {
    pub listen: SocketAddr,
    pub profile: Profile,
    pub allowed_hosts: AllowedHosts,
    pub origins: Origins,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub trusted_proxies: Vec<IpNetwork>,
    pub forwarded_field: ForwardedField,
    pub data_dir: PathBuf,
    pub history: HistoryIn,
    pub fsync: Fsync,
    pub history_total_bytes: usize,
    pub max_kept_channels: usize,
    pub max_new_channels: usize,
    pub max_channels_per_client: usize,
    pub anonymous: Anonymous,
    pub token_secret: Option<Secret>,
    pub token_public_key: Option<PathBuf>,
    pub token_jwks_url: Option<Url>,
    pub token_issuer: Option<String>,
    pub token_audience: Option<String>,
    pub token_cookie: Option<String>,
    pub auth_url: Option<Url>,
    pub auth_timeout: Duration,
    pub socketio_room: ChannelName,
    pub socketio_url: Option<Url>,
    pub api_keys: Vec<Secret>,
    pub metrics_from: AllowedFrom,
    pub admin_key: Option<Secret>,
    pub admin_from: AllowedFrom,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    pub otlp_endpoint: Option<Url>,
    pub trace_one_in: u32,
    pub compression: bool,
    pub max_message_bytes: usize,
    pub max_fragments: u32,
    pub max_idle_frames: u32,
    pub message_rate: u32,
    pub message_burst: u32,
    pub outbox_bytes: usize,
    pub max_rooms: usize,
    pub max_room_members: usize,
    pub max_memory_bytes: Option<usize>,
    pub max_connections: usize,
    pub max_connections_per_ip: u32,
    pub handshake_rate: u32,
    pub handshake_rate_per_ip: u32,
    pub handshake_burst_per_ip: u32,
    pub write_timeout: Duration,
    pub handshake_timeout: Duration,
    pub body_timeout: Duration,
    pub tls_timeout: Duration,
    pub close_timeout: Duration,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    pub drain_timeout: Duration,
    /// The namespaces of channels, by the name before the colon; the one without is `default`.
    pub channels: BTreeMap<String, Namespace>,
}

/// Where the history of channels is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryIn {
    /// In `data_dir`.
    Disk,
    /// In memory, for as long as the program runs.
    Memory,
}

/// When what was published is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is acknowledged.
    Always,
    /// Once a second.
    Interval,
    /// When the system does so.
    Never,
}

/// Whether clients without a token are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Where no way to check tokens is configured.
    Auto,
    /// Always.
    Allowed,
    /// Never.
    Refused,
}

/// A text that is neither logged nor shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A named set of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// For strangers on the internet.
    #[default]
    Standard,
    /// For the Autobahn|Testsuite and for benchmarks: long messages in many fragments, as fast as they come,
    /// compressed where the client offers it.
    Autobahn,
}

/// By which names the server may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// By those of this machine on a loopback address without TLS, elsewhere by every name.
    Auto,
    /// By these names and those of this machine.
    LoopbackAnd(Vec<AllowedHost>),
    /// By every name.
    Any,
}

/// Which pages may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of the server itself and of these origins.
    SameAnd(Vec<Origin>),
    /// Every page.
    Any,
}

/// From where the operator's own paths may be asked for: the metrics, the admin page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedFrom {
    /// Programs on the same machine.
    Loopback,
    /// Everybody.
    Anywhere,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// From which weight on something is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl AllowedFrom {
    pub(crate) fn admits(self, address: IpAddr, is_forwarded: bool) -> bool {
        self == Self::Anywhere || (address.to_canonical().is_loopback() && !is_forwarded)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::of(Profile::Standard)
    }
}

impl Settings {
    /// The settings of a profile.
    pub fn of(profile: Profile) -> Self {
        let limits = Limits::autobahn();
        match profile {
            Profile::Standard => Self::standard(),
            Profile::Autobahn => Self {
                profile,
                compression: true,
                max_message_bytes: limits.max_message_bytes,
                max_fragments: limits.max_fragments,
                max_idle_frames: limits.max_idle_frames,
                message_rate: 1_000_000_000,
                message_burst: 1_000_000_000,
                outbox_bytes: 16 << 20,
                max_connections: 1_000_000,
                max_connections_per_ip: 1_000_000,
                handshake_rate: 1_000_000,
                handshake_rate_per_ip: 1_000_000,
                handshake_burst_per_ip: 1_000_000,
                ..Self::standard()
            },
        }
    }

    fn standard() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            profile: Profile::Standard,
            allowed_hosts: AllowedHosts::Auto,
            origins: Origins::SameAnd(Vec::new()),
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            forwarded_field: ForwardedField::XForwardedFor,
            data_dir: "vaiven-data".into(),
            history: HistoryIn::Disk,
            fsync: Fsync::Always,
            history_total_bytes: 4 << 30,
            max_kept_channels: 1_000_000,
            max_new_channels: 1_000,
            max_channels_per_client: 128,
            anonymous: Anonymous::Auto,
            token_secret: None,
            token_public_key: None,
            token_jwks_url: None,
            token_issuer: None,
            token_audience: None,
            token_cookie: None,
            auth_url: None,
            auth_timeout: Duration::from_secs(5),
            socketio_room: ChannelName::parse("socketio").expect("it is a name"),
            socketio_url: None,
            api_keys: Vec::new(),
            metrics_from: AllowedFrom::Loopback,
            admin_key: None,
            admin_from: AllowedFrom::Loopback,
            log_format: LogFormat::Human,
            log_level: LogLevel::Info,
            otlp_endpoint: None,
            trace_one_in: 100,
            compression: false,
            max_message_bytes: 64 << 10,
            max_fragments: 1024,
            max_idle_frames: 100,
            message_rate: 100,
            message_burst: 200,
            outbox_bytes: 1 << 20,
            max_rooms: 10_000,
            max_room_members: 10_000,
            max_memory_bytes: None,
            max_connections: 10_000,
            max_connections_per_ip: 256,
            handshake_rate: 1_000,
            handshake_rate_per_ip: 20,
            handshake_burst_per_ip: 100,
            write_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            tls_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            channels: namespace::built_in(),
        }
    }

    /// What is right and may still be unwise, as sentences: they are logged when a server starts.
    pub fn warnings(&self) -> Vec<String> {
        load::warnings(self)
    }

    /// Whether there are keys for tokens.
    pub(crate) fn checks_tokens(&self) -> bool {
        self.token_secret.is_some() || self.token_public_key.is_some() || self.token_jwks_url.is_some()
    }

    /// The certificate to show, if there is one.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn tls(&self) -> Result<Option<TlsConfig>, TlsError> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        TlsConfig::from_pem_files(cert, key).map(Some)
    }

    pub(crate) fn server_config(&self, tls: Option<TlsConfig>) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.allowed_hosts = match &self.allowed_hosts {
            AllowedHosts::Auto => None,
            AllowedHosts::LoopbackAnd(list) => {
                Some(list.iter().cloned().fold(HostPolicy::loopback(), HostPolicy::allow))
            }
            AllowedHosts::Any => Some(HostPolicy::any()),
        };
        config.origins = match &self.origins {
            Origins::Any => OriginPolicy::any(),
            Origins::SameAnd(list) => {
                list.iter().cloned().fold(OriginPolicy::same_origin().allow_absent(), OriginPolicy::allow)
            }
        };
        config.tls = tls;
        config.trusted_proxies = TrustedProxies::new(self.trusted_proxies.clone(), self.forwarded_field);
        config.max_connections = self.max_connections;
        config.max_connections_per_ip = self.max_connections_per_ip;
        config.max_handshakes_per_second = self.handshake_rate;
        config.max_handshakes_per_second_per_ip = self.handshake_rate_per_ip;
        config.handshake_burst_per_ip = self.handshake_burst_per_ip;
        config.handshake_timeout = self.handshake_timeout;
        config.tls_timeout = self.tls_timeout;
        config.deflate = self.compression.then(DeflateConfig::server);
        let connection = &mut config.connection;
        connection.limits.max_message_bytes = self.max_message_bytes;
        connection.limits.max_fragments = self.max_fragments;
        connection.limits.max_idle_frames = self.max_idle_frames;
        connection.outbox_bytes = self.outbox_bytes;
        connection.write_timeout = self.write_timeout;
        connection.close_timeout = self.close_timeout;
        connection.keepalive =
            Some(KeepaliveConfig { interval: self.ping_interval, timeout: self.ping_timeout });
        config
    }
}
