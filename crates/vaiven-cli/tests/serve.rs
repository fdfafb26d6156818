//! `vaiven serve` as a process: what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);

fn vaiven(args: &[&str]) -> Command {
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
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = vaiven(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A server as a process. It is killed when the test ends.
struct Running {
    child: Child,
    banner: String,
    address: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let all = [&["--listen", "127.0.0.1:0"], args].concat();
        let mut child = vaiven(&all).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Stop with") {
            assert_ne!(output.read_line(&mut banner).unwrap(), 0, "it ended at once: {banner}");
        }
        let address = banner.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        // What is printed later must have somewhere to go.
        child.stdout = Some(output.into_inner());
        Self { child, banner, address }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
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
    fn log_about(&mut self, what: &str) -> Vec<String> {
        let mut lines = BufReader::new(self.child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut about: Vec<_> = lines.by_ref().find(|line| line.contains(what)).into_iter().collect();
        self.signal("TERM");
        about.extend(lines.filter(|line| line.contains(what)));
        about
    }

    /// A WebSocket, or the answer that refuses it.
    fn connect(&self, fields: &str) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /c/sala HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
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
fn close_code(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let [first, length, code @ ..] = head;
    assert_eq!(first, 0x88);
    let mut reason = vec![0; usize::from(length) - 2];
    stream.read_exact(&mut reason).unwrap();
    stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, code[0], code[1]]).unwrap();
    u16::from_be_bytes(code)
}

#[test]
fn a_wrong_command_line_ends_with_the_code_that_the_help_promises() {
    let (code, _, problem) = run(&["serve", "--nonsense"]);
    assert!(problem.contains("--nonsense"), "{problem}");
    let (_, help, _) = run(&["serve", "--help"]);
    let promise = format!("{} wrong usage", code.unwrap());
    assert!(help.contains(&promise), "{promise}: {help}");
}

#[test]
fn the_banner_says_what_to_open_and_how_to_stop() {
    let server = Running::start(&[]);
    let page = format!("http://{}/", server.address);
    assert!(server.banner.lines().any(|line| line.trim() == page), "{}", server.banner);
    let line = format!("new WebSocket('ws://{}/c/sala')", server.address);
    assert!(server.banner.contains(&line), "{}", server.banner);
    assert!(server.banner.contains("Ctrl+C"), "{}", server.banner);
    assert!(server.connect("").is_ok());
}

#[test]
fn a_service_manager_and_a_person_end_it_each_with_a_code_of_its_own() {
    for (signal, code) in [("TERM", 1012), ("INT", 1001)] {
        let mut server = Running::start(&[]);
        let mut client = server.connect("").unwrap();
        server.signal(signal);
        assert_eq!(close_code(&mut client), code);
        assert_eq!(server.wait().code(), Some(0));
        assert!(TcpStream::connect(&server.address).is_err());
    }
}

#[test]
fn a_second_signal_ends_it_within_5_seconds() {
    let mut server = Running::start(&["--close-timeout", "60"]);
    let mut mute = server.connect("").unwrap();
    server.signal("TERM");
    let mut byte = [0];
    mute.read_exact(&mut byte).unwrap();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn a_refused_origin_is_one_line_of_the_log_that_says_how_to_allow_it() {
    for (format, quote) in [("human", "\""), ("json", "\\\"")] {
        let mut server = Running::start(&["--log-format", format]);
        let refused = server.connect("Origin: https://other.example\r\n").unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
        assert!(refused.contains("origins = [\"https://other.example\"]"), "{refused}");
        let lines = server.log_about("https://other.example");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.contains(&format!("origins = [{quote}https://other.example{quote}]")), "{line}");
        assert!(line.contains("WARN") && line.contains("/c/{room}"), "{line}");
    }
}

#[test]
fn a_port_in_use_is_named_and_ends_with_71() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, errors) = run(&["serve", "--listen", &address]);
    assert_eq!(code, Some(71), "{errors}");
    assert!(errors.lines().count() == 1 && errors.contains(&address), "{errors}");
}

#[test]
fn a_wrong_configuration_is_told_line_by_line_and_ends_with_78() {
    let file = std::env::temp_dir().join(format!("vaiven-serve-{}.toml", std::process::id()));
    std::fs::write(&file, "max_rooms = 5\nlissten = \"x\"\noutbox_bytes = 0\n").unwrap();
    let path = file.to_str().unwrap();
    for check in [&["--config", path, "--check-config"][..], &["serve", "--config", path]] {
        let (code, output, errors) = run(check);
        assert_eq!((code, &*output), (Some(78), ""));
        let expected = [
            format!("vaiven: {path}:2: lissten: there is no such setting; did you mean listen?"),
            format!("vaiven: {path}:3: outbox_bytes: must be at least 1: 0 never means unlimited"),
        ];
        assert!(errors.lines().eq(&expected), "{errors}");
    }
    std::fs::write(&file, "max_rooms = 5\n").unwrap();
    assert_eq!(run(&["serve", "--config", path, "--check-config"]).0, Some(0));
    std::fs::remove_file(&file).unwrap();
    let (code, _, errors) = run(&["--config", path]);
    assert_eq!(code, Some(78));
    assert!(errors.contains(path), "{errors}");
}

#[test]
fn the_environment_is_heard() {
    let output = vaiven(&["--check-config"]).env("VAIVEN_MAX_ROOMS", "0").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("vaiven: VAIVEN_MAX_ROOMS: "), "{output:?}");
    let output = vaiven(&["--check-config"]).env("VAIVEN_MAX_ROOMS", "").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
