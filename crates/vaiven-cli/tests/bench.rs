//! `vaiven bench` as a process, against `vaiven serve` as another.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

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

/// A server as a process. It is killed when the test ends.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = vaiven(&all).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Stop with") {
            assert_ne!(output.read_line(&mut banner).unwrap(), 0, "it ended at once: {banner}");
        }
        let address = banner.split("http://").nth(1).unwrap().split('/').next().unwrap();
        let url = format!("ws://{address}");
        child.stdout = Some(output.into_inner());
        Self { child, url }
    }

    fn bench(&self, args: &[&str]) -> Run {
        Run::of(&vaiven(&[&["bench", &self.url, "--no-proxy"], args].concat()).output().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a bench printed, and how it ended.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[track_caller]
fn number(json: &Value, path: &str) -> f64 {
    json.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {json:#}"))
}

#[track_caller]
fn check(json: &Value, path: &str, expected: f64) {
    let found = number(json, path);
    assert!((found - expected).abs() < f64::EPSILON, "{path} is {found}, not {expected}: {json:#}");
}

#[test]
fn a_rate_is_kept_and_every_message_comes_back() {
    let server = Server::start(&[]);
    let args = ["-c", "10", "-r", "500", "-d", "1s", "--warm-up", "200ms", "--json", "--workers", "2"];
    let run = server.bench(&args);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.err, "");
    let json = run.json();
    check(&json, "/connections/opened", 10.0);
    check(&json, "/messages/sent", 500.0);
    check(&json, "/messages/received", 500.0);
    check(&json, "/messages/lost", 0.0);
    check(&json, "/measured_s", 1.0);
    let [p50, max] = ["/latency_us/p50", "/latency_us/max"].map(|path| number(&json, path));
    assert!(p50 > 0.0 && p50 <= max, "{json:#}");
    assert!(number(&json, "/generator/late_us/max") > 0.0);
    assert_eq!(
        (&json["mode"], &json["load"], &json["interrupted"]),
        (&"echo".into(), &"open".into(), &false.into())
    );
    assert_eq!(json["errors"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_window_of_messages_is_kept_under_way_and_the_server_is_looked_at() {
    let server = Server::start(&["--profile", "autobahn"]);
    let pid = server.child.id().to_string();
    let args = ["-c", "3", "--in-flight", "8", "-d", "1s", "--warm-up", "0", "-s", "1k", "--kind", "binary"];
    let run = server.bench(&[&args[..], &["--json", "--pid", &pid, "--compress"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let json = run.json();
    assert!(number(&json, "/messages/received") > 24.0, "{json:#}");
    check(&json, "/in_flight", 8.0);
    assert_eq!(json["rate_wanted_per_s"], Value::Null);
    if cfg!(target_os = "linux") {
        check(&json, "/server/pid", f64::from(server.child.id()));
        assert!(number(&json, "/server/cpu_s_per_million") > 0.0);
        assert!(number(&json, "/server/rss_after_bytes") > 0.0);
    }
}

#[test]
fn a_room_delivers_to_all_who_listen() {
    let server = Server::start(&[]);
    let args =
        ["--room", "-c", "5", "-r", "40", "-d", "1s", "--warm-up", "300ms", "--json", "--workers", "2"];
    let run = server.bench(&args);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json = run.json();
    check(&json, "/messages/sent", 40.0);
    check(&json, "/messages/received", 160.0);
    check(&json, "/messages/lost", 0.0);
    assert_eq!(json["mode"], "room");
}

#[test]
fn the_first_message_is_sent_when_the_run_starts() {
    let server = Server::start(&[]);
    let run = server.bench(&["-c", "1", "-r", "1", "-d", "500ms", "--warm-up", "0", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json = run.json();
    check(&json, "/messages/received", 1.0);
    // One that comes back before the start has taken no time.
    assert!(number(&json, "/latency_us/max") > 0.0, "{json:#}");
}

#[test]
fn people_read_a_page_and_a_pipe_sees_no_bar() {
    let server = Server::start(&[]);
    let run = server.bench(&["-c", "2", "-r", "50", "-d", "200ms", "--warm-up", "100ms"]);
    assert_eq!((run.code, &*run.err), (Some(0), ""), "{run:?}");
    assert!(run.out.contains("10 sent, 10 back, 0 lost"), "{}", run.out);
    assert!(run.out.contains("p99.9"), "{}", run.out);
}

#[test]
fn where_nobody_listens_it_ends_with_2() {
    // It is bound, so that nobody else gets it, and does not listen.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let url = format!("ws://{}", deaf.local_addr().unwrap().as_socket().unwrap());
    let run = Run::of(&vaiven(&["bench", &url, "-c", "2", "--json", "--no-proxy"]).output().unwrap());
    assert_eq!(run.code, Some(2), "{run:?}");
    let json = run.json();
    assert_eq!(json["errors"][0]["kind"], "connect");
    assert_eq!(json["errors"][0]["count"], 2);
}

#[test]
fn what_a_server_refuses_to_bear_ends_with_3() {
    // More than 100 messages per second of a connection is too much for the defaults.
    let server = Server::start(&[]);
    let run = server.bench(&["-c", "2", "--in-flight", "300", "-d", "5s", "--json"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let json = run.json();
    assert!(
        json["errors"].as_array().unwrap().iter().any(|fault| fault["kind"] == "closed_1008"),
        "{json:#}"
    );
}

#[test]
fn foreign_messages_are_told_apart_and_end_with_3() {
    let server = Server::start(&[]);
    let url = format!("{}/c/sala", server.url);
    let args =
        ["bench", &url, "-c", "3", "-r", "30", "-d", "500ms", "--warm-up", "0", "--json", "--no-proxy"];
    let run = Run::of(&vaiven(&args).output().unwrap());
    assert_eq!(run.code, Some(3), "{run:?}");
    let json = run.json();
    assert_eq!(json["errors"][0]["kind"], "wrong_message", "{json:#}");
    check(&json, "/messages/received", 15.0);
}

#[test]
fn an_interruption_prints_what_there_is() {
    let server = Server::start(&[]);
    let args =
        ["bench", &server.url, "-c", "2", "-r", "50", "-d", "1h", "--warm-up", "0", "--json", "--no-proxy"];
    let child = vaiven(&args).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let told = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(told.success());
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{run:?}");
    let json = run.json();
    assert_eq!(json["interrupted"], true);
    check(&json, "/messages/lost", 0.0);
}

#[test]
fn what_cannot_be_done_is_said_with_1() {
    for (args, expected) in [
        (&["ws://127.0.0.1", "--room", "-c", "1"][..], "two connections"),
        (&["ws://127.0.0.1", "--pid", "4294967295"], "process 4294967295"),
        (&["ftp://127.0.0.1"], "url"),
        (&["ws://127.0.0.1", "-r", "5", "--in-flight", "5"], "cannot be used with"),
        (&["ws://127.0.0.1", "-s", "1g"], "16k"),
    ] {
        let run = Run::of(&vaiven(&[&["bench"], args].concat()).output().unwrap());
        assert_eq!(run.code, Some(1), "{args:?} {run:?}");
        assert!(run.err.contains(expected), "{args:?} {run:?}");
        assert_eq!(run.out, "");
    }
}

#[test]
fn too_few_files_for_the_connections_are_told_before_the_first() {
    let script =
        format!("ulimit -n 200 && exec {} bench ws://127.0.0.1 -c 1000", env!("CARGO_BIN_EXE_vaiven"));
    let run = Run::of(&Command::new("sh").args(["-c", &script]).output().unwrap());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("(200)") && run.err.contains("connections are possible"), "{run:?}");
}

/// Two connections would have one message under way each if sending waited for answers: half a percent of all.
#[test]
fn a_server_that_stalls_keeps_all_messages_waiting_that_were_due_meanwhile() {
    let server = Server::start(&[]);
    let args =
        ["bench", &server.url, "-c", "2", "-r", "150", "-d", "3s", "--warm-up", "0", "--json", "--no-proxy"];
    let child = vaiven(&args).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    for (signal, pause) in [("STOP", Duration::from_millis(700)), ("CONT", Duration::ZERO)] {
        let told = Command::new("sh").args(["-c", &format!("kill -{signal} {}", server.child.id())]).status();
        assert!(told.unwrap().success());
        std::thread::sleep(pause);
    }
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    let json = run.json();
    check(&json, "/messages/sent", 450.0);
    check(&json, "/messages/received", 450.0);
    assert!(number(&json, "/latency_us/p99") > 500_000.0, "{json:#}");
}
