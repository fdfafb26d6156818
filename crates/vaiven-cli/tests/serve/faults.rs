//! What the system does to a server, and what it does then.

use crate::running::{PATIENCE, Running, vaiven};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A server that may open so many files.
fn with_files(files: u32, args: &[&str]) -> Running {
    let plain = vaiven(&[&["--listen", "127.0.0.1:0"], args].concat());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]).arg(plain.get_program());
    command.args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::spawn(command)
}

/// A figure of `/metrics`, over a connection that stands.
fn metric(standing: &mut TcpStream, address: &str, name: &str) -> u64 {
    write!(standing, "GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let len = standing.read(&mut chunk).unwrap();
        assert_ne!(len, 0, "the connection ends");
        answer.extend_from_slice(&chunk[..len]);
        let text = String::from_utf8_lossy(&answer);
        if text.ends_with("# EOF\n") {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            return value.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap();
        }
    }
}

/// Hundredths of a second of CPU time that the process has had (`proc_pid_stat(5)`).
fn cpu_ticks(server: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Fault 16. Of 64 files 32 are for connections; those who are told that they are refused take the rest.
#[test]
fn out_of_files_it_pauses_without_a_spin_answers_who_is_connected_and_recovers() {
    let lifted = [
        "--handshake-rate-per-ip=1000000",
        "--handshake-burst-per-ip=1000000",
        "--max-connections-per-ip=1000",
    ];
    let server = with_files(64, &lifted);
    let mut standing = TcpStream::connect(&server.address).unwrap();
    standing.set_read_timeout(Some(PATIENCE)).unwrap();
    let figure = |standing: &mut TcpStream, name| metric(standing, &server.address, name);
    assert_eq!(figure(&mut standing, "vaiven_accept_errors_total"), 0);
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    let deadline = Instant::now() + PATIENCE;
    while figure(&mut standing, "vaiven_accept_errors_total") == 0 {
        assert!(Instant::now() < deadline, "it never runs out of files");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (before, errors) = (cpu_ticks(&server), figure(&mut standing, "vaiven_accept_errors_total"));
    std::thread::sleep(Duration::from_secs(1));
    let (ticks, errors) =
        (cpu_ticks(&server) - before, figure(&mut standing, "vaiven_accept_errors_total") - errors);
    assert!(
        ticks < 50 && errors <= 15,
        "it spins: {ticks} hundredths of a second of CPU time, {errors} errors"
    );
    drop(silent);
    let deadline = Instant::now() + PATIENCE;
    while server.connect("").is_err() {
        assert!(Instant::now() < deadline, "it does not recover");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fault 13: in batches, each client with another time to come back, what is under way answered, exit 0.
#[test]
fn sigterm_tells_many_clients_in_batches_when_to_come_back_and_ends_with_0() {
    const CLIENTS: usize = 150;
    let lifted = [
        "--handshake-rate-per-ip=1000000",
        "--handshake-burst-per-ip=1000000",
        "--max-connections-per-ip=1000",
    ];
    let mut server = Running::start(&[&lifted[..], &["--drain-timeout=6"]].concat());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = server.connect_to("/v1", "").unwrap();
            let publish = format!(r#"{{"type":"publish","id":{number},"channel":"sala","data":1}}"#);
            send_text(&mut client, &publish);
            client
        })
        .collect();
    let readers: Vec<_> =
        clients.into_iter().map(|client| std::thread::spawn(move || last_words(client))).collect();
    server.signal("TERM");
    let words: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_eq!(server.wait().code(), Some(0));
    let mut slots = BTreeSet::new();
    for (number, (texts, code)) in words.iter().enumerate() {
        assert_eq!(*code, 1012);
        assert!(
            texts.iter().any(|text| text.contains("\"ok\"") && text.contains(&format!("\"id\":{number},"))),
            "{texts:?}"
        );
        let last = texts.last().unwrap();
        let (_, retry) = last.split_once("\"retry\":").unwrap_or_else(|| panic!("{last}"));
        slots.insert(retry.trim_end_matches('}').parse::<u32>().unwrap());
    }
    assert!(slots.len() > CLIENTS / 2, "{} times to come back for {CLIENTS} clients", slots.len());
    let (first, last) = (slots.first().unwrap(), slots.last().unwrap());
    assert!(*first >= 500 && last - first >= 200, "from {first} to {last} ms");
}

/// Sends a text message of less than 126 bytes, under a mask of zeros.
fn send_text(client: &mut TcpStream, text: &str) {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    assert!(text.len() < 126);
    frame.extend_from_slice(text.as_bytes());
    client.write_all(&frame).unwrap();
}

/// The text messages that come until the Close frame, which is answered, and its code.
fn last_words(mut client: TcpStream) -> (Vec<String>, u16) {
    let mut texts = Vec::new();
    loop {
        let mut head = [0; 2];
        client.read_exact(&mut head).unwrap();
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                client.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).unwrap();
        match head[0] {
            0x81 => texts.push(String::from_utf8(payload).unwrap()),
            0x88 => {
                client.write_all(&[0x88, 0x82, 0, 0, 0, 0, payload[0], payload[1]]).unwrap();
                return (texts, u16::from_be_bytes([payload[0], payload[1]]));
            }
            first => panic!("a frame that begins with {first:x}"),
        }
    }
}
