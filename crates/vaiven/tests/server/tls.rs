//! The server behind TLS, with certificates made here.

use crate::raw::{REQUEST, Raw, echo, request_with, soon, start};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};
use vaiven::server::{ServerConfig, TlsConfig, TlsError};

fn identity() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn config(identity: &CertifiedKey<KeyPair>) -> TlsConfig {
    TlsConfig::from_pem(identity.cert.pem().as_bytes(), identity.signing_key.serialize_pem().as_bytes())
        .unwrap()
}

fn client(trusted: &CertificateDer<'static>) -> Arc<ClientConfig> {
    Arc::new(client_builder(trusted).with_no_client_auth())
}

fn client_builder(
    trusted: &CertificateDer<'static>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    Ok(Raw { stream })
}

#[tokio::test]
async fn a_client_talks_over_tls() {
    let identity = identity();
    let tls = config(&identity);
    let server = start(|config| config.tls = Some(tls), echo).await;
    let mut config = Arc::unwrap_or_clone(client(identity.cert.der()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = connect(server.address, &Arc::new(config)).await.unwrap();
    assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    client.upgrade().await;
    client.echoes().await;
    client.send(8, &1000_u16.to_be_bytes()).await;
    assert_eq!(client.close_code().await, 1000);
    assert_eq!(client.recv().await, None);
    soon(|| server.handle.counts().connections == 0).await;
}

#[tokio::test]
async fn the_scheme_of_the_origin_is_that_of_the_connection() {
    let identity = identity();
    let tls = config(&identity);
    let secure = start(|config| config.tls = Some(tls), echo).await;
    let plain = start(|_| {}, echo).await;
    for (origin, over_tls, in_the_clear) in
        [("https://localhost", "101", "403"), ("http://localhost", "403", "101"), ("null", "403", "403")]
    {
        let request = request_with(&format!("Origin: {origin}"));
        let mut client = connect(secure.address, &client(identity.cert.der())).await.unwrap();
        client.write(request.as_bytes()).await;
        assert_eq!(client.head().await[9..12], *over_tls, "{origin}");
        assert_eq!(crate::raw::status(plain.address, &request).await, in_the_clear, "{origin}");
    }
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_is_closed() {
    let tls = config(&identity());
    let adapt = |config: &mut ServerConfig| {
        config.tls = Some(tls);
        config.tls_timeout = Duration::from_millis(500);
    };
    let server = start(adapt, echo).await;
    let mut client = Raw::connect(server.address).await;
    // The beginning of a ClientHello.
    client.write(&[22, 3, 1, 2, 0, 1]).await;
    let begin = Instant::now();
    assert_eq!(client.stream.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
    soon(|| server.handle.counts().connections == 0).await;
    assert_eq!(server.handle.counts().tls_failures, 1);
}

#[tokio::test]
async fn a_plain_request_to_a_tls_port_is_closed_and_counted() {
    let tls = config(&identity());
    let server = start(|config| config.tls = Some(tls), echo).await;
    let mut client = Raw::connect(server.address).await;
    client.write(REQUEST.as_bytes()).await;
    assert!(!client.rest().await.starts_with("HTTP/1.1 101"));
    soon(|| server.handle.counts().tls_failures == 1).await;
}

#[tokio::test]
async fn a_refusal_for_load_is_told_over_tls() {
    let identity = identity();
    let tls = config(&identity);
    let adapt = |config: &mut ServerConfig| {
        config.tls = Some(tls);
        config.max_connections = 0;
    };
    let server = start(adapt, echo).await;
    let mut client = connect(server.address, &client(identity.cert.der())).await.unwrap();
    client.write(REQUEST.as_bytes()).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("vaiven-tls-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[tokio::test]
async fn a_reload_shows_the_new_certificate_and_a_bad_one_keeps_the_old() {
    let directory = directory("reload");
    let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
    let write = |identity: &CertifiedKey<KeyPair>| {
        std::fs::write(&chain, identity.cert.pem()).unwrap();
        std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    };
    let (old, new) = (identity(), identity());
    write(&old);
    let tls = TlsConfig::from_pem_files(&chain, &key).unwrap();
    let shared = tls.clone();
    let server = start(|config| config.tls = Some(shared), echo).await;
    let mut before = connect(server.address, &client(old.cert.der())).await.unwrap();
    before.upgrade().await;

    write(&new);
    tls.reload().unwrap();
    let mut after = connect(server.address, &client(new.cert.der())).await.unwrap();
    after.upgrade().await;
    after.echoes().await;
    assert!(connect(server.address, &client(old.cert.der())).await.is_err());
    before.echoes().await;

    std::fs::write(&key, old.signing_key.serialize_pem()).unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    std::fs::remove_file(&chain).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    connect(server.address, &client(new.cert.der())).await.unwrap().upgrade().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn errors_name_the_file_and_what_is_wrong_with_it() {
    let directory = directory("errors");
    let (one, other) = (identity(), identity());
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (chain, key) =
        (file("chain.pem", &one.cert.pem()), file("key.pem", &one.signing_key.serialize_pem()));
    let wrong = file("wrong.pem", &other.signing_key.serialize_pem());
    let empty = file("empty.pem", "");
    let secret = file(
        "secret.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let broken = file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = directory.join("missing.pem");
    assert!(TlsConfig::from_pem_files(&chain, &key).is_ok());
    for (chain, key, named, text) in [
        (&missing, &key, "missing.pem", "cannot be read"),
        (&chain, &missing, "missing.pem", "cannot be read"),
        (&empty, &key, "empty.pem", "no certificate"),
        (&chain, &empty, "empty.pem", "no private key"),
        (&chain, &secret, "secret.pem", "encrypted"),
        (&chain, &wrong, "wrong.pem", "not that of the first certificate"),
        (&broken, &key, "broken.pem", "cannot be used"),
    ] {
        let message = TlsConfig::from_pem_files(chain, key).unwrap_err().to_string();
        assert!(message.contains(named) && message.contains(text), "{message}");
        assert!(!message.contains("BEGIN ENCRYPTED"), "{message}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_client_certificate_that_is_asked_for_must_be_shown() {
    let identity = identity();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let client_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a client".to_owned()]).unwrap_or_default();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client_certificate = params.signed_by(&client_key, &issuer).unwrap();

    let pem = (identity.cert.pem(), identity.signing_key.serialize_pem());
    let builder = || TlsConfig::builder_from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let asking = || builder().require_client_certificate(authority.pem().as_bytes());
    let (strict, lenient) = (asking().build().unwrap(), asking().allow_anonymous_clients().build().unwrap());
    let strict = start(|config| config.tls = Some(strict), echo).await;
    let lenient = start(|config| config.tls = Some(lenient), echo).await;

    let key = PrivatePkcs8KeyDer::from(client_key.serialize_der());
    let chain = vec![client_certificate.der().clone()];
    let known = client_builder(identity.cert.der()).with_client_auth_cert(chain, key.into()).unwrap();
    for server in [&strict, &lenient] {
        let mut client = connect(server.address, &Arc::new(known.clone())).await.unwrap();
        client.upgrade().await;
        client.echoes().await;
    }
    let anonymous = client(identity.cert.der());
    connect(lenient.address, &anonymous).await.unwrap().upgrade().await;
    // In TLS 1.3 a client hears of it only when it reads.
    if let Ok(mut client) = connect(strict.address, &anonymous).await {
        assert_eq!(client.stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    soon(|| strict.handle.counts().tls_failures == 1).await;
    let error = builder().require_client_certificate(b"").build().unwrap_err();
    assert!(error.to_string().contains("roots for client certificates"), "{error}");
}

#[tokio::test]
async fn whoever_exceeds_the_rate_gets_no_tls_handshake_and_whoever_meets_a_cap_is_told() {
    let identity = identity();
    let (tls, trusting) = (config(&identity), client(identity.cert.der()));
    let begin = |adapt: fn(&mut ServerConfig)| {
        let tls = tls.clone();
        start(
            move |config| {
                config.tls = Some(tls);
                adapt(config);
            },
            echo,
        )
    };
    let by_address = begin(|config| {
        config.max_handshakes_per_second_per_ip = 1;
        config.handshake_burst_per_ip = 1;
    });
    let by_all = begin(|config| config.max_handshakes_per_second = 1);
    for server in [by_address.await, by_all.await] {
        let mut first = connect(server.address, &trusting).await.unwrap();
        assert!(connect(server.address, &trusting).await.is_err());
        let counts = server.handle.counts();
        assert_eq!((counts.dropped, counts.refused, counts.tls_failures), (1, 0, 0));
        first.upgrade().await;
    }
    let server = begin(|config| config.max_connections = 0).await;
    let mut refused = connect(server.address, &trusting).await.unwrap();
    refused.write(REQUEST.as_bytes()).await;
    assert!(refused.rest().await.starts_with("HTTP/1.1 503 "));
}
