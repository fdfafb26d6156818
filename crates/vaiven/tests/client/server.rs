//! Servers for one connection that tell what they saw.

use rustls::pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, rustls};

/// What the client of the tests asks for once it is connected, and what it is answered.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

/// What a TLS server saw of its one client.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Why the handshake did not succeed, if so.
    pub(crate) refused: Option<io::Error>,
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) client_certificate: Option<CertificateDer<'static>>,
    /// What came through the encryption: the request and all behind it.
    pub(crate) application_data: Vec<u8>,
}

/// Listens on a port of its own; `None`, with a line that says so, where the machine has no such address.
pub(crate) async fn listen(ip: &str) -> Option<(TcpListener, SocketAddr)> {
    match TcpListener::bind((ip, 0)).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap();
            Some((listener, address))
        }
        Err(error) => {
            assert_eq!(ip, "::1", "only IPv6 may be absent: {error}");
            eprintln!("skipped: this machine has no [::1] ({error})");
            None
        }
    }
}

/// Starts a server for one TLS connection on 127.0.0.1, which answers the request.
pub(crate) async fn tls_server(config: Arc<rustls::ServerConfig>) -> (SocketAddr, JoinHandle<Seen>) {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    (address, tls_server_on(listener, config))
}

pub(crate) fn tls_server_on(listener: TcpListener, config: Arc<rustls::ServerConfig>) -> JoinHandle<Seen> {
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut seen = Seen::default();
        let mut tls = match TlsAcceptor::from(config).accept(tcp).await {
            Ok(tls) => tls,
            Err(error) => {
                seen.refused = Some(error);
                return seen;
            }
        };
        let connection = tls.get_ref().1;
        seen.server_name = connection.server_name().map(ToOwned::to_owned);
        seen.alpn = connection.alpn_protocol().map(ToOwned::to_owned);
        seen.client_certificate = connection.peer_certificates().map(|chain| chain[0].clone());
        let mut buffer = [0; 1024];
        while seen.application_data != REQUEST {
            match tls.read(&mut buffer).await {
                Ok(count) if count > 0 => seen.application_data.extend_from_slice(&buffer[..count]),
                _ => return seen,
            }
        }
        tls.write_all(ANSWER).await.unwrap();
        tls.shutdown().await.unwrap();
        seen
    })
}

/// Sends the request and reads the answer to its end.
pub(crate) async fn talk(mut stream: vaiven::client::Dialled) -> io::Result<Vec<u8>> {
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut answer = vec![0; ANSWER.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
