//! The report of runs that did not happen.

use super::*;
use crate::bench::command;
use crate::bench::options::Options;
use clap::FromArgMatches;
use std::collections::BTreeSet;
use vaiven::CloseFrame;

fn plan(args: &[&str]) -> Plan {
    let args = [&["bench", "ws://127.0.0.1:8080", "--workers", "1"], args].concat();
    let matches = command().try_get_matches_from(args).unwrap();
    Options::from_arg_matches(&matches).unwrap().plan().unwrap()
}

/// A run of two seconds in which all went well.
fn report(plan: &Plan) -> Report<'_> {
    let mut tally = Tally::new();
    (tally.opened, tally.due, tally.sent, tally.awaited) = (10, 1000, 1000, 1000);
    (tally.received, tally.arrived) = (1000, 1000);
    for _ in 0..1000 {
        tally.latency.note(200_000);
        tally.lateness.note(20_000);
    }
    tally.connecting.note(3_000_000);
    Report {
        plan,
        tally,
        connecting: Duration::from_millis(10),
        measured: Duration::from_secs(2),
        was_interrupted: false,
        own_cpu: Some(Duration::from_millis(100)),
        server: Some(ServerUse {
            pid: 7,
            cpu: Duration::from_millis(4),
            rss_before: 1 << 20,
            rss_after: 2 << 20,
        }),
    }
}

/// The names of all fields, those of quantiles left out.
fn names(value: &Value, before: &str, out: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().unwrap() {
        let name = format!("{before}{name}");
        if value.is_object() && !name.ends_with("_us") {
            names(value, &format!("{name}."), out);
        } else {
            out.insert(name);
        }
    }
}

#[test]
fn every_field_is_in_the_help_and_no_other() {
    let plan = plan(&[]);
    let mut found = BTreeSet::new();
    names(&report(&plan).json(), "", &mut found);
    let promised: BTreeSet<_> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, promised);
}

#[test]
fn figures_are_per_second_and_per_million() {
    let plan = plan(&["-s", "1k"]);
    let json = report(&plan).json();
    let check = |path: &str, expected: f64| {
        let found = json.pointer(path).and_then(Value::as_f64).unwrap();
        assert!((found - expected).abs() < expected / 500.0, "{path}: {found}");
    };
    check("/messages/per_s", 500.0);
    check("/messages/bytes_per_s", 512_000.0);
    check("/connections/per_s", 1000.0);
    check("/latency_us/p99", 200.0);
    check("/generator/late_us/max", 20.0);
    check("/server/cpu_s_per_million", 4.0);
}

#[test]
fn the_exit_code_tells_the_worst() {
    let plan = plan(&[]);
    let exit = |change: fn(&mut Report<'_>)| {
        let mut report = report(&plan);
        change(&mut report);
        report.exit()
    };
    assert_eq!(exit(|_| {}), Exit::Clean);
    assert_eq!(exit(|report| report.tally.received = 999), Exit::Faulty);
    assert_eq!(exit(|report| report.tally.sent = 999), Exit::Faulty);
    assert_eq!(exit(|report| report.tally.faults.note_close(None)), Exit::Faulty);
    assert_eq!(exit(|report| report.tally.opened = 0), Exit::Unreachable);
    assert_eq!(exit(|report| report.was_interrupted = true), Exit::Interrupted);
}

#[test]
fn the_load_owns_up_to_what_it_could_not_do() {
    let plan = plan(&[]);
    assert_eq!(report(&plan).json()["generator"]["is_limit"], false);
    let mut late = report(&plan);
    (0..50).for_each(|_| late.tally.lateness.note(5_000_000));
    assert_eq!(late.json()["generator"]["is_limit"], true);
    assert!(late.to_string().contains("did not send on time"), "{late}");
    // A server that is slower still is to blame itself.
    (0..50).for_each(|_| late.tally.latency.note(500_000_000));
    assert_eq!(late.json()["generator"]["is_limit"], false);
    let mut busy = report(&plan);
    busy.own_cpu = Some(Duration::from_millis(1900));
    assert!(busy.to_string().contains("nearly all the time"), "{busy}");
}

#[test]
fn a_page_says_what_happened_and_what_to_do() {
    let plan = plan(&["-r", "1000"]);
    let mut report = report(&plan);
    report.tally.received = 990;
    report.tally.faults.note_close(Some(&CloseFrame::new(1008, "slow down")));
    let page = report.to_string();
    for expected in [
        "ws://127.0.0.1:8080/echo",
        "1,000 messages per second, 64 bytes of text each; measured for 2.00 s",
        "10 opened in 10.0 ms",
        "1,000 sent, 990 back, 10 lost",
        "200 µs",
        "4.00 s per million",
        "1 × closed_1008: the server closed the connection with 1008, \"slow down\"",
        "--message-rate",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
}

#[test]
fn numbers_are_short() {
    for (nanos, expected) in
        [(0, "0 s"), (999, "999 ns"), (1_500, "1.50 µs"), (12_340_000, "12.3 ms"), (1_234_000_000, "1.23 s")]
    {
        assert_eq!(span(Duration::from_nanos(nanos)), expected);
    }
    assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!([12.34, 1234.5].map(grouped_float), ["12.3", "1,234"]);
    assert_eq!([12.0, 1536.0, 1_073_741_824.0].map(float_bytes), ["12 B", "1.5 KiB", "1.0 GiB"]);
}
