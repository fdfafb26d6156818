//! SIGHUP to a server with a certificate.

use crate::running::{PATIENCE, Running};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

struct Files {
    folder: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("vaiven-reload-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a certificate of its own and its key; what a client that trusts it needs.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("key.pem", &KeyPair::serialize_pem(&signing_key));
        self.write("cert.pem", &cert.pem());
        cert.der().clone()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(Path::new(&path), PermissionsExt::from_mode(0o600)).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A connection over TLS to a server that shows this certificate, or none where it shows another.
struct Secure {
    tls: ClientConnection,
    tcp: TcpStream,
}

impl Secure {
    fn connect(server: &Running, trusted: &CertificateDer<'static>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(&server.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut secure = Self { tls, tcp };
        while secure.tls.is_handshaking() {
            secure.tls.complete_io(&mut secure.tcp).ok()?;
        }
        Some(secure)
    }

    /// The answer to a request, over a connection that stays.
    fn ask(&mut self, path: &str) -> String {
        let mut stream = Stream::new(&mut self.tls, &mut self.tcp);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let len = stream.read(&mut chunk).unwrap();
            assert_ne!(len, 0, "the connection ends");
            answer.extend_from_slice(&chunk[..len]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                return text.into_owned();
            }
        }
    }
}

/// Fault 12 and G8: who is connected stays, a certificate that is right counts at once, and one that is not changes
/// nothing.
#[test]
fn sighup_reads_the_certificate_again_and_keeps_the_old_one_where_the_new_one_is_wrong() {
    let files = Files::new();
    let first = files.renew();
    let mut server =
        Running::start(&["--tls-cert", &files.path("cert.pem"), "--tls-key", &files.path("key.pem")]);
    let mut standing = Secure::connect(&server, &first).expect("the certificate that it began with");
    assert!(standing.ask("/health").starts_with("HTTP/1.1 200 "));
    // The files are what they were, so that nothing but the signal makes it read them.
    server.signal("HUP");
    server.logged("the certificate was read again");

    files.write("cert.pem", "no certificate");
    server.signal("HUP");
    let line = server.logged("the certificate stays as it was");
    assert!(line.contains("ERROR") && line.contains("cert.pem"), "{line}");
    assert!(Secure::connect(&server, &first).is_some(), "the old one is shown");
    let metrics = standing.ask("/metrics");
    let failures = metrics.lines().find_map(|line| line.strip_prefix("vaiven_reload_failures_total "));
    assert!(failures.is_some_and(|failures| failures != "0"), "{metrics}");

    let second = files.renew();
    server.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while Secure::connect(&server, &second).is_none() {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
    }
    assert!(Secure::connect(&server, &first).is_none(), "the old one is shown no more");
    assert!(standing.ask("/health").starts_with("HTTP/1.1 200 "), "who was connected stays");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
