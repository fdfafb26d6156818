//! TLS for `wss://`: a certificate's chain and its key in PEM to what new connections are shown, and anew at run time.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, io};
use tokio_rustls::TlsAcceptor;

/// HTTP/1.1 carries the opening handshake; nothing else is offered.
const ALPN: &[u8] = b"http/1.1";

/// Which certificate to show, and whether to ask clients for one: TLS 1.2 and 1.3 with the defaults of rustls.
///
/// Clones share it, so a [`reload`](Self::reload) of one is seen by the server that has another.
///
/// ```no_run
/// use vaiven::server::{ServerConfig, TlsConfig};
/// let tls = TlsConfig::from_pem_files("chain.pem", "key.pem")?;
/// let mut config = ServerConfig::default();
/// config.tls = Some(tls.clone());
/// // Later, when the files were renewed:
/// if let Err(error) = tls.reload() {
///     eprintln!("the certificate stays as it is: {error}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TlsConfig {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    clients: Clients,
    current: RwLock<Arc<ServerConfig>>,
}

/// Where the certificate comes from.
#[derive(Clone)]
enum Source {
    Files { chain: PathBuf, key: PathBuf },
    Bytes { chain: Vec<u8>, key: Arc<PrivateKeyDer<'static>> },
}

/// What clients have to show.
#[derive(Clone, Default)]
struct Clients {
    authority: Option<(String, Vec<u8>)>,
    may_be_anonymous: bool,
}

impl TlsConfig {
    /// Reads the chain, own certificate first, and its private key (PKCS #8, PKCS #1 or SEC1) from files in PEM. It
    /// may be the same file twice.
    ///
    /// # Errors
    /// [`TlsError`], which says which file and what is wrong with it.
    pub fn from_pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::builder_from_pem_files(chain, key).build()
    }

    /// As [`from_pem_files`](Self::from_pem_files), from text in memory.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::builder_from_pem(chain, key)?.build()
    }

    /// As [`from_pem_files`](Self::from_pem_files), with more to say.
    pub fn builder_from_pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> TlsConfigBuilder {
        let source = Source::Files { chain: chain.into(), key: key.into() };
        TlsConfigBuilder { source, clients: Clients::default() }
    }

    /// As [`from_pem`](Self::from_pem), with more to say.
    ///
    /// # Errors
    /// [`TlsError`] where there is no key.
    pub fn builder_from_pem(chain: &[u8], key: &[u8]) -> Result<TlsConfigBuilder, TlsError> {
        let key = Arc::new(parse_key(key, "the private key")?);
        let source = Source::Bytes { chain: chain.to_vec(), key };
        Ok(TlsConfigBuilder { source, clients: Clients::default() })
    }

    /// Reads the files again: connections from here on are shown what is in them now, those that are open are left
    /// alone. What was given in memory stays as it is. Reads files, so call it where blocking is allowed.
    ///
    /// # Errors
    /// [`TlsError`]: what was shown before is shown on.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.replace(build(&self.inner.source, &self.inner.clients)?);
        Ok(())
    }

    /// Shows another certificate from here on, from text in memory.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    pub fn reload_from_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let key = Arc::new(parse_key(key, "the private key")?);
        self.replace(build(&Source::Bytes { chain: chain.to_vec(), key }, &self.inner.clients)?);
        Ok(())
    }

    fn replace(&self, config: Arc<ServerConfig>) {
        *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.inner.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TlsConfig");
        if let Source::Files { chain, key } = &self.inner.source {
            debug.field("chain", chain).field("key", key);
        }
        debug.field("client_authority", &self.inner.clients.authority.is_some()).finish_non_exhaustive()
    }
}

/// Makes a [`TlsConfig`].
#[must_use = "a builder does nothing until `build`"]
pub struct TlsConfigBuilder {
    source: Source,
    clients: Clients,
}

impl TlsConfigBuilder {
    /// Asks clients for a certificate that leads to one of these roots, in PEM. A client without one is refused in
    /// the TLS handshake.
    pub fn require_client_certificate(mut self, roots_pem: &[u8]) -> Self {
        self.clients.authority = Some(("the roots for client certificates".to_owned(), roots_pem.to_vec()));
        self
    }

    /// As [`require_client_certificate`](Self::require_client_certificate), with the roots in a file. The file is
    /// read once; a reload does not read it again.
    ///
    /// # Errors
    /// [`TlsError::Read`].
    pub fn require_client_certificate_file(mut self, roots: impl AsRef<Path>) -> Result<Self, TlsError> {
        let roots = roots.as_ref();
        self.clients.authority = Some((roots.display().to_string(), read(roots)?));
        Ok(self)
    }

    /// Lets clients in that show no certificate; one that is shown must be right all the same.
    pub fn allow_anonymous_clients(mut self) -> Self {
        self.clients.may_be_anonymous = true;
        self
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn build(self) -> Result<TlsConfig, TlsError> {
        let current = RwLock::new(build(&self.source, &self.clients)?);
        Ok(TlsConfig { inner: Arc::new(Inner { source: self.source, clients: self.clients, current }) })
    }
}

impl fmt::Debug for TlsConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfigBuilder").finish_non_exhaustive()
    }
}

fn build(source: &Source, clients: &Clients) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, chain_place, key, key_place) = match source {
        Source::Files { chain, key } => {
            let (chain_place, key_place) = (chain.display().to_string(), key.display().to_string());
            let parsed = parse_certificates(&read(chain)?, &chain_place)?;
            (parsed, chain_place, parse_key(&read(key)?, &key_place)?, key_place)
        }
        Source::Bytes { chain, key } => {
            let (chain_place, key_place) = ("the certificate chain".to_owned(), "the private key".to_owned());
            (parse_certificates(chain, &chain_place)?, chain_place, key.clone_key(), key_place)
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    let builder = match &clients.authority {
        None => builder.with_no_client_auth(),
        Some((place, pem)) => {
            let unusable = |reason: String| TlsError::Unusable { place: place.clone(), reason };
            let mut roots = RootCertStore::empty();
            for root in parse_certificates(pem, place)? {
                roots.add(root).map_err(|error| unusable(error.to_string()))?;
            }
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            if clients.may_be_anonymous {
                verifier = verifier.allow_unauthenticated();
            }
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { chain: chain_place.clone(), key: key_place.clone() }
        }
        rustls::Error::General(reason) => TlsError::Unusable { place: key_place.clone(), reason },
        error => TlsError::Unusable { place: chain_place.clone(), reason: error.to_string() },
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Resumption without memory: what a session needs is in the client's ticket, sealed. One ticket serves a client
    // that opens one connection at a time.
    if let Ok(ticketer) = rustls::crypto::ring::Ticketer::new() {
        config.ticketer = ticketer;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    }
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn parse_certificates(pem: &[u8], place: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(TlsError::NoCertificate { place: place.to_owned() }),
        Err(error) => Err(TlsError::Unusable { place: place.to_owned(), reason: error.to_string() }),
    }
}

fn parse_key(pem: &[u8], place: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let is_encrypted = pem.windows(9).any(|window| window == b"ENCRYPTED");
        TlsError::NoKey { place: place.to_owned(), is_encrypted }
    })
}

/// Why a certificate cannot be shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no certificate in PEM.
    #[non_exhaustive]
    NoCertificate {
        /// The file, or what was given in memory.
        place: String,
    },
    /// There is no private key in PEM that can be read.
    #[non_exhaustive]
    NoKey {
        /// The file, or what was given in memory.
        place: String,
        /// There is one, but it is encrypted.
        is_encrypted: bool,
    },
    /// The key is another certificate's.
    #[non_exhaustive]
    Mismatch {
        /// Where the certificate is.
        chain: String,
        /// Where the key is.
        key: String,
    },
    /// What is there cannot be used.
    #[non_exhaustive]
    Unusable {
        /// The file, or what was given in memory.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "{} cannot be read: {source}", path.display()),
            Self::NoCertificate { place } => {
                write!(f, "{place} holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")
            }
            Self::NoKey { place, is_encrypted: true } => {
                write!(f, "{place} holds an encrypted key; decrypt it first, as with openssl pkey")
            }
            Self::NoKey { place, .. } => {
                write!(f, "{place} holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")
            }
            Self::Mismatch { chain, key } => write!(
                f,
                "the key in {key} is not that of the first certificate in {chain}; the server's own certificate \
                 comes first, those in between behind it"
            ),
            Self::Unusable { place, reason } => write!(f, "{place} cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Read { source, .. } = self { Some(source) } else { None }
    }
}
