//! `vaiven serve` as a process: what it prints, how it ends, what it bears.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

#[cfg(target_os = "linux")]
mod faults;
#[cfg(unix)]
mod reload;
mod running;

use running::{Running, close_code, run, vaiven};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use std::process::Command;

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

/// The folder of the history cannot be made, whoever asks: a file is in the way.
#[test]
fn a_history_directory_that_cannot_be_used_is_named_and_ends_with_71() {
    let file = std::env::temp_dir().join(format!("vaiven-serve-file-{}", std::process::id()));
    std::fs::write(&file, "no directory").unwrap();
    let folder = file.join("history");
    let (code, _, errors) = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--history",
        "disk",
        "--data-dir",
        folder.to_str().unwrap(),
    ]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code, Some(71), "{errors}");
    assert!(errors.lines().count() == 1, "{errors}");
    assert!(errors.contains(folder.to_str().unwrap()) && errors.contains("data_dir"), "{errors}");
}

/// The folder is there and may not be written to, by a read-only file system, since the user may be one who may all.
#[cfg(target_os = "linux")]
#[test]
fn a_history_directory_that_is_read_only_is_named_and_ends_with_71() {
    let folder = std::env::temp_dir().join(format!("vaiven-serve-read-only-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script =
        "mount --bind \"$FOLDER\" \"$FOLDER\" && mount -o remount,bind,ro \"$FOLDER\" && exec \"$@\"";
    let read_only = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]).args(words).env("FOLDER", &folder);
        command.env_remove("VAIVEN_HISTORY").output()
    };
    let outcome = if read_only(&["true"]).is_ok_and(|output| output.status.success()) {
        let program = env!("CARGO_BIN_EXE_vaiven");
        Some(read_only(&[program, "serve", "--listen=127.0.0.1:0", "--data-dir", folder.to_str().unwrap()]))
    } else {
        None
    };
    std::fs::remove_dir_all(&folder).unwrap();
    let Some(output) = outcome else {
        eprintln!("not run: this system lets nobody mount");
        return;
    };
    let output = output.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(71), "{errors}");
    assert!(errors.lines().count() == 1 && errors.contains(folder.to_str().unwrap()), "{errors}");
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
