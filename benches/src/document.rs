//! Writes results into docs/performance.md, between markers, so that the prose around them stays.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cell::Work;
use crate::table::{Column, Row, Spread, number};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
const LOCK_FILE: &str = include_str!("../Cargo.lock");
const PACKAGES: &str = include_str!("../../tests/socketio/package.json");
const CRATES: [&str; 6] =
    ["tokio", "tokio-tungstenite", "fastwebsockets", "tokio-websockets", "sockudo-ws", "yawc"];

/// Whether there is a place for the results: to know before the hour that they take.
pub(crate) fn check(work: Work) -> Result<()> {
    replace(&fs::read_to_string(DOCUMENT)?, work.name(), "").map(drop)
}

/// Puts the results of one kind of work into its place.
pub(crate) fn write(work: Work, runs: usize, rows: &[Row]) -> Result<()> {
    let document = fs::read_to_string(DOCUMENT)?;
    let section = section(work, runs, rows);
    fs::write(DOCUMENT, replace(&document, work.name(), &section)?)?;
    eprintln!("wrote the section {} of {}", work.name(), Path::new(DOCUMENT).canonicalize()?.display());
    Ok(())
}

/// The document with what is between the markers of that name replaced.
fn replace(document: &str, name: &str, section: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let parts = document.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let (before, (_, after)) = parts.ok_or_else(|| format!("no markers for {name} in the document"))?;
    Ok(format!("{before}{begin}\n{section}\n{end}{after}"))
}

fn section(work: Work, runs: usize, rows: &[Row]) -> String {
    let quoted = |arg: String| if arg.contains([' ', '*']) { format!("\"{arg}\"") } else { arg };
    let arguments: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    let mut text = format!(
        "`cargo run --release --manifest-path benches/Cargo.toml -- {}`, {runs} rounds.\\\n{}.\\\n{}.\n\n\
         {}: median, and in brackets the ratio to {}, as the median of the rounds' ratios. \
         **Bold** where another's crate did better than ours.\n\n",
        arguments.join(" "),
        machine(),
        versions(work),
        capitalized(work.unit()),
        rows.first().map_or("nothing", Row::yardstick),
    );
    text.push_str(&summary(rows));
    text.push_str("\n<details><summary>Spread</summary>\n\n");
    text.push_str(&spread(rows));
    text.push_str("\n</details>\n");
    text
}

/// One line per cell, one column per peer.
fn summary(rows: &[Row]) -> String {
    let names = rows.first().map(|row| row.columns.iter().map(|column| column.peer.name));
    let mut head = vec![String::from("cell")];
    head.extend(names.into_iter().flatten().map(str::to_owned));
    let body = rows.iter().map(|row| {
        let mut line = vec![row.cell.name()];
        line.extend(row.columns.iter().map(|column| entry(row, column)));
        line
    });
    markdown(head, body)
}

fn entry(row: &Row, column: &Column) -> String {
    let (Some(cost), Some(ratio)) = (column.cost(), row.ratio(column)) else {
        return String::from("failed");
    };
    let cost = number(cost.median);
    match () {
        () if column.peer.is_raw() => cost,
        () if row.is_behind(column) => format!("**{cost} ({:.2})**", ratio.median),
        () => format!("{cost} ({:.2})", ratio.median),
    }
}

/// One line per cell and peer.
fn spread(rows: &[Row]) -> String {
    let ratio = format!("x {}", rows.first().map_or("nothing", Row::yardstick));
    let head = ["cell", "peer", "median", "min - max", &ratio, "min - max"].map(str::to_owned).to_vec();
    let lines = rows.iter().flat_map(|row| {
        row.columns.iter().filter_map(|column| {
            let ends = |spread: Spread, show: fn(f64) -> String| {
                [show(spread.median), format!("{} - {}", show(spread.min), show(spread.max))]
            };
            let mut line = vec![row.cell.name(), column.peer.name.to_owned()];
            line.extend(ends(column.cost()?, number));
            line.extend(ends(row.ratio(column)?, |ratio| format!("{ratio:.2}")));
            Some(line)
        })
    });
    markdown(head, lines)
}

fn markdown(head: Vec<String>, body: impl Iterator<Item = Vec<String>>) -> String {
    let rule = vec![String::from("---"); head.len()];
    let mut text = String::new();
    for line in [head, rule].into_iter().chain(body) {
        writeln!(text, "| {} |", line.join(" | ")).expect("writing to a string");
    }
    text
}

/// The processor, the number of cores, the kernel and the compiler.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let rustc = rustc.unwrap_or_else(|_| String::from("unknown rustc"));
    format!(
        "{model}, {cores} cores (server on the first, load on the second), Linux {}, {rustc}",
        kernel.trim()
    )
}

/// The versions that the lock files name.
fn versions(work: Work) -> String {
    let version = |name: &str| {
        let (_, rest) = LOCK_FILE.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    if !Work::SOCKETIO.contains(&work) {
        return CRATES.into_iter().filter_map(version).collect::<Vec<_>>().join(", ");
    }
    let node = Command::new("node").arg("--version").output();
    let node =
        node.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    let official = PACKAGES.split_once("\"socket.io\": \"").and_then(|(_, rest)| rest.split_once('"'));
    let official = official.map_or("unknown", |(version, _)| version);
    let crates = ["tokio", "socketioxide"].into_iter().filter_map(version).collect::<Vec<_>>().join(", ");
    format!("{crates}, socket.io {official} on Node {}", node.trim())
}

fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let document = "before\n<!-- bench:echo -->\nold\n<!-- /bench:echo -->\nafter\n";
        let replaced = replace(document, "echo", "new").expect("the markers are there");
        assert_eq!(replaced, "before\n<!-- bench:echo -->\n\nnew\n<!-- /bench:echo -->\nafter\n");
        assert!(replace(document, "idle", "new").is_err());
    }

    #[test]
    fn every_peer_has_a_version_in_the_lock_file() {
        for name in CRATES {
            assert!(versions(Work::Echo).contains(name), "{name}");
        }
        let versions = versions(Work::SocketIoRoom);
        assert!(versions.contains("socketioxide 0.") && versions.contains("socket.io 4."), "{versions}");
    }
}
