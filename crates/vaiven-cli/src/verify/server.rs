//! A server that is started here, and killed on purpose.

use super::options::Starts;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a server may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Open files that a server wants besides its connections.
const SPARE_FILES: usize = 512;
/// Limits that are for strangers, and would stand in the way of thousands of clients of one machine.
const LIFTED: &[&str] = &[
    "--max-connections-per-ip=1000000",
    "--handshake-rate-per-ip=1000000",
    "--handshake-burst-per-ip=1000000",
    "--max-room-members=1000000",
    "--message-rate=1000000",
    "--message-burst=1000000",
    "--log-level=error",
];

/// A server of ours: the program, what it listens on, and where it keeps its data.
#[derive(Debug)]
pub(super) struct Server {
    words: Vec<String>,
    /// The host and port to be connected to.
    address: String,
    child: Child,
    directory: Option<PathBuf>,
}

impl Server {
    /// Starts it, if there is one to be started. `address` is that of the URL; gives the address that it has.
    pub(super) async fn start(starts: &Starts, address: &str) -> Result<Option<(Self, String)>, String> {
        let (words, address, directory) = match starts {
            Starts::Nothing => return Ok(None),
            Starts::Command(words) => (words.clone(), address.to_owned(), None),
            Starts::Own => {
                let address = free_address()?.to_string();
                let directory = std::env::temp_dir().join(format!("vaiven-verify-{}", std::process::id()));
                (own_command(&address, &directory)?, address, Some(directory))
            }
        };
        let child = spawn(&words)?;
        let mut server = Self { words, address: address.clone(), child, directory };
        server.listening().await?;
        Ok(Some((server, address)))
    }

    /// Kills it without a warning, and starts it again.
    pub(super) async fn restart(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("cannot kill the server: {error}"))?;
        self.child = spawn(&self.words)?;
        self.listening().await
    }

    async fn listening(&mut self) -> Result<(), String> {
        let end = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&self.address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server has ended with {status}: {}", self.words.join(" ")));
            }
            if Instant::now() > end {
                return Err(format!(
                    "the server does not listen on {} after {START_TIMEOUT:?}",
                    self.address
                ));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it, and takes away what it kept.
    pub(super) async fn end(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
        if let Some(directory) = self.directory.take() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn spawn(words: &[String]) -> Result<Child, String> {
    let [program, arguments @ ..] = words else { return Err("--server-command is empty".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|error| format!("cannot start `{}`: {error}", words.join(" ")))
}

fn own_command(address: &str, directory: &std::path::Path) -> Result<Vec<String>, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut words = vec![program.to_string_lossy().into_owned(), "serve".to_owned()];
    words.push(format!("--listen={address}"));
    words.push(format!("--data-dir={}", directory.display()));
    words.push(format!("--max-connections={}", crate::files::limit().saturating_sub(SPARE_FILES).max(1)));
    words.extend(LIFTED.iter().map(ToString::to_string));
    Ok(words)
}

fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no port is free: {error}"))
}
