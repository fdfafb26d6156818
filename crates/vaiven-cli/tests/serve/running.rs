//! A server as a process, and clients that write their handshakes by hand.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a test waits for at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn vaiven(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vaiven"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Settings of whoever runs the tests are not the tests'.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VAIVEN_")) {
        command.env_remove(name);
    }
    // Servers of tests run side by side in one directory.
    command.env("VAIVEN_HISTORY", "memory");
    command
}

/// Exit code, standard output and standard error of a run that ends by itself.
pub(crate) fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = vaiven(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A server as a process. It is killed when the test ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) banner: String,
    pub(crate) address: String,
    log: Option<Lines<BufReader<ChildStderr>>>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(vaiven(&[&["--listen", "127.0.0.1:0"], args].concat()))
    }

    /// The server of a command.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Stop with") {
            assert_ne!(output.read_line(&mut banner).unwrap(), 0, "it ended at once: {banner}");
        }
        let address = banner.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        // What is printed later must have somewhere to go.
        child.stdout = Some(output.into_inner());
        let log = child.stderr.take().map(|log| BufReader::new(log).lines());
        Self { child, banner, address, log }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The lines of the log that name something, once there is one, until the end of the server.
    pub(crate) fn log_about(&mut self, what: &str) -> Vec<String> {
        let mut lines = self.log.take().unwrap().map(Result::unwrap);
        let mut about: Vec<_> = lines.by_ref().find(|line| line.contains(what)).into_iter().collect();
        self.signal("TERM");
        about.extend(lines.filter(|line| line.contains(what)));
        about
    }

    /// The next line of the log that has these words.
    pub(crate) fn logged(&mut self, what: &str) -> String {
        let mut lines = self.log.as_mut().unwrap().map(Result::unwrap);
        lines.find(|line| line.contains(what)).unwrap_or_else(|| panic!("it ended without {what:?}"))
    }

    /// A WebSocket, or the answer that refuses it.
    pub(crate) fn connect(&self, fields: &str) -> Result<TcpStream, String> {
        self.connect_to("/c/sala", fields)
    }

    pub(crate) fn connect_to(&self, path: &str, fields: &str) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut head = String::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            return Ok(stream);
        }
        stream.read_to_string(&mut head).unwrap();
        Err(head)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The code of the Close frame that comes, which is answered.
pub(crate) fn close_code(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let [first, length, code @ ..] = head;
    assert_eq!(first, 0x88);
    let mut reason = vec![0; usize::from(length) - 2];
    stream.read_exact(&mut reason).unwrap();
    stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, code[0], code[1]]).unwrap();
    u16::from_be_bytes(code)
}
