//! A URL to a connected stream: by way of a proxy or not, with TLS or not, each step within its limit.

use super::connect::{self, Deadline};
use super::error::{DialError, DialPhase};
use super::proxy::{Kind, Proxy, ProxyProblem};
use super::stream::Dialled;
#[cfg(feature = "tls")]
use super::stream::TlsStream;
#[cfg(feature = "tls")]
use super::tls::{self, TlsConfig};
use super::url::Target;
#[cfg(feature = "tls")]
use crate::progress::Counted;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How to connect.
///
/// ```
/// use std::time::Duration;
/// use vaiven::client::{DialOptions, Proxy};
///
/// let options = DialOptions::default()
///     .connect_timeout(Duration::from_secs(3))
///     .proxy(Proxy::parse("socks5h://127.0.0.1:9050")?);
/// # let _ = options;
/// # Ok::<(), vaiven::client::DialError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DialOptions {
    proxy: ProxyChoice,
    connect_timeout: Duration,
    tls_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: TlsConfig,
}

#[derive(Clone, Debug)]
enum ProxyChoice {
    Environment,
    Direct,
    Via(Proxy),
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            proxy: ProxyChoice::Environment,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            tls_timeout: Self::DEFAULT_TLS_TIMEOUT,
            #[cfg(feature = "tls")]
            tls: TlsConfig::default(),
        }
    }
}

impl DialOptions {
    /// 10 s: room for a lost SYN or two (TCP repeats it after 1 and 3 seconds) and for a slow name service.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// 5 s: room for two round trips through a bad radio link, and the same as the server's limit.
    pub const DEFAULT_TLS_TIMEOUT: Duration = Duration::from_secs(5);

    /// Limits everything from the name lookup to the open TCP connection, with a proxy up to its answer. Default:
    /// [`DEFAULT_CONNECT_TIMEOUT`](Self::DEFAULT_CONNECT_TIMEOUT).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Limits the TLS handshake with the host. Default: [`DEFAULT_TLS_TIMEOUT`](Self::DEFAULT_TLS_TIMEOUT).
    pub fn tls_timeout(mut self, limit: Duration) -> Self {
        self.tls_timeout = limit;
        self
    }

    /// Connects through this proxy, whatever the environment says.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = ProxyChoice::Via(proxy);
        self
    }

    /// Connects through the proxy that the environment names, if any: see [`Proxy::from_env`]. This is the default,
    /// as with other clients: where a proxy is the only way out, nothing has to be said in code.
    pub fn proxy_from_env(mut self) -> Self {
        self.proxy = ProxyChoice::Environment;
        self
    }

    /// Connects directly, whatever the environment says.
    pub fn without_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }

    /// Whom to trust, and who to be, in TLS with the host and with an `https://` proxy. Default: the system's roots.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: TlsConfig) -> Self {
        self.tls = config;
        self
    }

    fn proxy_for(&self, target: &Target) -> Result<Option<Proxy>, DialError> {
        match &self.proxy {
            ProxyChoice::Environment => Proxy::from_env(target),
            ProxyChoice::Direct => Ok(None),
            ProxyChoice::Via(proxy) => Ok(Some(proxy.clone())),
        }
    }
}

/// Connects to the host of a URL, so that the opening handshake can begin.
///
/// Name lookup, TCP to the first of its addresses that answers (Happy Eyeballs, RFC 8305), the tunnel where a proxy is
/// in use, and for `wss` TLS with the host's certificate verified. Not a byte of the request is sent.
///
/// # Errors
/// Every [`DialError`] but [`Redirect`](DialError::Redirect).
///
/// # Cancel safety
/// Dropping the future closes every socket that it opened; nothing is left running but, for a moment, a name lookup
/// on a thread of the runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), vaiven::client::DialError> {
/// use vaiven::client::{DialOptions, Target, dial};
///
/// let target = Target::parse("wss://chat.example/sala")?;
/// let stream = dial(&target, &DialOptions::default()).await?;
/// # let _ = stream;
/// # Ok(())
/// # }
/// ```
pub async fn dial(target: &Target, options: &DialOptions) -> Result<Dialled, DialError> {
    let proxy = options.proxy_for(target)?;
    let needs_tls = target.is_secure() || proxy.as_ref().is_some_and(|proxy| proxy.kind() == Kind::Https);
    let tls = Tls::prepare(options, needs_tls).await?;
    let deadline = Deadline::after(options.connect_timeout);
    let stream = match &proxy {
        None => Dialled::Tcp(connect::connect(target.host(), target.ip(), target.port(), deadline).await?),
        Some(proxy) => tunnel(proxy, target, &tls, deadline).await?,
    };
    if !target.is_secure() {
        return Ok(stream);
    }
    tls.handshake((target.host(), target.ip(), target.port()), stream, Deadline::after(options.tls_timeout))
        .await
}

/// Opens the way through a proxy.
///
/// With `socks5://` the host's addresses are known here, and are tried in turn, each over a connection of its own.
async fn tunnel(proxy: &Proxy, target: &Target, tls: &Tls, deadline: Deadline) -> Result<Dialled, DialError> {
    if proxy.kind() != Kind::Socks5 {
        return tunnel_to(None, proxy, target, tls, deadline).await;
    }
    let lookup = connect::resolve(target.host(), target.ip(), target.port());
    let addresses = deadline.limit(DialPhase::Resolve, &target.authority(), lookup).await?;
    tunnel_to_one_of(&addresses, proxy, target, tls, deadline).await
}

async fn tunnel_to_one_of(
    addresses: &[SocketAddr],
    proxy: &Proxy,
    target: &Target,
    tls: &Tls,
    deadline: Deadline,
) -> Result<Dialled, DialError> {
    let (last, others) = addresses.split_last().expect("a lookup without an address is an error");
    for &address in others {
        match tunnel_to(Some(address), proxy, target, tls, deadline).await {
            Err(DialError::Proxy { problem, .. }) if problem.is_about_the_address() => {}
            settled => return settled,
        }
    }
    tunnel_to(Some(*last), proxy, target, tls, deadline).await
}

async fn tunnel_to(
    address: Option<SocketAddr>,
    proxy: &Proxy,
    target: &Target,
    tls: &Tls,
    deadline: Deadline,
) -> Result<Dialled, DialError> {
    let reach = async {
        let tcp = Dialled::Tcp(connect::connect(&proxy.host, proxy.ip, proxy.port, deadline).await?);
        if proxy.kind() != Kind::Https {
            return Ok(tcp);
        }
        tls.handshake((&proxy.host, proxy.ip, proxy.port), tcp, deadline).await
    };
    let mut stream =
        reach.await.map_err(|error| proxy.failed(target, ProxyProblem::Unreachable(Box::new(error))))?;
    let ask = proxy.open_tunnel(&mut stream, target, address);
    deadline.limit(DialPhase::Proxy, &proxy.to_string(), ask).await?;
    Ok(stream)
}

/// The means for TLS, made ready before anything is connected: a configuration that cannot work is told first.
struct Tls {
    #[cfg(feature = "tls")]
    connector: Option<tokio_rustls::TlsConnector>,
}

#[cfg(feature = "tls")]
impl Tls {
    async fn prepare(options: &DialOptions, is_needed: bool) -> Result<Self, DialError> {
        let connector = if is_needed { Some(options.tls.ready().await?) } else { None };
        Ok(Self { connector })
    }

    async fn handshake(
        &self,
        host: (&str, Option<IpAddr>, u16),
        stream: Dialled,
        deadline: Deadline,
    ) -> Result<Dialled, DialError> {
        let connector = self.connector.as_ref().expect("TLS was prepared where it is needed");
        let peer_addr =
            stream.peer_addr().map_err(|error| tls::failure(super::authority(host.0, host.2), error))?;
        let stream = match stream {
            Dialled::Tcp(tcp) => {
                let (tcp, progress) = Counted::new(tcp);
                let tls = tls::handshake(connector, host, tcp, deadline).await?;
                TlsStream::new(tls, progress, peer_addr)
            }
            Dialled::Tls(inner) => {
                let progress = inner.progress().clone();
                let tls = tls::handshake(connector, host, Dialled::Tls(inner), deadline).await?;
                TlsStream::new(tls, progress, peer_addr)
            }
        };
        Ok(Dialled::Tls(stream))
    }
}

#[cfg(not(feature = "tls"))]
impl Tls {
    #[expect(clippy::unused_async, reason = "the same shape as with TLS")]
    async fn prepare(_: &DialOptions, is_needed: bool) -> Result<Self, DialError> {
        if is_needed {
            return Err(DialError::invalid_config(
                "this build has no TLS; enable the feature `tls` of vaiven",
            ));
        }
        Ok(Self {})
    }

    #[expect(clippy::unused_async, reason = "the same shape as with TLS")]
    async fn handshake(
        &self,
        _: (&str, Option<IpAddr>, u16),
        stream: Dialled,
        _: Deadline,
    ) -> Result<Dialled, DialError> {
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A SOCKS5 proxy that answers its connections with these reply codes, one each; gives the last byte of each
    /// address that it was asked for.
    async fn proxy_that_answers(replies: &'static [u8]) -> (Proxy, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::parse(&format!("socks5://{}", listener.local_addr().unwrap())).unwrap();
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for &reply in replies {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut hello = [0; 3];
                client.read_exact(&mut hello).await.unwrap();
                client.write_all(&[5, 0]).await.unwrap();
                let mut request = [0; 10];
                client.read_exact(&mut request).await.unwrap();
                asked.push(request[7]);
                client.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            }
            asked
        });
        (proxy, task)
    }

    async fn tunnel_to_three(proxy: &Proxy) -> Result<Dialled, DialError> {
        let addresses = [1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 80)));
        let target = Target::parse("ws://a.example").unwrap();
        let tls = Tls::prepare(&DialOptions::default(), false).await.unwrap();
        let deadline = Deadline::after(Duration::from_secs(10));
        tunnel_to_one_of(&addresses, proxy, &target, &tls, deadline).await
    }

    #[cfg(not(feature = "tls"))]
    #[tokio::test]
    async fn a_build_without_tls_says_which_feature_is_missing() {
        let target = Target::parse("wss://a.example").unwrap();
        let error = dial(&target, &DialOptions::default().without_proxy()).await.unwrap_err();
        assert!(error.to_string().contains("enable the feature `tls`"), "{error}");
    }

    #[tokio::test]
    async fn the_next_address_is_asked_of_the_proxy_when_one_cannot_be_reached() {
        let (proxy, asked) = proxy_that_answers(&[4, 8, 0]).await;
        assert!(tunnel_to_three(&proxy).await.is_ok());
        assert_eq!(asked.await.unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_proxy_whose_rules_forbid_it_is_not_asked_again() {
        let (proxy, asked) = proxy_that_answers(&[2]).await;
        let error = tunnel_to_three(&proxy).await.unwrap_err();
        assert!(error.to_string().contains("its rules do not allow this connection"), "{error}");
        assert_eq!(asked.await.unwrap(), [1]);
    }

    #[tokio::test]
    async fn the_last_refusal_is_reported_when_no_address_can_be_reached() {
        let (proxy, asked) = proxy_that_answers(&[4, 4, 5]).await;
        let error = tunnel_to_three(&proxy).await.unwrap_err();
        assert!(matches!(error, DialError::Proxy { problem: ProxyProblem::Reply(5), .. }), "{error:?}");
        assert_eq!(asked.await.unwrap(), [1, 2, 3]);
    }
}
