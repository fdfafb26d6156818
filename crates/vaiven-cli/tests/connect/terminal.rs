//! At a terminal: a pseudo-terminal that `script` of util-linux makes. Where that is not installed, a line says so.

use crate::server;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A terminal on which `vaiven connect` runs.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: mpsc::Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    fn start(url: &str, state: &std::path::Path) -> Option<Self> {
        let command =
            format!("{} connect {url} --no-proxy; echo \"exit $?\"; stty -a", env!("CARGO_BIN_EXE_vaiven"));
        let started = Command::new("script")
            .args(["--quiet", "--return", "--echo", "always", "--command", &command, "/dev/null"])
            .env("XDG_STATE_HOME", state)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            eprintln!("skipped: `script` is not installed (Debian: util-linux, bsdutils)");
            return None;
        };
        let (sender, screen) = mpsc::channel();
        let mut output = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { keys: child.stdin.take().unwrap(), child, screen, shown: String::new() })
    }

    /// Waits until this was shown since the last wait, and gives all up to it.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(more) = self.screen.recv_timeout(left) else {
                panic!("{text:?} was not shown, but: {:?}", self.shown)
            };
            self.shown.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_types_reads_and_leaves_a_terminal_as_it_was() {
    let state = std::env::temp_dir().join(format!("vaiven-connect-{}", std::process::id()));
    let Some(mut terminal) = Terminal::start(&format!("ws://{}/greet", server::start()), &state) else {
        return;
    };
    terminal.wait_for("/help lists the commands");
    terminal.wait_for("< hola\\u{1b}[31m");
    terminal.wait_for("(binary, 4 bytes)");
    terminal.wait_for("|....|");
    terminal.press("buenas\r");
    terminal.wait_for("< buenas");
    terminal.press("/ping\r");
    terminal.wait_for("pong after");
    terminal.press("/nope\r");
    terminal.wait_for("there is no /nope");
    terminal.press("goodbye\r");
    let end = terminal.wait_for("exit 0");
    let last = end.rfind("< goodbye").expect("the last message is shown");
    assert!(end[last..].contains("the server closed the connection: 1000"), "{end:?}");
    terminal.wait_for(" icanon");
    let history = std::fs::read_to_string(state.join("vaiven/history")).unwrap();
    assert!(history.contains("buenas\n/ping\n"), "{history}");
    std::fs::remove_dir_all(state).unwrap();
}
