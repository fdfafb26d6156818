//! The suites of `cargo xtask test`, in the order that they run: what is quick to fail comes first.
//!
//! To add one, write a function that returns a [`Tally`] and add a row to [`SUITES`].

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::host;
use crate::package::Package;
use crate::tally::{Tally, Trial};
use crate::tidy;

/// What became of a suite that could be run, or a reason why not.
enum Outcome {
    Ran(Tally),
    /// A tool that is optional on a developer's machine is not there.
    Skipped(String),
    /// The suite could not do its work: that is a failure.
    Broken(String),
}

struct Suite {
    name: &'static str,
    about: &'static str,
    /// Whether it runs when none is named.
    by_default: bool,
    /// How long it may take, builds from nothing on a slow machine included.
    minutes: u64,
    run: fn() -> Outcome,
}

const SUITES: &[Suite] = &[
    Suite {
        name: "fmt",
        about: "cargo fmt --check, of every workspace",
        by_default: true,
        minutes: 5,
        run: fmt,
    },
    Suite { name: "tidy", about: "the project's own style", by_default: true, minutes: 5, run: tidy_suite },
    Suite {
        name: "clippy",
        about: "lints of every target, as errors",
        by_default: true,
        minutes: 45,
        run: clippy,
    },
    Suite {
        name: "deny",
        about: "licences, bans and sources of dependencies",
        by_default: true,
        minutes: 15,
        run: deny,
    },
    Suite {
        name: "rust",
        about: "unit, integration and documentation tests",
        by_default: true,
        minutes: 60,
        run: rust,
    },
    Suite {
        name: "node",
        about: "the npm package: lint, types, tests",
        by_default: true,
        minutes: 30,
        run: node,
    },
    Suite {
        name: "catalogue",
        about: "the catalogue of bad input against the npm package",
        by_default: true,
        minutes: 30,
        run: catalogue,
    },
    Suite {
        name: "client",
        about: "the npm package of the client: lint, types, size, simulation, the real server",
        by_default: true,
        minutes: 30,
        run: client,
    },
    Suite { name: "fuzz", about: "every fuzz target for a minute", by_default: true, minutes: 45, run: fuzz },
    Suite {
        name: "conformance",
        about: "Autobahn, plain and over TLS",
        by_default: true,
        minutes: 60,
        run: conformance,
    },
    Suite {
        name: "socketio",
        about: "unmodified clients of Socket.IO in JavaScript, Python and Rust",
        by_default: true,
        minutes: 30,
        run: socketio,
    },
    Suite {
        name: "browser",
        about: "the page and the tutorials in Chromium",
        by_default: true,
        minutes: 30,
        run: browser,
    },
    Suite {
        name: "conformance-full",
        about: "Autobahn, every case",
        by_default: false,
        minutes: 240,
        run: conformance_full,
    },
];

/// Prints the names of the suites.
pub(crate) fn list() {
    for suite in SUITES {
        let mark = if suite.by_default { "" } else { " (only when named)" };
        println!("{:18} {}{mark}", suite.name, suite.about);
    }
}

/// Runs the suites named, or all that run by default; the last line says how many checks passed and failed.
pub(crate) fn test(names: &[&str]) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| !SUITES.iter().any(|suite| suite.name == **name)) {
        eprintln!("no suite is called {unknown}; `cargo xtask list` names them");
        return ExitCode::from(2);
    }
    let chosen = SUITES
        .iter()
        .filter(|suite| if names.is_empty() { suite.by_default } else { names.contains(&suite.name) });
    let mut lines = Vec::new();
    let mut total = Tally::default();
    for suite in chosen {
        println!("\n== {}: {}", suite.name, suite.about);
        let started = Instant::now();
        host::set_deadline(started + Duration::from_mins(suite.minutes));
        let (word, tally, detail) = match (suite.run)() {
            Outcome::Ran(tally) if tally.failed == 0 => ("ok", tally, String::new()),
            Outcome::Ran(tally) => ("FAILED", tally, String::new()),
            // Where everything must be checked, what cannot be is a failure.
            Outcome::Skipped(why) if std::env::var_os("CI").is_some() => ("FAILED", Tally::one(false), why),
            Outcome::Skipped(why) => ("skipped", Tally::default(), why),
            Outcome::Broken(why) => ("FAILED", Tally::one(false), why),
        };
        let counts = format!("{} passed, {} failed", tally.passed, tally.failed);
        let seconds = started.elapsed().as_secs();
        lines.push(
            format!("{:18} {word:8} {counts}, {seconds} s  {detail}", suite.name).trim_end().to_owned(),
        );
        lines.extend(tally.second_tries.iter().map(|name| format!("    passed at the second try: {name}")));
        total = total.and(tally);
    }
    println!("\n{}", lines.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl From<Result<Tally, String>> for Outcome {
    fn from(result: Result<Tally, String>) -> Self {
        result.map_or_else(Outcome::Broken, Outcome::Ran)
    }
}

/// The workspaces of the repository: the product's, and those whose dependencies it must not see.
const WORKSPACES: [&str; 4] =
    ["Cargo.toml", "fuzz/Cargo.toml", "benches/Cargo.toml", "tests/socketio/rust/Cargo.toml"];

/// Runs a command of cargo's for each workspace.
fn in_each_workspace(subcommand: &str, arguments: &[&str]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for manifest in WORKSPACES {
        let mut command = host::cargo(&[subcommand, "--manifest-path", manifest]);
        tally = tally.and(Tally::one(host::run(command.args(arguments))?.ok));
    }
    Ok(tally)
}

fn fmt() -> Outcome {
    in_each_workspace("fmt", &["--all", "--check"]).into()
}

fn tidy_suite() -> Outcome {
    match tidy::check_workspace() {
        Ok(outcome) => {
            outcome.print();
            Outcome::Ran(Tally::of(outcome.clean_rules(), outcome.broken_rules()))
        }
        Err(why) => Outcome::Broken(why),
    }
}

fn clippy() -> Outcome {
    // The library of the fuzz targets is C++.
    let compiler = host::ensure(CPP_COMPILERS, "g++");
    let arguments = ["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    compiler.and_then(|_| openssl()).and_then(|()| in_each_workspace("clippy", &arguments)).into()
}

fn deny() -> Outcome {
    if host::find("cargo-deny").is_none() {
        return Outcome::Skipped("cargo-deny is not here (cargo install --locked cargo-deny)".to_owned());
    }
    let checks = ["licenses", "bans", "sources"];
    let mut tally = Tally::default();
    for check in checks {
        let mut command = host::cargo(&["deny", "--workspace", "check", "--hide-inclusion-graph", check]);
        match host::run(&mut command) {
            Ok(finished) => tally = tally.and(Tally::one(finished.ok)),
            Err(why) => return Outcome::Broken(why),
        }
    }
    Outcome::Ran(tally)
}

fn rust() -> Outcome {
    rust_tests().into()
}

fn rust_tests() -> Result<Tally, String> {
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    let tests = if host::find("cargo-nextest").is_some() {
        let arguments =
            ["nextest", "run", "--workspace", "--all-features", "--no-fail-fast", "--profile", profile];
        let finished = host::run(&mut host::cargo(&arguments))?;
        Tally::of_nextest(&finished.output).checked(finished.ok)
    } else {
        let finished = host::run(&mut host::cargo(&[
            "test",
            "--workspace",
            "--all-features",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]))?;
        Tally::of_libtest(&finished.output).checked(finished.ok)
    };
    let docs =
        host::run(&mut host::cargo(&["test", "--workspace", "--all-features", "--doc", "--no-fail-fast"]))?;
    Ok(tests.and(Tally::of_libtest(&docs.output).checked(docs.ok)))
}

/// Names of a compiler for C++.
const CPP_COMPILERS: &[&str] = &["c++", "g++", "clang++"];
/// Seconds that each fuzz target runs.
const FUZZ_SECONDS: u32 = 60;

fn fuzz() -> Outcome {
    if host::find("cargo-fuzz").is_none() {
        return Outcome::Skipped("cargo-fuzz is not here (cargo install --locked cargo-fuzz)".to_owned());
    }
    fuzz_targets().into()
}

/// Builds the targets once, with AddressSanitizer where the compiler has it, and runs two at a time.
fn fuzz_targets() -> Result<Tally, String> {
    host::ensure(CPP_COMPILERS, "g++")?;
    let nightly =
        host::run(Command::new("cargo").args(["+nightly", "--version"])).is_ok_and(|found| found.ok);
    let sanitizer = if nightly { "address" } else { "none" };
    if !nightly {
        println!("no nightly compiler: the targets run without AddressSanitizer");
    }
    let fuzz = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        if nightly {
            command.arg("+nightly");
        }
        command.arg("fuzz").args(arguments).current_dir(host::root());
        command
    };
    let built = host::run(&mut fuzz(&["build", "--sanitizer", sanitizer]))?;
    if !built.ok {
        return Err("the fuzz targets do not build".to_owned());
    }
    let listed = host::run(&mut fuzz(&["list"]))?;
    let targets: Vec<&str> = listed.output.lines().collect();
    let limit = format!("-max_total_time={FUZZ_SECONDS}");
    let mut tally = Tally::default();
    for pair in targets.chunks(2) {
        let runs = std::thread::scope(|scope| {
            let start = |target: &&str| {
                let seeds = format!("fuzz/seeds/{target}");
                let corpus = format!("fuzz/corpus/{target}");
                let mut command = fuzz(&["run", "--sanitizer", sanitizer, target, &corpus, &seeds]);
                command.args(["--", &limit, "-timeout=10", "-print_final_stats=0", "-verbosity=0"]);
                scope.spawn(move || {
                    std::fs::create_dir_all(host::root().join(corpus)).map_err(|error| error.to_string())?;
                    host::run(&mut command)
                })
            };
            let running: Vec<_> = pair.iter().map(start).collect();
            running.into_iter().map(|run| run.join().expect("the thread does not panic")).collect::<Vec<_>>()
        });
        for run in runs {
            tally = tally.and(Tally::one(run?.ok));
        }
    }
    Ok(tally)
}

fn conformance() -> Outcome {
    autobahn(&[
        ("server", "ci", false),
        ("client", "ci", false),
        ("server", "tls", true),
        ("client", "tls", true),
    ])
    .into()
}

fn conformance_full() -> Outcome {
    autobahn(&[
        ("server", "full", false),
        ("client", "full", false),
        ("server", "full", true),
        ("client", "full", true),
    ])
    .into()
}

/// Plays the Autobahn|Testsuite: role under test, selection of cases, whether over TLS.
fn autobahn(runs: &[(&str, &str, bool)]) -> Result<Tally, String> {
    let python = python_with_venv()?;
    host::ensure(&["openssl"], "openssl")?;
    let server = server_binary()?;
    release_build(&["--package", "vaiven", "--example", "autobahn_client"])?;
    let client = host::target().join("release/examples/autobahn_client");
    let play = |role: &str, cases: &str, tls: bool, folder: &str| {
        let mut command = Command::new(&python);
        command.arg("conformance/autobahn/run.py").args([role, "--cases", cases, "--out"]);
        command.arg(host::target().join("conformance").join(folder));
        if tls {
            command.arg("--tls");
        }
        command.arg("--");
        if role == "server" {
            command.arg(&server).args(["serve", "--listen", "127.0.0.1:{port}", "--profile", "autobahn"]);
            command.args(["--history", "memory"]);
            if tls {
                command.args(["--tls-cert", "{cert}", "--tls-key", "{key}"]);
            }
        } else {
            command.arg(&client).args(["{url}", "{agent}"]);
        }
        host::run(&mut command).map(|finished| Trial::of_autobahn(&finished))
    };
    let mut tally = Tally::default();
    for (role, cases, tls) in runs {
        let folder = format!("{role}{}-{cases}", if *tls { "-tls" } else { "" });
        let first = play(role, cases, *tls, &folder)?;
        let again = |cases: &[&str]| play(role, &cases.join(","), *tls, &format!("{folder}-again"));
        tally = tally.and(first.and_again(again)?);
    }
    Ok(tally)
}

fn python_with_venv() -> Result<PathBuf, String> {
    let python = host::ensure(&["python3"], "python3")?;
    let has_venv = || host::run(Command::new(&python).args(["-c", "import ensurepip, venv"]));
    if !has_venv()?.ok {
        host::install("python3-venv")?;
    }
    Ok(python)
}

/// OpenSSL to build with, which the other client in Rust asks for.
fn openssl() -> Result<(), String> {
    let pkg_config = host::ensure(&["pkg-config"], "pkg-config")?;
    let is_there = host::run(Command::new(pkg_config).args(["--exists", "openssl"]))?.ok;
    if is_there { Ok(()) } else { host::install("libssl-dev") }
}

/// The server under test: the one that `VAIVEN_BIN` names, or else the release build.
fn server_binary() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("VAIVEN_BIN") {
        return Ok(path.into());
    }
    release_build(&["--package", "vaiven-cli"])?;
    Ok(host::target().join("release/vaiven"))
}

fn release_build(what: &[&str]) -> Result<(), String> {
    let finished = host::run(host::cargo(&["build", "--release"]).args(what))?;
    if finished.ok { Ok(()) } else { Err(format!("cargo build --release {} failed", what.join(" "))) }
}

fn node() -> Outcome {
    node_tests().into()
}

/// Lint and types of the npm package are a check each.
fn node_tests() -> Result<Tally, String> {
    let package = Package::of("packages/node")?;
    package.build()?;
    package.test(&[])
}

fn client() -> Outcome {
    client_tests().into()
}

/// The client is tried with the `WebSocket` of `packages/node` too.
fn client_tests() -> Result<Tally, String> {
    let server = server_binary()?;
    Package::of("packages/node")?.build()?;
    Package::of("packages/client")?.test(&[("VAIVEN_BIN", server)])
}

fn catalogue() -> Outcome {
    catalogue_rows().into()
}

/// Plays the catalogue against the npm package; against our own server and client it is one of the Rust tests.
fn catalogue_rows() -> Result<Tally, String> {
    Package::of("packages/node")?.build()?;
    let mut tally = Tally::default();
    for role in ["server", "client"] {
        let command = format!("node ../../conformance/catalogue/node-{role}.mjs");
        let mut play = host::cargo(&["test", "--package", "vaiven-cli", "--test", "catalogue", "--"]);
        play.args(["--nocapture", "every_case_ends_as_the_catalogue_says"]);
        play.env(format!("CATALOGUE_{}", role.to_uppercase()), command).env("CATALOGUE_ROLE", role);
        let mut finished = host::run(&mut play)?;
        let is_second = !finished.ok;
        if is_second {
            finished = host::run(&mut play)?;
        }
        let mut played = Tally::of_libtest(&finished.output).checked(finished.ok);
        if is_second && finished.ok {
            played.second_tries.push(format!("catalogue against the {role} of the npm package"));
        }
        tally = tally.and(played);
    }
    Ok(tally)
}

fn browser() -> Outcome {
    browser_tests().into()
}

fn browser_tests() -> Result<Tally, String> {
    let chromium = host::ensure(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
    let package = Package::of("tests/browser")?;
    let screenshots = host::target().join("screenshots");
    let variables = [("VAIVEN_BIN", server_binary()?), ("CHROMIUM", chromium), ("SCREENSHOTS", screenshots)];
    let test = |files: &[&str]| package.run_tests(files, "180000", &variables);
    test(&["."])?.and_again(test)
}

fn socketio() -> Outcome {
    socketio_tests().into()
}

/// The server under test is the example `conformance`, in the modes that the tests choose.
fn socketio_tests() -> Result<Tally, String> {
    let python = python_with_venv()?;
    openssl()?;
    release_build(&["--package", "vaiven-socketio", "--example", "conformance"])?;
    let server = host::target().join("release/examples/conformance");
    let package = Package::of("tests/socketio")?;
    let variables = [("SOCKETIO_SERVER", server), ("VAIVEN_BIN", server_binary()?), ("PYTHON", python)];
    let test = |files: &[&str]| package.run_tests(files, "180000", &variables);
    test(&["."])?.and_again(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_suites_are_unique() {
        for (index, suite) in SUITES.iter().enumerate() {
            assert!(SUITES.iter().skip(index + 1).all(|other| other.name != suite.name), "{}", suite.name);
        }
    }
}
