//! A server in a process of its own: what an idle connection costs it, and what it does without files.

use crate::raw::{REQUEST, Raw};
use rustls::pki_types::ServerName;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls};
use vaiven::server::{Server, ServerConfig, TlsConfig};

/// Set in the process that serves: where the certificate is, or `plain`.
const ROLE: &str = "VAIVEN_TEST_SERVER";
/// Connections before the first look, which pay for what all share.
const WARM: usize = 100;
/// Connections between the two looks.
const MEASURED: usize = 380;

/// No test of its own: the server of the test below, which starts it in another process.
#[tokio::test]
async fn idle_server() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut config = ServerConfig::default();
    config.max_connections_per_ip = 10_000;
    config.handshake_burst_per_ip = 10_000;
    config.max_handshakes_per_second = 10_000;
    if role != "plain" {
        let pem = std::fs::read(role).unwrap();
        config.tls = Some(TlsConfig::from_pem(&pem, &pem).unwrap());
    }
    let server = Server::bind("127.0.0.1:0", config).await.unwrap();
    println!("listening {}", server.local_addr().unwrap());
    let handle = server.handle();
    server
        .serve(move |handshake| {
            let handle = handle.clone();
            async move {
                let Ok(mut socket) = handshake.accept().await else { return };
                while let Ok(Some(message)) = socket.recv().await {
                    let answer = match message.as_bytes() {
                        b"errors" => handle.counts().accept_errors.to_string().into(),
                        _ => message,
                    };
                    let _ = socket.send(answer).await;
                }
            }
        })
        .await;
}

struct Idle(Child);

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server with this many files.
fn start(role: &str, files: usize) -> (Idle, SocketAddr) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -n {files} && exec \"$0\" process::idle_server --exact --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let idle = Idle(child);
    let line = stdout.lines().map_while(Result::ok).find(|line| line.contains("listening ")).unwrap();
    let (_, address) = line.split_once("listening ").unwrap();
    (idle, address.parse().unwrap())
}

fn resident_bytes(server: &Idle) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}

/// Opens connections that have talked once, and gives the bytes that each costs.
async fn cost<C, F, S>(server: Idle, connect: C) -> usize
where
    C: Fn() -> F,
    F: Future<Output = Raw<S>>,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut clients = Vec::new();
    let mut looks = Vec::new();
    for number in [WARM, MEASURED] {
        for _ in 0..number {
            let mut client = connect().await;
            client.upgrade().await;
            client.echoes().await;
            clients.push(client);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        looks.push(resident_bytes(&server));
    }
    (looks[1] - looks[0]) / MEASURED
}

#[tokio::test]
async fn an_idle_connection_costs_about_2_kib() {
    let (server, address) = start("plain", 1_000);
    let bytes = cost(server, || Raw::connect(address)).await;
    println!("an idle plain connection costs {bytes} bytes");
    // Resident memory comes in pages, and other things move it too: a quarter for that.
    assert!(bytes <= 2_560, "{bytes}");
}

#[tokio::test]
async fn an_idle_connection_over_tls_costs_at_most_20_kib() {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = std::env::temp_dir().join(format!("vaiven-idle-{}.pem", std::process::id()));
    std::fs::write(&path, identity.cert.pem() + &identity.signing_key.serialize_pem()).unwrap();
    let (server, address) = start(path.to_str().unwrap(), 1_000);
    std::fs::remove_file(&path).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let bytes = cost(server, || async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Raw { stream: connector.connect(name, stream).await.unwrap() }
    })
    .await;
    println!("an idle connection over TLS costs {bytes} bytes");
    assert!(bytes <= 20 << 10, "{bytes}");
}

#[tokio::test]
async fn a_server_without_files_pauses_and_goes_on_when_there_are_some() {
    // Of 40 files some are the process's own: they are gone before its limits of connections and refusals are met.
    let (_server, address) = start("plain", 40);
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(Raw::connect(address).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(silent);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut client = Raw::connect(address).await;
    client.write(REQUEST.as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(1, b"errors").await;
    let (_, errors) = client.recv().await.unwrap();
    let errors: u32 = String::from_utf8(errors).unwrap().parse().unwrap();
    assert!((1..=20).contains(&errors), "one failure for each pause, not a spin: {errors}");
}
