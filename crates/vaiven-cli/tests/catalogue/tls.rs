//! Certificates, right and wrong, and the runner's side of TLS.

use crate::peer::Peer;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use vaiven::client::TlsConfig;

/// The authority that the client under test may be told to trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

static SHARED: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).expect("no name is a right list");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key is made");
    let pem = params.self_signed(&key).expect("it signs").pem();
    Authority { issuer: Issuer::new(params, key), pem }
});

impl Authority {
    pub(crate) fn shared() -> &'static Self {
        &SHARED
    }

    /// The settings of a client that trusts this authority alone.
    pub(crate) fn trusted(&self) -> TlsConfig {
        let builder = TlsConfig::builder().without_system_roots();
        builder
            .add_roots_pem(self.pem.as_bytes())
            .and_then(vaiven::client::TlsConfigBuilder::build)
            .expect("it is right")
    }

    fn issue(&self, certificate: &str) -> (Certificate, KeyPair) {
        let name = if certificate == "wrong-name" { "other.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new([name.to_owned()]).expect("the name is right");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if certificate == "expired" { 2021 } else { 4096 }, 1, 1);
        let key = KeyPair::generate().expect("a key is made");
        let signed = match certificate {
            "self-signed" => params.self_signed(&key),
            "right" | "wrong-name" | "expired" => params.signed_by(&key, &self.issuer),
            other => panic!("no such certificate: {other}"),
        };
        (signed.expect("it is signed"), key)
    }
}

/// Files with a certificate and its key, for a server under test.
pub(crate) fn files() -> &'static (PathBuf, PathBuf) {
    static FILES: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (chain, key) = Authority::shared().issue("right");
        let files = (folder.join("catalogue-cert.pem"), folder.join("catalogue-key.pem"));
        std::fs::write(&files.0, chain.pem()).expect("it is written");
        std::fs::write(&files.1, key.serialize_pem()).expect("it is written");
        std::fs::set_permissions(&files.1, PermissionsExt::from_mode(0o600)).expect("it is ours");
        files
    });
    &FILES
}

/// Runs the server's side of TLS on a connection and counts the bytes of plain text that come, up to the first
/// pause or the end. Then it answers.
pub(crate) fn plaintext(peer: &Peer, certificate: &str, answer: &[u8]) -> usize {
    let (chain, key) = Authority::shared().issue(certificate);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("they are known")
        .with_no_client_auth()
        .with_single_cert(vec![chain.der().clone()], key)
        .expect("they belong together");
    let mut connection = ServerConnection::new(Arc::new(config)).expect("it starts");
    let mut stream = peer.stream().try_clone().expect("a socket can be cloned");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("it is no zero");
    let mut tls = Stream::new(&mut connection, &mut stream);
    let mut count = 0;
    let mut chunk = [0; 4096];
    while let Ok(len @ 1..) = tls.read(&mut chunk) {
        count += len;
    }
    if count > 0 {
        // A client that is gone gets no answer.
        let _ = tls.write_all(answer);
        let _ = tls.flush();
    }
    count
}
