//! `vaiven verify` against real servers, which it starts and kills.

use serde_json::Value;
use std::net::TcpListener;
use std::process::{Command, Output};

#[track_caller]
fn verify(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vaiven"));
    command.arg("verify").args(arguments.split_whitespace());
    command.output().expect("the program runs")
}

#[track_caller]
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"))
}

#[test]
fn a_reliable_channel_loses_nothing_through_faults_and_the_death_of_the_server() {
    let faults = "cut,reset,stall,avalanche,restart";
    let output = verify(&format!("--json -c 30 -p 3 -d 8s --fault-every 2s --seed 7 --faults {faults}"));
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    for nothing in ["lost", "doubled", "out_of_order", "unrecovered", "refused", "uncertain"] {
        assert_eq!(report[nothing], 0, "{nothing}: {report:#}");
    }
    assert_eq!(report["delivered_percent"], 100.0);
    assert_eq!(report["restarts"], 1);
    // Each has lost its connection several times.
    let resumed = report["reconnects"].as_u64().expect("it is a number");
    assert!(resumed >= 60, "{report:#}");
    assert!(report["acknowledged"].as_u64().expect("it is a number") > 100, "{report:#}");
}

#[test]
fn a_plain_room_loses_what_is_said_while_somebody_is_away_and_that_is_seen() {
    let output = verify("--json --protocol plain -c 20 -r 50 -d 4s --fault-every 1s --grace 1s --seed 7");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(3), "{report:#}");
    assert!(report["lost"].as_u64().expect("it is a number") > 0, "{report:#}");
}

#[test]
fn a_plain_room_without_faults_delivers_everything() {
    let output = verify("--json --protocol plain -c 20 -d 2s --faults none");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!((&report["lost"], &report["doubled"]), (&Value::from(0), &Value::from(0)), "{report:#}");
}

#[test]
fn what_cannot_be_verified_is_told() {
    // A port on which nobody listens any more.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let output = verify(&format!("ws://{address}/v1"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    for (arguments, told) in [
        ("wss://127.0.0.1/v1", "TLS"),
        ("ws://127.0.0.1/v1 --faults restart", "--server-command"),
        ("--faults fire", "`fire` is no fault"),
    ] {
        let output = verify(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(told), "{errors}");
    }
}
