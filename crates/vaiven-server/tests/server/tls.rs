//! The same over TLS.

use crate::support::{TestServer, next, patiently};
use bytes::BytesMut;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::{TlsConnector, rustls};
use vaiven::{Config, Role, Transport, WebSocket};

/// A server with a certificate of its own, and a way to it.
struct Secure {
    server: TestServer,
    connector: TlsConnector,
    folder: PathBuf,
    /// The certificate that it began with.
    made: Vec<u8>,
}

impl Secure {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = std::env::temp_dir().join(format!(
            "vaiven-tls-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let server = TestServer::with(|settings| {
            settings.tls_cert = Some(cert);
            settings.tls_key = Some(key);
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let made = made.cert.der().to_vec();
        Self { server, connector: TlsConnector::from(Arc::new(config)), folder, made }
    }

    /// Sends a request; the stream, and the head of the answer.
    async fn ask(&self, request: &str) -> (TlsStream<TcpStream>, String) {
        let tcp = TcpStream::connect(self.server.address).await.unwrap();
        let mut stream = self.connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(patiently(stream.read_u8()).await.unwrap());
        }
        (stream, String::from_utf8(head).unwrap())
    }

    /// What the server shows to a client that takes anything.
    async fn certificate(&self) -> Vec<u8> {
        let stream = shake_hands(self.server.address).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// Waits until the metrics have a line.
    async fn becomes(&self, line: &str) {
        patiently(async {
            loop {
                let (mut stream, head) =
                    self.ask(&self.server.get("/metrics", "Connection: close\r\n")).await;
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                let mut text = String::new();
                // A peer that closes without a word of TLS has said all the same.
                let _ = stream.read_to_string(&mut text).await;
                if text.lines().any(|known| known == line) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn connect(&self, path: &str) -> WebSocket {
        let origin = format!("Origin: https://{}\r\n", self.server.address);
        let (stream, head) = self.ask(&self.server.upgrade(path, &origin)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let config = Config::new(Role::Client);
        WebSocket::from_transport(Transport::other(stream), Role::Client, BytesMut::new(), None, &config)
    }
}

/// The TLS handshake of a client that takes any certificate.
async fn shake_hands(address: SocketAddr) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(TakesAnything));
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let tcp = TcpStream::connect(address).await.unwrap();
    connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap()
}

/// Trusts every certificate, to look at it.
#[derive(Debug)]
struct TakesAnything;

impl ServerCertVerifier for TakesAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_renewed_certificate_counts_from_then_on_and_a_bad_one_does_not() {
    let secure = Secure::start().await;
    let mut before = secure.connect("/echo").await;
    // Fault 12: who comes meanwhile is let in at every moment, whichever certificate is shown.
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let (address, request) = (
        secure.server.address,
        secure.server.upgrade("/echo", &format!("Origin: https://{}\r\n", secure.server.address)),
    );
    let coming = tokio::spawn(async move {
        let mut count = 0;
        while is_over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let mut stream = shake_hands(address).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut status = [0; 13];
            patiently(stream.read_exact(&mut status)).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 101 ");
            count += 1;
            // As fast as the server takes everybody: more would be dropped, certificate or not.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        count
    });
    // One that nobody can show: the old one stays, and the failure is counted.
    let (cert, key) = (secure.folder.join("cert.pem"), secure.folder.join("key.pem"));
    let good = std::fs::read(&cert).unwrap();
    std::fs::write(&cert, "no certificate").unwrap();
    secure.becomes("vaiven_reload_failures_total 1").await;
    assert_eq!(secure.certificate().await, secure.made);
    // Written one by one, as programs do that renew them.
    let renewed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, renewed.signing_key.serialize_pem()).unwrap();
    std::fs::write(&cert, renewed.cert.pem()).unwrap();
    let expected = renewed.cert.der().to_vec();
    patiently(async {
        while secure.certificate().await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_ne!(good, std::fs::read(&cert).unwrap());
    before.send("still connected").await.unwrap();
    assert_eq!(next(&mut before).await, "still connected".into());
    over.send(()).unwrap();
    assert!(coming.await.expect("nobody was turned away") > 3);
}

#[tokio::test]
async fn rooms_and_pages_work_over_tls() {
    let secure = Secure::start().await;
    let (mut ana, mut luis) = (secure.connect("/c/sala").await, secure.connect("/c/sala").await);
    // His own words coming back say that Luis is in the room.
    luis.send("hola").await.unwrap();
    assert_eq!(next(&mut luis).await, "hola".into());
    ana.send("adiós").await.unwrap();
    assert_eq!(next(&mut luis).await, "adiós".into());

    let (_, head) = secure.ask(&secure.server.get("/", "")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    // A page without TLS on the same host is another origin.
    let foreign = format!("Origin: http://{}\r\n", secure.server.address);
    let (_, head) = secure.ask(&secure.server.upgrade("/echo", &foreign)).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[tokio::test]
async fn browsers_are_held_to_tls_at_public_names_only() {
    let secure = Secure::start().await;
    for (host, is_held) in [
        ("chat.example", true),
        ("chat.example:8443", true),
        ("localhost.example", true),
        ("notlocalhost", true),
        ("localhost", false),
        ("LOCALHOST:8443", false),
        ("localhost.", false),
        ("chat.localhost:8443", false),
        ("127.0.0.1", false),
        ("203.0.113.9:8443", false),
        ("[::1]:8443", false),
        ("[2001:db8::1]", false),
    ] {
        let (_, head) = secure.ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{host}: {head}");
        let says = head.contains("strict-transport-security: max-age=31536000\r\n");
        assert_eq!(says, is_held, "{host}: {head}");
    }
}
