//! What a server asks of the opening handshake, gives its connections, and bears at all.

#[cfg(feature = "tls")]
use super::TlsConfig;
use super::TrustedProxies;
use crate::{Config, DeflateConfig, Role};
use std::net::IpAddr;
use std::time::Duration;
use vaiven_proto::handshake::{HeadLimits, HostPolicy, OriginPolicy, Refusal, Scheme};

/// Settings of a server.
///
/// ```
/// use vaiven::server::{OriginPolicy, ServerConfig};
/// let mut config = ServerConfig::default();
/// config.origins = OriginPolicy::same_origin().allow("https://app.example".parse()?);
/// config.subprotocols = vec!["chat.v1".to_owned()];
/// config.max_connections = 500;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Limits and timers of each connection.
    pub connection: Config,
    /// How long the opening handshake may take in all, TLS included. 10 s: a phone on a bad network needs a few.
    pub handshake_timeout: Duration,
    /// How long the TLS handshake may take. 5 s, as half of the whole.
    pub tls_timeout: Duration,
    /// Bytes, fields and line length of a request.
    pub head_limits: HeadLimits,
    /// By which names the server may be reached. `None`, the default, is [`HostPolicy::loopback`] where a
    /// [`Server`](super::Server) listens on a loopback address without TLS: else a foreign page could let its own name
    /// lead to this machine (DNS rebinding), and would be of the same origin. Elsewhere it is every name: under TLS
    /// the browser has checked the name, and what other names a server on a network has is not known.
    pub allowed_hosts: Option<HostPolicy>,
    /// Which pages may connect. The same origin only, so that no foreign page talks in its visitors' names; a
    /// client that is no browser sends no Origin and is taken.
    pub origins: OriginPolicy,
    /// The subprotocols that the server speaks. None.
    pub subprotocols: Vec<String>,
    /// permessage-deflate; `None`, the default, declines every offer, since compression costs memory and time and
    /// mixing secrets with foreign text under it leaks them.
    pub deflate: Option<DeflateConfig>,
    /// TLS, and the certificate to show; `None`, the default, speaks in the clear.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsConfig>,
    /// Connections at a time, handshakes included. 10,000, and never more than the process may open files, less
    /// the 512 that are left for everything else. More are refused with 503.
    pub max_connections: usize,
    /// Connections of one IP address at a time; of IPv6 the first 64 bits count. 256: a large office behind one
    /// address fits. More are refused with 429.
    pub max_connections_per_ip: u32,
    /// Handshakes per second of all clients together, with a burst of one second's worth. 1,000: what a core or
    /// two do with TLS, so that those who are connected do not starve while everyone comes back at once. More are
    /// refused with 503; under TLS, where that would take a handshake, they are closed without a word.
    pub max_handshakes_per_second: u32,
    /// Handshakes per second of one IP address. 20, after a burst. More are refused with 429; under TLS they are closed
    /// without a word. Behind a trusted proxy the client is known only by its request, which comes behind TLS.
    pub max_handshakes_per_second_per_ip: u32,
    /// Handshakes that one IP address may begin at once. 100: an office after a power cut.
    pub handshake_burst_per_ip: u32,
    /// Refused clients that are told so at the same time. 256, which stays within the spare files; beyond it a
    /// connection is closed without a word.
    pub max_refusals: usize,
    /// The longest `Retry-After` of a refusal for load. 10 s: at the default rate 10,000 clients that come together are
    /// in by then. Whoever exceeds a rate is told when there is a place for it; where there is none before this time,
    /// and for what does not end at a known time, it is a random one up to it, so that not all come back together.
    pub retry_after: Duration,
    /// Proxies whose word about the client's address counts. None: anybody can send `X-Forwarded-For`.
    pub trusted_proxies: TrustedProxies,
    /// Connections that the system keeps until they are accepted. 4,096, the most that Linux gives unless it is told
    /// otherwise: what finds no room there is not refused but left to try again after 1, 3, 7 and 15 seconds, which is
    /// how long a server would be away for those who come back together.
    pub backlog: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connection: Config::new(Role::Server),
            handshake_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(5),
            head_limits: HeadLimits::default(),
            allowed_hosts: None,
            origins: OriginPolicy::same_origin().allow_absent(),
            subprotocols: Vec::new(),
            deflate: None,
            #[cfg(feature = "tls")]
            tls: None,
            max_connections: 10_000,
            max_connections_per_ip: 256,
            max_handshakes_per_second: 1_000,
            max_handshakes_per_second_per_ip: 20,
            handshake_burst_per_ip: 100,
            max_refusals: 256,
            retry_after: Duration::from_secs(10),
            trusted_proxies: TrustedProxies::none(),
            backlog: 4_096,
        }
    }
}

/// Files that are left for everything but connections: stores, logs, refusals, the runtime.
const SPARE_FILES: usize = 512;

impl ServerConfig {
    /// Judges the `Host` of a request, as that of every opening handshake is judged: for requests of another protocol
    /// on the same port. `listener` is the address that the server listens on, where it is known.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with, where [`allowed_hosts`](Self::allowed_hosts) does not allow the name.
    pub fn check_host(&self, host: &str, scheme: Scheme, listener: Option<IpAddr>) -> Result<(), Refusal> {
        let judged = match &self.allowed_hosts {
            Some(policy) => policy.check(host),
            None if scheme != Scheme::Https && listener.is_some_and(|ip| ip.to_canonical().is_loopback()) => {
                HostPolicy::loopback().check(host)
            }
            None => Ok(()),
        };
        judged.map_err(|refusal| Refusal::host_not_allowed(&refusal))
    }

    /// `max_connections`, lowered to what the process may open.
    pub(super) fn affordable_connections(&self) -> usize {
        // A system that allows fewer than the spare ones leaves half of them for connections.
        let files =
            open_files_limit().map_or(usize::MAX, |files| files.saturating_sub(SPARE_FILES).max(files / 2));
        self.max_connections.min(files)
    }

    /// Whether clients speak TLS.
    pub(super) fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// `retry_after` in whole seconds, from one on.
    pub(super) fn longest_retry_after(&self) -> u32 {
        u32::try_from(self.retry_after.as_secs()).unwrap_or(u32::MAX).max(1)
    }

    /// Whole seconds, random, for `Retry-After`.
    pub(super) fn random_retry_after(&self) -> u32 {
        rand::random_range(1..=self.longest_retry_after())
    }
}

/// How many files the process may have open; `None` where there is no such limit.
fn open_files_limit() -> Option<usize> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
        Some(usize::try_from(limit).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    None
}
