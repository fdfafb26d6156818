//! `wss://`: which certificates are accepted, and that a wrong one costs no byte of the request.

use crate::authority::{Authority, Identity, Validity, Version};
use crate::server::{ANSWER, REQUEST, Seen, listen, talk, tls_server, tls_server_on};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vaiven::client::{DialError, DialOptions, DialPhase, Dialled, Target, TlsConfig, TlsProblem, dial};

fn options(tls: TlsConfig) -> DialOptions {
    DialOptions::default().without_proxy().tls(tls)
}

fn target(host: &str, address: SocketAddr) -> Target {
    Target::parse(&format!("wss://{host}:{}/?t=secret", address.port())).unwrap()
}

/// Dials as a client that sends its request as soon as it is connected.
async fn dial_and_talk(server: Identity, tls: TlsConfig) -> (Result<Vec<u8>, DialError>, Seen) {
    let (address, seen) = tls_server(server.server()).await;
    let answer = match dial(&target("localhost", address), &options(tls)).await {
        Ok(stream) => Ok(talk(stream).await.unwrap()),
        Err(error) => Err(error),
    };
    (answer, seen.await.unwrap())
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted_and_the_request_arrives() {
    let authority = Authority::new();
    let der_only = TlsConfig::builder().without_system_roots().add_root_der(authority.der.to_vec());
    let beside_the_systems = TlsConfig::builder().add_roots_pem(authority.pem.as_bytes()).unwrap();
    for tls in [authority.trusted(), der_only, beside_the_systems] {
        let server = authority.issue(&["localhost"], Validity::Now);
        let (answer, seen) = dial_and_talk(server, tls.build().unwrap()).await;
        assert_eq!(answer.unwrap(), ANSWER);
        assert_eq!(seen.application_data, REQUEST);
        assert_eq!(seen.server_name.as_deref(), Some("localhost"));
        assert_eq!(seen.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(seen.client_certificate, None);
    }
}

#[tokio::test]
async fn a_servers_own_certificate_can_be_trusted_itself() {
    let server = Identity::self_signed(&["localhost"]);
    let tls =
        TlsConfig::builder().without_system_roots().add_roots_pem(server.certificate_pem.as_bytes()).unwrap();
    let (answer, _) = dial_and_talk(server, tls.build().unwrap()).await;
    assert_eq!(answer.unwrap(), ANSWER);
}

/// The server's certificate is refused, the message says why, and the server got nothing to read.
async fn check_refused(server: Identity, tls: TlsConfig, expected: TlsProblem, text: &str) {
    let (answer, seen) = dial_and_talk(server, tls).await;
    let error = answer.unwrap_err();
    assert_eq!(seen.application_data, b"", "no byte of the request may be sent");
    assert!(seen.refused.is_some(), "the server must have been told");
    let message = error.to_string();
    assert!(message.starts_with("TLS with localhost:"), "{message}");
    assert!(message.contains("nothing was sent") && message.contains(text), "{message}");
    assert!(!message.contains("secret"), "{message}");
    assert!(!error.is_transient());
    let DialError::Tls { problem, .. } = error else { panic!("{error:?}") };
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn an_expired_certificate_is_refused_before_a_byte_is_sent() {
    let authority = Authority::new();
    let server = authority.issue(&["localhost"], Validity::Over);
    check_refused(server, authority.trusted().build().unwrap(), TlsProblem::Expired, "has expired").await;
}

#[tokio::test]
async fn a_certificate_of_the_future_is_refused_before_a_byte_is_sent() {
    let authority = Authority::new();
    let server = authority.issue(&["localhost"], Validity::ToCome);
    check_refused(server, authority.trusted().build().unwrap(), TlsProblem::NotYetValid, "not valid yet")
        .await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_before_a_byte_is_sent() {
    let authority = Authority::new();
    let server = authority.issue(&["other.example"], Validity::Now);
    let (answer, seen) = dial_and_talk(server, authority.trusted().build().unwrap()).await;
    assert_eq!(seen.application_data, b"");
    let error = answer.unwrap_err();
    assert!(
        error.to_string().contains("for another name") && error.to_string().contains("other.example"),
        "{error}"
    );
    let DialError::Tls { problem: TlsProblem::WrongName { presented, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(presented.len(), 1);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_before_a_byte_is_sent() {
    let tls = Authority::new().trusted().build().unwrap();
    let server = Identity::self_signed(&["localhost"]);
    check_refused(server, tls, TlsProblem::UnknownIssuer, "self-signed").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_before_a_byte_is_sent() {
    let tls = Authority::new().trusted().build().unwrap();
    let server = Authority::new().issue(&["localhost"], Validity::Now);
    check_refused(server, tls, TlsProblem::UnknownIssuer, "no trusted root").await;
}

#[tokio::test]
async fn a_certificate_of_a_private_authority_is_refused_by_default() {
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        eprintln!("skipped: this machine has no root certificates");
        return;
    }
    let server = Authority::new().issue(&["localhost"], Validity::Now);
    check_refused(server, TlsConfig::default(), TlsProblem::UnknownIssuer, "no trusted root").await;
}

#[tokio::test]
async fn an_authoritys_certificate_is_refused_as_a_servers() {
    let server = Identity::self_signed_authority(&["localhost"]);
    let tls =
        TlsConfig::builder().without_system_roots().add_roots_pem(server.certificate_pem.as_bytes()).unwrap();
    check_refused(server, tls.build().unwrap(), TlsProblem::AuthorityAsServer, "without the CA flag").await;
}

#[tokio::test]
async fn addresses_are_proven_by_certificates_for_addresses() {
    let authority = Authority::new();
    for (ip, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let Some((listener, address)) = listen(ip).await else { continue };
        let seen = tls_server_on(listener, authority.issue(&[ip], Validity::Now).server());
        let tls = authority.trusted().build().unwrap();
        let stream = dial(&target(host, address), &options(tls)).await.unwrap();
        assert_eq!(talk(stream).await.unwrap(), ANSWER);
        assert_eq!(
            seen.await.unwrap().server_name,
            None,
            "an address is no server name (RFC 6066 section 3)"
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    for version in [Version::Tls12, Version::Tls13] {
        let server = authority.issue(&["localhost"], Validity::Now);
        let (address, seen) = tls_server(authority.required_of_clients(&server, version)).await;
        let client = authority.issue(&["ana"], Validity::Now);
        let tls = authority
            .trusted()
            .client_certificate_pem(client.certificate_pem.as_bytes(), client.key.serialize_pem().as_bytes())
            .unwrap();
        let stream = dial(&target("localhost", address), &options(tls.build().unwrap())).await.unwrap();
        assert_eq!(talk(stream).await.unwrap(), ANSWER);
        assert_eq!(seen.await.unwrap().client_certificate, Some(client.certificate));
    }
}

#[tokio::test]
async fn a_required_client_certificate_that_is_missing_is_told_by_name() {
    let authority = Authority::new();
    // In TLS 1.2 the server refuses within the handshake, in TLS 1.3 only after the client has finished it.
    for version in [Version::Tls12, Version::Tls13] {
        let server = authority.issue(&["localhost"], Validity::Now);
        let (address, seen) = tls_server(authority.required_of_clients(&server, version)).await;
        let tls = authority.trusted().build().unwrap();
        let problem = match dial(&target("localhost", address), &options(tls)).await {
            Ok(mut stream) => TlsProblem::of(&stream.read_u8().await.unwrap_err()),
            Err(DialError::Tls { problem, .. }) => Some(problem),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(problem, Some(TlsProblem::ClientCertificateRequired));
        let seen = seen.await.unwrap();
        assert!(seen.refused.is_some() && seen.application_data.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_that_the_server_does_not_trust_is_told_by_name() {
    let authority = Authority::new();
    let server = authority.issue(&["localhost"], Validity::Now);
    let (address, seen) = tls_server(authority.required_of_clients(&server, Version::Tls13)).await;
    let stranger = Identity::self_signed(&["ana"]);
    let (certificate, key) = (stranger.certificate_pem.as_bytes(), stranger.key.serialize_pem());
    let tls =
        authority.trusted().client_certificate_pem(certificate, key.as_bytes()).unwrap().build().unwrap();
    let mut stream = dial(&target("localhost", address), &options(tls)).await.unwrap();
    let problem = TlsProblem::of(&stream.read_u8().await.unwrap_err());
    assert_eq!(problem, Some(TlsProblem::ClientCertificateRefused));
    assert!(seen.await.unwrap().refused.is_some());
}

/// A configuration of rustls is used as it is, but for what it offers to speak.
#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_configuration_of_rustls_verifies_what_it_verifies_and_speaks_http_1() {
    use std::sync::Arc;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, version::TLS13};

    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConfig::from_rustls(Arc::new(config));
    let (answer, seen) = dial_and_talk(authority.issue(&["localhost"], Validity::Now), tls.clone()).await;
    assert_eq!(answer.unwrap(), ANSWER);
    assert_eq!(seen.alpn.as_deref(), Some(&b"http/1.1"[..]));
    let self_signed = Identity::self_signed(&["localhost"]);
    check_refused(self_signed, tls, TlsProblem::UnknownIssuer, "self-signed").await;
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_by_name() {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        let _end = tcp.read_to_end(&mut received).await;
    });
    let tls = Authority::new().trusted().build().unwrap();
    let error = dial(&target("localhost", address), &options(tls)).await.unwrap_err();
    assert!(error.to_string().contains("does not speak TLS; use ws://"), "{error}");
    assert!(matches!(error, DialError::Tls { problem: TlsProblem::NotTls, .. }));
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_up_within_the_handshake_is_worth_another_try() {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_u8().await.unwrap();
    });
    let tls = Authority::new().trusted().build().unwrap();
    let error = dial(&target("localhost", address), &options(tls)).await.unwrap_err();
    assert!(matches!(error, DialError::Tls { problem: TlsProblem::Closed, .. }), "{error:?}");
    assert!(error.is_transient());
    server.await.unwrap();
}

/// A server that never answers; it ends when its client's socket does.
async fn silent_server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    let ended = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        let _end = tcp.read_to_end(&mut received).await;
    });
    (address, ended)
}

#[tokio::test]
async fn a_stalled_handshake_times_out_and_its_socket_is_closed() {
    let (address, ended) = silent_server().await;
    let tls = Authority::new().trusted().build().unwrap();
    let options = options(tls).tls_timeout(Duration::from_millis(50));
    let error = dial(&target("localhost", address), &options).await.unwrap_err();
    assert!(matches!(error, DialError::Timeout { phase: DialPhase::Tls, .. }), "{error:?}");
    assert!(error.to_string().contains("waiting for the TLS handshake"), "{error}");
    ended.await.unwrap();
}

#[tokio::test]
async fn a_dropped_dial_closes_its_half_made_socket() {
    let (address, ended) = silent_server().await;
    let options = options(Authority::new().trusted().build().unwrap());
    let target = target("localhost", address);
    let abandoned = tokio::time::timeout(Duration::from_millis(50), dial(&target, &options)).await;
    assert!(abandoned.is_err());
    ended.await.unwrap();
}

#[tokio::test]
async fn a_stream_over_tls_is_not_handed_out_as_bare_tcp() {
    let authority = Authority::new();
    let (address, _seen) = tls_server(authority.issue(&["localhost"], Validity::Now).server()).await;
    let tls = authority.trusted().build().unwrap();
    let stream = dial(&target("localhost", address), &options(tls)).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    let stream = stream.into_tcp().unwrap_err();
    assert!(matches!(stream, Dialled::Tls(_)));
    let mut boxed = vaiven::Transport::from(stream);
    boxed.write_all(REQUEST).await.unwrap();
    boxed.flush().await.unwrap();
    let mut answer = vec![0; ANSWER.len()];
    boxed.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ANSWER);
}

#[track_caller]
fn check_config<T>(result: Result<T, DialError>, expected: &str) {
    let error = result.err().expect("an unusable configuration");
    assert!(matches!(error, DialError::InvalidConfig { .. }));
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn unusable_configurations_are_refused_with_what_is_wrong() {
    let authority = Authority::new();
    let client = authority.issue(&["ana"], Validity::Now);
    let other = authority.issue(&["ana"], Validity::Now);
    let (certificate, key) = (client.certificate_pem.as_bytes(), client.key.serialize_pem());
    check_config(TlsConfig::builder().add_roots_pem(b"hola"), "no readable certificate");
    check_config(TlsConfig::builder().add_roots_pem(b""), "no readable certificate");
    check_config(TlsConfig::builder().add_root_der(*b"hola").build(), "an added root is no certificate");
    check_config(TlsConfig::builder().without_system_roots().build(), "no root certificates to trust");
    check_config(TlsConfig::builder().client_certificate_pem(b"", key.as_bytes()), "no readable certificate");
    check_config(TlsConfig::builder().client_certificate_pem(certificate, certificate), "no private key");
    let mismatched = authority
        .trusted()
        .client_certificate_pem(certificate, other.key.serialize_pem().as_bytes())
        .unwrap();
    check_config(mismatched.build(), "cannot be used");
}

#[test]
fn no_debug_output_shows_a_key() {
    let authority = Authority::new();
    let client = authority.issue(&["ana"], Validity::Now);
    let pem = [client.certificate_pem.clone(), client.key.serialize_pem()].concat();
    let builder = authority.trusted().client_certificate_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
    let shown = format!("{builder:?}");
    assert_eq!(shown, "TlsConfigBuilder { roots: 1, system_roots: false, client_certificate: true }");
    assert_eq!(format!("{:?}", builder.build().unwrap()), "TlsConfig(custom)");
}
