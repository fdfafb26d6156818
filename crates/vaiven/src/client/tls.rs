//! TLS for `wss://` and for `https://` proxies: which certificates are trusted, and what a failure means.
//!
//! The other side is always verified, and there is no switch against it: a certificate of a private authority is
//! trusted by naming that authority. Verification is done before the handshake ends, so a wrong certificate costs no
//! byte of the request.
//!
//! The system's roots are read from its store (`SSL_CERT_FILE` and `SSL_CERT_DIR` take precedence) and verified
//! against by webpki, not by the platform's verifier: the same certificate gets the same answer and the same message
//! on every system, and roots of one's own add to the system's in the same way everywhere. The price: what a platform
//! knows beyond its roots, such as revocation lists, is not asked.

use super::connect::Deadline;
use super::error::{DialError, DialPhase};
use crate::Stream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// HTTP/1.1 carries the opening handshake; nothing else is offered.
const ALPN: &[u8] = b"http/1.1";

/// How many of the names in a wrong certificate a message repeats, and how much of each.
const MAX_NAMES_SHOWN: usize = 3;
const MAX_NAME_CHARS_SHOWN: usize = 64;

/// Whom to trust and who to be. Cheap to clone; build it once, as sessions are resumed among the connections of one
/// configuration.
///
/// `TlsConfig::default()` is what the client uses when it is given none: the roots of the system, TLS 1.2 and 1.3,
/// no client certificate.
///
/// ```
/// # fn main() -> Result<(), vaiven::client::DialError> {
/// # let authority = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
/// # let authority_pem = authority.cert.pem();
/// use vaiven::client::TlsConfig;
///
/// let tls = TlsConfig::builder().add_roots_pem(authority_pem.as_bytes())?.without_system_roots().build()?;
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    /// `None` for the default, which is read from the system when it is first needed.
    rustls: Option<Arc<ClientConfig>>,
}

impl TlsConfig {
    /// Begins with the roots of the system and no client certificate.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder { roots: Vec::new(), system_roots: true, identity: None }
    }

    /// A configuration made elsewhere: for another crypto provider, or a verifier of one's own. What it verifies is
    /// what is verified. Its ALPN list is replaced by `http/1.1`.
    #[cfg(feature = "rustls")]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self { rustls: Some(Arc::new(config)) }
    }

    /// The configuration, read from the system first where that is to be done.
    pub(super) async fn ready(&self) -> Result<TlsConnector, DialError> {
        static DEFAULT: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
        if let Some(config) = &self.rustls {
            return Ok(TlsConnector::from(Arc::clone(config)));
        }
        let read = || async {
            // The store is a file, or many, or a service of the system: not for a thread that drives connections.
            let build = tokio::task::spawn_blocking(|| Self::builder().rustls());
            build
                .await
                .map_err(|_| DialError::invalid_config("reading the system's root certificates failed"))?
        };
        DEFAULT.get_or_try_init(read).await.map(|config| TlsConnector::from(Arc::clone(config)))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.rustls.is_some() { "custom" } else { "default" };
        f.debug_tuple("TlsConfig").field(&format_args!("{kind}")).finish()
    }
}

/// Makes a [`TlsConfig`].
#[must_use = "a builder does nothing until `build`"]
pub struct TlsConfigBuilder {
    roots: Vec<CertificateDer<'static>>,
    system_roots: bool,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl TlsConfigBuilder {
    /// Trusts the certificates in this PEM text as roots: an authority's, or a server's own.
    ///
    /// # Errors
    /// [`DialError::InvalidConfig`] where the text holds no certificate.
    pub fn add_roots_pem(mut self, pem: &[u8]) -> Result<Self, DialError> {
        self.roots.extend(certificates(pem, "the roots")?);
        Ok(self)
    }

    /// Trusts this certificate, in DER, as a root. Whether it is one is found out by [`build`](Self::build).
    pub fn add_root_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(CertificateDer::from(der.into()));
        self
    }

    /// Trusts the added roots only.
    pub fn without_system_roots(mut self) -> Self {
        self.system_roots = false;
        self
    }

    /// Shows this certificate to servers that ask for one: its chain, own certificate first, and its private key
    /// (PKCS #8, PKCS #1 or SEC1), both in PEM. They may be in the same text.
    ///
    /// # Errors
    /// [`DialError::InvalidConfig`] where either is missing or unreadable.
    pub fn client_certificate_pem(mut self, chain: &[u8], key: &[u8]) -> Result<Self, DialError> {
        let chain = certificates(chain, "the client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            DialError::invalid_config(
                "the client certificate's key is no private key in PEM (`-----BEGIN PRIVATE KEY-----`); \
                 decrypt it first if it is encrypted",
            )
        })?;
        self.identity = Some((chain, key));
        Ok(self)
    }

    /// Reads the system's roots, from files as a rule, and checks what was added.
    ///
    /// # Errors
    /// [`DialError::InvalidConfig`] where no root is left to trust, an added one is no certificate, or the client
    /// certificate and its key do not fit each other.
    pub fn build(self) -> Result<TlsConfig, DialError> {
        Ok(TlsConfig { rustls: Some(self.rustls()?) })
    }

    fn rustls(self) -> Result<Arc<ClientConfig>, DialError> {
        let mut store = RootCertStore::empty();
        for root in self.roots {
            store.add(root).map_err(|error| {
                DialError::invalid_config(format!("an added root is no certificate: {error}"))
            })?;
        }
        if self.system_roots {
            // A store may hold roots that webpki cannot read; the others count.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if store.is_empty() {
            return Err(DialError::invalid_config(
                "no root certificates to trust; install the system's (the package `ca-certificates`), \
                 set SSL_CERT_FILE, or add roots of your own",
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of TLS 1.2 and 1.3")
            .with_root_certificates(store);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                DialError::invalid_config(format!(
                    "the client certificate and its key cannot be used: {error}"
                ))
            })?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder")
            .field("roots", &self.roots.len())
            .field("system_roots", &self.system_roots)
            .field("client_certificate", &self.identity.is_some())
            .finish()
    }
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(DialError::invalid_config(format!(
            "{whose} hold no readable certificate in PEM (`-----BEGIN CERTIFICATE-----`)"
        ))),
    }
}

/// Runs the TLS handshake as the client of `host`, which its certificate has to prove.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn handshake(
    connector: &TlsConnector,
    (host, ip, port): (&str, Option<IpAddr>, u16),
    io: impl Stream + Unpin,
    deadline: Deadline,
) -> Result<impl Stream, DialError> {
    let authority = super::authority(host, port);
    let name = match ip {
        Some(ip) => ServerName::from(ip),
        None => ServerName::try_from(host.to_owned()).map_err(|_| {
            DialError::invalid_url(format!("`{host}` is no name that a certificate could be issued for"))
        })?,
    };
    let connect =
        async { connector.connect(name, io).await.map_err(|error| failure(authority.clone(), error)) };
    deadline.limit(DialPhase::Tls, &authority, connect).await
}

/// Makes a [`DialError::Tls`] of what a TLS stream reported.
pub(super) fn failure(host: String, source: io::Error) -> DialError {
    let problem = TlsProblem::of(&source).unwrap_or(match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            TlsProblem::Closed
        }
        _ => TlsProblem::Other,
    });
    DialError::Tls { host, problem, source }
}

/// What is wrong with a TLS handshake. Its `Display` says it in a sentence, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The certificate is past its last day.
    Expired,
    /// The certificate's first day is still to come.
    NotYetValid,
    /// The certificate is for other names.
    #[non_exhaustive]
    WrongName {
        /// Some of the names that it is for.
        presented: Vec<String>,
    },
    /// The certificate leads to no trusted root: it is self-signed, or of a private authority, or the server does
    /// not send the certificates in between.
    UnknownIssuer,
    /// The certificate is an authority's, and used as a server's.
    AuthorityAsServer,
    /// The certificate was revoked.
    Revoked,
    /// The certificate is unusable in another way.
    BadCertificate,
    /// The server wants a client certificate, and got none.
    ClientCertificateRequired,
    /// The server does not accept the client certificate.
    ClientCertificateRefused,
    /// Both sides have no version or cipher suite in common.
    NothingInCommon,
    /// What answers on this port is not TLS.
    NotTls,
    /// The connection ended within the handshake.
    Closed,
    /// Something else, which the error's source names.
    Other,
}

impl TlsProblem {
    /// Reads what a TLS stream reported: while dialling, and later from a read. A server that speaks TLS 1.3 refuses
    /// a client certificate only after the client has finished its handshake, so the refusal comes with the first
    /// read. `None` where the error is not TLS's.
    pub fn of(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::NoCertificatesPresented => Self::BadCertificate,
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
                Self::NothingInCommon
            }
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
            _ => Self::Other,
        })
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongName { presented: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                presented: presented.iter().take(MAX_NAMES_SHOWN).map(|name| shown(name)).collect(),
            },
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Revoked => Self::Revoked,
            // webpki's reasons without a variant in rustls are wrapped; this is the one that people meet.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::AuthorityAsServer
            }
            _ => Self::BadCertificate,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Self::ClientCertificateRequired
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Self::ClientCertificateRefused,
            AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol => Self::NothingInCommon,
            _ => Self::Other,
        }
    }

    /// Whether the sentence needs the library's words beside it.
    pub(super) fn is_unspecific(&self) -> bool {
        matches!(self, Self::BadCertificate | Self::NothingInCommon | Self::Closed | Self::Other)
    }
}

/// A name out of a certificate, which the other side chose: visible ASCII, and not much of it.
fn shown(name: &str) -> String {
    let visible = |char: char| if char.is_ascii_graphic() { char } else { '?' };
    name.chars().take(MAX_NAME_CHARS_SHOWN).map(visible).collect()
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its certificate has expired; renew it, and check this machine's clock",
            Self::NotYetValid => "its certificate is not valid yet; check this machine's clock",
            Self::WrongName { presented } if presented.is_empty() => {
                "its certificate is for another name; dial a name that is in it, or have it reissued"
            }
            Self::WrongName { presented } => {
                let names = presented.join(", ");
                return write!(
                    f,
                    "its certificate is for another name ({names}); dial a name that is in it, or have it reissued"
                );
            }
            Self::UnknownIssuer => {
                "its certificate leads to no trusted root: it is self-signed, or of a private authority, or the \
                 server does not send its intermediate certificates; add that root to the TLS configuration"
            }
            Self::AuthorityAsServer => {
                "its certificate is an authority's, not a server's; issue one without the CA flag"
            }
            Self::Revoked => "its certificate was revoked; have a new one issued",
            Self::BadCertificate => "its certificate cannot be used",
            Self::ClientCertificateRequired => {
                "it requires a client certificate; set one in the TLS configuration"
            }
            Self::ClientCertificateRefused => {
                "it does not accept the client certificate; check its issuer and its validity"
            }
            Self::NothingInCommon => "it has no version or cipher suite in common with TLS 1.2 and 1.3 here",
            Self::NotTls => "what answers there does not speak TLS; use ws://, or the port for wss://",
            Self::Closed => "it closed the connection during the handshake",
            Self::Other => "the handshake went wrong",
        })
    }
}
