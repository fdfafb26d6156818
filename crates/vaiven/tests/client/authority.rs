//! A certificate authority of the tests' own.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_rustls::rustls;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key: KeyPair,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Over,
    ToCome,
}

/// Each has a name of its own: with the same name, another authority's signature would be a forged one.
static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number} of the tests"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(&self, names: &[&str], validity: Validity) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, validity).signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
    }

    /// What a client that trusts this authority only is configured with.
    pub(crate) fn trusted(&self) -> vaiven::client::TlsConfigBuilder {
        vaiven::client::TlsConfig::builder()
            .without_system_roots()
            .add_roots_pem(self.pem.as_bytes())
            .unwrap()
    }

    /// Makes a server that requires a client certificate of this authority.
    pub(crate) fn required_of_clients(
        &self,
        server: &Identity,
        version: Version,
    ) -> Arc<rustls::ServerConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let builder = config(version).with_client_cert_verifier(verifier.build().unwrap());
        Arc::new(builder.with_single_cert(vec![server.certificate.clone()], server.private_key()).unwrap())
    }
}

impl Identity {
    pub(crate) fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, Validity::Now).self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
    }

    /// Self-signed with the CA flag, as `openssl req -x509` makes them.
    pub(crate) fn self_signed_authority(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names, Validity::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Makes a server that shows this certificate.
    pub(crate) fn server(&self) -> Arc<rustls::ServerConfig> {
        let mut server = config(Version::Tls13)
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.private_key())
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(server)
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

fn config(version: Version) -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let version = match version {
        Version::Tls12 => &rustls::version::TLS12,
        Version::Tls13 => &rustls::version::TLS13,
    };
    rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap()
}

fn params(names: &[&str], validity: Validity) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = match validity {
        Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(4096, 1, 1)),
        Validity::Over => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
        Validity::ToCome => (date_time_ymd(4000, 1, 1), date_time_ymd(4096, 1, 1)),
    };
    params
}
