//! The examples run, and do what they say.

use crate::raw::{Raw, ask};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// An example that runs, until it is dropped.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an example on a port of the system's choice, and reads from its first line where it listens.
fn start(name: &str) -> (Example, SocketAddr) {
    let arguments =
        ["run", "--quiet", "--package", "vaiven", "--all-features", "--example", name, "--", "127.0.0.1:0"];
    let mut child = Command::new(env!("CARGO")).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let example = Example(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().trim_start_matches("ws://").trim_end_matches("/echo");
    (example, address.parse().unwrap())
}

#[tokio::test]
async fn echo_server_sends_every_message_back() {
    let (_example, address) = start("echo_server");
    Raw::open(address).await.echoes().await;
}

#[tokio::test]
async fn hyper_and_axum_serve_a_page_and_a_websocket_on_one_port() {
    for name in ["hyper", "axum"] {
        let (_example, address) = start(name);
        let page = ask(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(
            page.starts_with("HTTP/1.1 200 ") && page.ends_with("The WebSocket is at /echo.\n"),
            "{page}"
        );
        let mut client = Raw::connect(address).await;
        client.write(crate::raw::REQUEST.replace("GET / ", "GET /echo ").as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        client.echoes().await;
    }
}
