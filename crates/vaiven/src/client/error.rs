//! Why no connection came about: one variant per thing that a caller would do next.
//!
//! Every message says what happened, to which host, and what to try. None contains credentials, nor the query of
//! the URL, which often carries a token.

use super::proxy::ProxyProblem;
#[cfg(feature = "tls")]
use super::tls::TlsProblem;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Dialling failed. Nothing of the request was sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The URL is not one that a WebSocket can be opened to. Trying again will not help.
    #[non_exhaustive]
    InvalidUrl {
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// An option is unusable: a certificate that is not one, a proxy that cannot be read, a missing feature.
    #[non_exhaustive]
    InvalidConfig {
        /// Which option, and what would be right.
        reason: String,
    },
    /// The host name has no address.
    #[non_exhaustive]
    Resolve {
        /// The host that was looked up.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },
    /// No address of the host accepted a TCP connection.
    #[non_exhaustive]
    Connect {
        /// The host and port that were dialled.
        host: String,
        /// Every address that was tried, in the order of failing.
        attempts: Vec<(SocketAddr, io::Error)>,
    },
    /// A step took longer than its limit.
    #[non_exhaustive]
    Timeout {
        /// The step that was under way.
        phase: DialPhase,
        /// The host and port that were dialled; the proxy where the step concerns it.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The TLS handshake failed: above all, a certificate that does not prove the host's identity.
    #[cfg(feature = "tls")]
    #[non_exhaustive]
    Tls {
        /// The host and port that were dialled; the proxy where its own certificate is meant.
        host: String,
        /// What is wrong, in a form to match on.
        problem: TlsProblem,
        /// What the TLS library reported.
        source: io::Error,
    },
    /// The proxy could not be reached, or did not open the way to the host.
    #[non_exhaustive]
    Proxy {
        /// The proxy, without its credentials.
        proxy: String,
        /// The host and port that it was asked for.
        host: String,
        /// What is wrong, in a form to match on.
        problem: ProxyProblem,
    },
    /// The server redirects, and the redirect was not followed.
    #[non_exhaustive]
    Redirect {
        /// Why not.
        reason: String,
    },
}

/// A step of dialling, for [`DialError::Timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DialPhase {
    /// Looking up the addresses of a host.
    Resolve,
    /// Opening a TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Asking a proxy for the way to the host.
    Proxy,
}

impl DialError {
    pub(super) fn invalid_url(reason: impl Into<String>) -> Self {
        Self::InvalidUrl { reason: reason.into() }
    }

    pub(super) fn invalid_config(reason: impl Into<String>) -> Self {
        Self::InvalidConfig { reason: reason.into() }
    }

    pub(super) fn redirect(reason: impl Into<String>) -> Self {
        Self::Redirect { reason: reason.into() }
    }

    /// Whether the same call may succeed later without a change of URL or options: the name did not resolve, the
    /// host or the proxy could not be reached, or a limit of time was hit.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Timeout { .. } => true,
            Self::Proxy { problem, .. } => problem.is_transient(),
            #[cfg(feature = "tls")]
            Self::Tls { problem, .. } => *problem == TlsProblem::Closed,
            Self::InvalidUrl { .. } | Self::InvalidConfig { .. } | Self::Redirect { .. } => false,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl { reason } => write!(f, "invalid WebSocket url: {reason}"),
            Self::InvalidConfig { reason } => write!(f, "invalid option: {reason}"),
            Self::Resolve { host, source } => write!(
                f,
                "cannot find the address of {host}: {source}; check the spelling and the name service of this network"
            ),
            Self::Connect { host, attempts } => write_attempts(f, host, attempts),
            Self::Timeout { phase, host, after } => write!(
                f,
                "gave up on {host} after {after:?} while {phase}; check that it is reachable, or allow more time"
            ),
            #[cfg(feature = "tls")]
            Self::Tls { host, problem, source } => {
                write!(f, "TLS with {host} failed, nothing was sent: {problem}")?;
                if problem.is_unspecific() { write!(f, " ({source})") } else { Ok(()) }
            }
            Self::Proxy { proxy, host, problem } => {
                write!(f, "proxy {proxy} did not open the way to {host}: {problem}")
            }
            Self::Redirect { reason } => write!(f, "redirect not followed: {reason}"),
        }
    }
}

fn write_attempts(
    f: &mut fmt::Formatter<'_>,
    host: &str,
    attempts: &[(SocketAddr, io::Error)],
) -> fmt::Result {
    write!(f, "cannot connect to {host}")?;
    for (index, (address, error)) in attempts.iter().enumerate() {
        write!(f, "{}{address}: {error}", if index == 0 { " (" } else { ", " })?;
    }
    if !attempts.is_empty() {
        f.write_str(")")?;
    }
    f.write_str("; check that a server listens there and that no firewall is in between")
}

impl fmt::Display for DialPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up its address",
            Self::Connect => "opening a TCP connection",
            Self::Tls => "waiting for the TLS handshake",
            Self::Proxy => "waiting for the proxy's answer",
        })
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve { source, .. } => Some(source),
            #[cfg(feature = "tls")]
            Self::Tls { source, .. } => Some(source),
            Self::Connect { attempts, .. } => {
                attempts.last().map(|(_, error)| error as &(dyn Error + 'static))
            }
            Self::Proxy { problem, .. } => problem.source(),
            _ => None,
        }
    }
}
