//! The real server: `vaiven serve` as a process, with its memory, CPU time and figures. Or another that takes the same
//! options: `CATALOGUE_SERVER` is its command.

use crate::tls;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::panic_any;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The status with which another server says that it lacks an option (EX_USAGE).
const NO_SUCH_OPTION: i32 = 64;

/// The server lacks an option that the row needs: the row says nothing about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsupported;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Mutex<Child>,
    pid: u32,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// Servers by their options; rows with the same ones share one.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    running: Mutex<HashMap<Vec<String>, Arc<Server>>>,
}

impl Servers {
    /// The server with these options.
    pub(crate) fn with(&self, flags: &[String]) -> Arc<Server> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(flags.to_vec()).or_insert_with(|| Arc::new(Server::start(flags))))
    }

    /// What the logs of all servers say of panics.
    pub(crate) fn panics(&self) -> Vec<String> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().filter_map(|server| server.panic()).collect()
    }
}

impl Server {
    /// Starts a server on a port that the system chooses for it: one that is only looked for here may be another's by
    /// the time the server asks for it.
    pub(crate) fn start(flags: &[String]) -> Self {
        let mut child = command()
            .args(["--listen", "127.0.0.1:0"])
            .args(flags.iter().map(|flag| filled(flag)))
            // One worker: each has buffers of its own, and the first use of another one's would look like growth.
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("it is piped");
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
                // A line for each of many connections would only fill memory.
                if log.len() < 1 << 20 || line.contains("panicked") {
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        let address = announced(child.stdout.take().expect("it is piped"));
        let address = address.unwrap_or_else(|| {
            let status = child.wait().expect("it is a child");
            if status.code() == Some(NO_SUCH_OPTION) {
                panic_any(Unsupported);
            }
            panic!("the server ended with {status}: {}", log.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Self { pid: child.id(), child: Mutex::new(child), address, log }
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The line about a panic.
    pub(crate) fn panic(&self) -> Option<String> {
        self.log().lines().find(|line| line.contains("panicked")).map(ToOwned::to_owned)
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().expect("it is a child")
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Memory that is resident, in bytes, without the program's own code, of which the system maps 64 KiB at a time.
    /// The figures of `status` lag behind; those of `smaps_rollup` are counted anew.
    pub(crate) fn memory(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).expect("it runs");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("it is told");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).expect("it runs");
        let nanos = tasks.filter_map(|task| {
            let line = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// The sum of the figures whose line begins with this and has this in its labels.
    pub(crate) fn figure(&self, name: &str, label: &str) -> u64 {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let lines = answer.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// Whether another server than ours is played.
pub(crate) fn is_other() -> bool {
    std::env::var_os("CATALOGUE_SERVER").is_some()
}

/// The server's command, without its options.
fn command() -> Command {
    let Ok(other) = std::env::var("CATALOGUE_SERVER") else {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vaiven"));
        // Servers of tests run side by side in one directory.
        command.arg("serve").env("VAIVEN_HISTORY", "memory");
        return command;
    };
    let mut words = other.split_whitespace();
    let mut command = Command::new(words.next().expect("CATALOGUE_SERVER names a command"));
    command.args(words);
    command
}

/// The address in what the server prints once it listens; `None` where it ends before that.
fn announced(output: impl Read) -> Option<SocketAddr> {
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let url = lines.map(|line| line.trim().to_owned()).find(|line| line.starts_with("http"))?;
    url.split('/').nth(2)?.parse().ok()
}

/// An option with its places for files filled in.
fn filled(flag: &str) -> String {
    match flag {
        "{certificate}" => tls::files().0.display().to_string(),
        "{key}" => tls::files().1.display().to_string(),
        flag => flag.to_owned(),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}
