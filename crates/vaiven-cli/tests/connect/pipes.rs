//! In scripts: arguments and pipes in, pipes and an exit code out.

use crate::server;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

/// Runs `vaiven connect` with an input. The time limit keeps a test that fails from hanging.
fn connect(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vaiven"))
        .arg("connect")
        .args(arguments)
        .arg("--no-proxy")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that has ended reads no more.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[track_caller]
fn check(arguments: &[&str], input: &[u8], stdout: &[u8], exit: i32) -> String {
    let output = connect(arguments, input);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout.escape_ascii().to_string(), stdout.escape_ascii().to_string(), "{stderr}");
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(exit == 0 || !stderr.is_empty(), "a failure says why");
    stderr
}

fn url(path: &str) -> String {
    format!("ws://{}{path}", server::start())
}

#[test]
fn one_shot_sends_waits_for_the_answer_and_closes() {
    let echo = url("/echo");
    let stderr = check(&[&echo, "-m", "hola"], b"", b"hola\n", 0);
    assert_eq!(stderr, "", "nothing to say");
    check(&[&echo, "-m", "a", "-m", "b", "--expect", "2"], b"", b"a\nb\n", 0);
    check(&[&echo, "-m", "a", "--expect", "0"], b"", b"", 0);
}

#[test]
fn lines_of_a_pipe_become_messages_and_messages_lines() {
    check(
        &[&url("/echo"), "--linger", "5s"],
        "uno\r\ndós\n\ngoodbye".as_bytes(),
        "uno\ndós\n\ngoodbye\n".as_bytes(),
        0,
    );
    check(&[&url("/echo"), "--expect", "1"], b"uno\n", b"uno\n", 0);
    check(&[&url("/silent"), "--linger", "10ms"], b"uno\n", b"", 0);
}

#[test]
fn one_message_per_side_takes_the_whole_input() {
    check(&[&url("/echo"), "-1"], b"uno\ndos\n", b"uno\ndos\n", 0);
    check(&[&url("/echo"), "-1", "--binary"], b"\0\xff\n", b"\0\xff\n", 0);
}

#[test]
fn a_large_binary_input_comes_back_as_it_was() {
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let output = connect(&[&url("/echo"), "--binary", "--linger", "3s"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == input, "{} of {} bytes", output.stdout.len(), input.len());
}

#[test]
fn binary_messages_are_shown_as_asked() {
    let greet = url("/greet");
    let common = [greet.as_str(), "--expect", "2", "--show-binary"];
    for (format, shown) in [
        ("raw", &b"\0\x01\x02\xff"[..]),
        ("hex", b"000102ff\n"),
        ("base64", b"AAEC/w==\n"),
        ("hexdump", b"00000000  00 01 02 ff                                       |....|\n"),
    ] {
        let expected = [b"hola\x1b[31m\n", shown].concat();
        check(&[&common[..], &[format]].concat(), b"", &expected, 0);
    }
}

#[test]
fn headers_origin_and_subprotocols_are_sent() {
    let arguments =
        ["-H", "X-Token: abc", "--origin", "https://app.example", "-s", "a,b", "--compress", "--expect", "1"];
    let output = connect(&[&[url("/headers").as_str()][..], &arguments].concat(), b"");
    let request = String::from_utf8(output.stdout).unwrap();
    for line in [
        "X-Token: abc",
        "Origin: https://app.example",
        "Sec-WebSocket-Protocol: a, b",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
}

#[test]
fn every_exit_code_is_reached() {
    let stderr = check(&[&url("/close?1000")], b"", b"", 0);
    assert_eq!(stderr, "");
    for arguments in [
        &["ftp://a.example"][..],
        &["ws://a.example", "-H", "nonsense"],
        &["ws://a.example", "-H", "Host: b"],
        &["ws://a.example", "--ca", "/does/not/exist"],
        &["ws://a.example", "--timeout", "0"],
        &[],
    ] {
        check(arguments, b"", b"", 1);
    }
    let stderr = check(&[&url("/echo"), "--linger", "1ms"], b"\xff\n", b"", 1);
    assert!(stderr.contains("line 1 of the input is not UTF-8"), "{stderr}");

    // It is bound, so that nobody else gets it, and does not listen.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = deaf.local_addr().unwrap().as_socket().unwrap();
    let stderr = check(&[&format!("ws://{nobody}/")], b"", b"", 2);
    assert!(stderr.contains("cannot connect to"), "{stderr}");

    let stderr = check(&[&url("/refuse")], b"", b"", 3);
    assert!(stderr.contains("403 Forbidden") && stderr.contains("it says: not for you"), "{stderr}");

    let stderr = check(&[&url("/vanish"), "--linger", "5s"], b"", b"", 4);
    assert!(stderr.contains("without a close frame"), "{stderr}");

    let stderr = check(&[&url("/silent"), "-m", "a", "--timeout", "100ms"], b"", b"", 5);
    assert!(stderr.contains("out of time"), "{stderr}");

    let stderr = check(&[&url("/close?4001"), "--linger", "5s"], b"", b"", 6);
    assert!(stderr.contains("4001 because"), "{stderr}");
}

#[test]
fn details_go_to_standard_error() {
    let stderr = check(&[&url("/echo"), "-m", "hola", "-v"], b"", b"hola\n", 0);
    for part in [
        "< 101 Switching Protocols",
        "connected after ",
        "> text, 4 bytes",
        "< text, 4 bytes",
        "> close 1000",
        "< close 1000",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }
}

#[test]
fn man_page_and_completions_know_every_option() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_vaiven")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().replace('\\', "")
    };
    let help = run(&["connect", "--help"]);
    let pages = [run(&["man", "connect"]), run(&["completions", "bash"]), run(&["completions", "fish"])];
    let words = help.split_whitespace().filter(|word| word.starts_with("--"));
    let options: Vec<_> =
        words.map(|word| word.trim_matches(|char: char| !char.is_ascii_alphanumeric())).collect();
    assert!(options.len() > 20, "{options:?}");
    for page in pages {
        assert!(options.iter().all(|option| page.contains(option)), "{page}");
    }
}
