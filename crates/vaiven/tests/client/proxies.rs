//! Proxies that really tunnel: HTTP CONNECT and SOCKS5, each for one connection.

use crate::server::listen;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional,
};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, rustls};

/// An HTTP proxy that sends every tunnel to `way_to`, whatever it is asked for.
pub(crate) struct HttpProxy {
    pub(crate) way_to: SocketAddr,
    /// What it answers; after a 200 it tunnels.
    pub(crate) answer: &'static str,
    /// What it sends in the same write behind the answer, as if the host had spoken at once.
    pub(crate) early: &'static str,
    /// How it wants to be spoken to.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl HttpProxy {
    pub(crate) const OPEN: &'static str = "HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n";

    pub(crate) fn to(way_to: SocketAddr) -> Self {
        Self { way_to, answer: Self::OPEN, early: "", tls: None }
    }

    /// Starts it; gives its address and, when it is done, the head that it was sent.
    pub(crate) async fn start(self) -> (SocketAddr, JoinHandle<String>) {
        let (listener, address) = listen("127.0.0.1").await.unwrap();
        let task = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            match self.tls.clone() {
                None => self.serve(tcp).await,
                Some(config) => match TlsAcceptor::from(config).accept(tcp).await {
                    Ok(tls) => self.serve(tls).await,
                    Err(_) => String::new(),
                },
            }
        });
        (address, task)
    }

    async fn serve(self, client: impl AsyncRead + AsyncWrite + Unpin) -> String {
        let mut client = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if client.read_line(&mut head).await.unwrap() == 0 {
                return head;
            }
        }
        client.write_all(format!("{}{}", self.answer, self.early).as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        if self.answer == Self::OPEN {
            let mut host = TcpStream::connect(self.way_to).await.unwrap();
            let _end = copy_bidirectional(&mut client, &mut host).await;
        } else {
            client.shutdown().await.unwrap();
        }
        head
    }
}

/// A SOCKS5 proxy that sends every tunnel to `way_to`, whatever it is asked for.
pub(crate) struct SocksProxy {
    pub(crate) way_to: SocketAddr,
    /// The user name and password that it wants; `None` for none.
    pub(crate) password: Option<(&'static str, &'static str)>,
}

/// What a SOCKS5 proxy was asked for: the kind of address, the address, the port.
pub(crate) type SocksRequest = (u8, Vec<u8>, u16);

impl SocksProxy {
    /// Starts it; gives its address and, when it is done, what it was asked for, if the client got so far.
    pub(crate) async fn start(self) -> (SocketAddr, JoinHandle<Option<SocksRequest>>) {
        let (listener, address) = listen("127.0.0.1").await.unwrap();
        let task = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            self.serve(&mut client).await
        });
        (address, task)
    }

    async fn serve(self, client: &mut TcpStream) -> Option<SocksRequest> {
        assert_eq!(client.read_u8().await.unwrap(), 5);
        let methods = read_part(client).await;
        let method = if self.password.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xff]).await.unwrap();
            return None;
        }
        client.write_all(&[5, method]).await.unwrap();
        if let Some((user, password)) = self.password {
            assert_eq!(client.read_u8().await.unwrap(), 1);
            let given = (read_part(client).await, read_part(client).await);
            let fits = given == (user.into(), password.into());
            client.write_all(&[1, u8::from(!fits)]).await.unwrap();
            if !fits {
                return None;
            }
        }
        let mut head = [0; 4];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..3], [5, 1, 0]);
        let mut host = vec![0; if head[3] == 4 { 16 } else { 4 }];
        if head[3] == 3 {
            host = read_part(client).await;
        } else {
            client.read_exact(&mut host).await.unwrap();
        }
        let port = client.read_u16().await.unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let mut way = TcpStream::connect(self.way_to).await.unwrap();
        let _end = copy_bidirectional(client, &mut way).await;
        Some((head[3], host, port))
    }
}

async fn read_part(client: &mut TcpStream) -> Vec<u8> {
    let mut part = vec![0; client.read_u8().await.unwrap().into()];
    client.read_exact(&mut part).await.unwrap();
    part
}
