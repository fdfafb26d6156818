//! The suites of `cargo xtask test`, in the order that they run: what is quick to fail comes first.
//!
//! To add one, write a function that returns a [`Tally`] and add a row to [`SUITES`].

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::host::{self, Finished};
use crate::tidy;

/// How many checks of a suite passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

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
    Suite { name: "fuzz", about: "every fuzz target for a minute", by_default: true, minutes: 45, run: fuzz },
    Suite {
        name: "conformance",
        about: "Autobahn, plain and over TLS",
        by_default: true,
        minutes: 60,
        run: conformance,
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
            Outcome::Skipped(why) if std::env::var_os("CI").is_some() => {
                ("FAILED", Tally { passed: 0, failed: 1 }, why)
            }
            Outcome::Skipped(why) => ("skipped", Tally::default(), why),
            Outcome::Broken(why) => ("FAILED", Tally { passed: 0, failed: 1 }, why),
        };
        total = total.and(tally);
        let counts = format!("{} passed, {} failed", tally.passed, tally.failed);
        let seconds = started.elapsed().as_secs();
        lines.push(
            format!("{:18} {word:8} {counts}, {seconds} s  {detail}", suite.name).trim_end().to_owned(),
        );
    }
    println!("\n{}", lines.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Tally {
    fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// The counts that a tool printed. A tool that failed, but reports no failure, failed once.
    fn checked(self, ok: bool) -> Self {
        if ok || self.failed > 0 { self } else { Self { failed: 1, ..self } }
    }

    /// A tool that is one check.
    fn of(finished: &Finished) -> Self {
        if finished.ok { Self { passed: 1, failed: 0 } } else { Self { passed: 0, failed: 1 } }
    }
}

impl From<Result<Tally, String>> for Outcome {
    fn from(result: Result<Tally, String>) -> Self {
        result.map_or_else(Outcome::Broken, Outcome::Ran)
    }
}

/// The sum of all numbers that stand directly before `word` in the lines that `is_summary` picks.
fn count_before(output: &str, word: &str, is_summary: impl Fn(&str) -> bool) -> usize {
    let numbers = output.lines().filter(|line| is_summary(line)).flat_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pairs: Vec<(&str, &str)> = words.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs
    });
    numbers
        .filter(|(_, after)| after.trim_end_matches([',', ';']) == word)
        .filter_map(|(number, _)| number.parse::<usize>().ok())
        .sum()
}

/// `Summary [ 0.1s] 12 tests run: 11 passed, 1 failed, 0 skipped`
fn nextest_tally(output: &str) -> Tally {
    let summary = |line: &str| line.trim_start().starts_with("Summary [");
    let count = |word| count_before(output, word, summary);
    Tally { passed: count("passed"), failed: count("failed") + count("timed") }
}

/// `test result: ok. 3 passed; 0 failed; ...`
fn libtest_tally(output: &str) -> Tally {
    let summary = |line: &str| line.starts_with("test result:");
    Tally { passed: count_before(output, "passed", summary), failed: count_before(output, "failed", summary) }
}

/// The workspaces of the repository: the product's, and those whose dependencies it must not see.
const WORKSPACES: [&str; 3] = ["Cargo.toml", "fuzz/Cargo.toml", "benches/Cargo.toml"];

/// Runs a command of cargo's for each workspace.
fn in_each_workspace(subcommand: &str, arguments: &[&str]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for manifest in WORKSPACES {
        let mut command = host::cargo(&[subcommand, "--manifest-path", manifest]);
        tally = tally.and(Tally::of(&host::run(command.args(arguments))?));
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
            Outcome::Ran(Tally { passed: outcome.clean_rules(), failed: outcome.broken_rules() })
        }
        Err(why) => Outcome::Broken(why),
    }
}

fn clippy() -> Outcome {
    // The library of the fuzz targets is C++.
    let compiler = host::ensure(CPP_COMPILERS, "g++");
    let arguments = ["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    compiler.and_then(|_| in_each_workspace("clippy", &arguments)).into()
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
            Ok(finished) => tally = tally.and(Tally::of(&finished)),
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
        nextest_tally(&finished.output).checked(finished.ok)
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
        libtest_tally(&finished.output).checked(finished.ok)
    };
    let docs =
        host::run(&mut host::cargo(&["test", "--workspace", "--all-features", "--doc", "--no-fail-fast"]))?;
    Ok(tests.and(libtest_tally(&docs.output).checked(docs.ok)))
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
            tally = tally.and(Tally::of(&run?));
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
    let mut tally = Tally::default();
    for (role, cases, tls) in runs {
        let out = host::target()
            .join("conformance")
            .join(format!("{role}{}-{cases}", if *tls { "-tls" } else { "" }));
        let mut command = Command::new(&python);
        command.arg("conformance/autobahn/run.py").args([role, "--cases", cases, "--out"]).arg(out);
        if *tls {
            command.arg("--tls");
        }
        command.arg("--");
        if *role == "server" {
            command.arg(&server).args(["serve", "--listen", "127.0.0.1:{port}", "--profile", "autobahn"]);
            command.args(["--history", "memory"]);
            if *tls {
                command.args(["--tls-cert", "{cert}", "--tls-key", "{key}"]);
            }
        } else {
            command.arg(&client).args(["{url}", "{agent}"]);
        }
        let finished = host::run(&mut command)?;
        tally = tally.and(autobahn_tally(&finished.output).checked(finished.ok));
    }
    Ok(tally)
}

/// `server, cases ci: 298 OK, 3 INFORMATIONAL, of 301, in 40 s`, then one indented line for each complaint.
fn autobahn_tally(output: &str) -> Tally {
    let cases: usize = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED", "WRONG", "UNCLEAN"]
        .iter()
        .map(|word| count_before(output, word, |line| line.contains(", cases ")))
        .sum();
    let failed = output.lines().filter(|line| line.starts_with("  ")).count();
    Tally { passed: cases.saturating_sub(failed), failed }
}

fn python_with_venv() -> Result<PathBuf, String> {
    let python = host::ensure(&["python3"], "python3")?;
    let has_venv = || host::run(Command::new(&python).args(["-c", "import ensurepip, venv"]));
    if !has_venv()?.ok {
        host::install("python3-venv")?;
    }
    Ok(python)
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

/// Builds the npm package and its native core; lint and types are a check each.
fn node_tests() -> Result<Tally, String> {
    host::ensure(&["node"], "nodejs")?;
    let npm = host::ensure(&["npm"], "npm")?;
    let dir = host::root().join("packages/node");
    let npm = |arguments: &[&str]| {
        host::run(Command::new(&npm).args(arguments).env("NO_COLOR", "1").current_dir(&dir))
    };
    if !is_installed(&dir) && !npm(&["ci", "--no-audit", "--no-fund"])?.ok {
        return Err("npm ci failed in packages/node".to_owned());
    }
    if !npm(&["run", "build"])?.ok {
        return Err("packages/node does not build".to_owned());
    }
    let checked = Tally::of(&npm(&["run", "check"])?);
    let tested = npm(&["test"])?;
    Ok(checked.and(node_tally(&tested.output).checked(tested.ok)))
}

fn browser() -> Outcome {
    browser_tests().into()
}

fn browser_tests() -> Result<Tally, String> {
    let node = host::ensure(&["node"], "nodejs")?;
    let npm = host::ensure(&["npm"], "npm")?;
    let chromium = host::ensure(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
    let dir = host::root().join("tests/browser");
    if !is_installed(&dir) {
        let finished =
            host::run(Command::new(npm).args(["ci", "--no-audit", "--no-fund"]).current_dir(&dir))?;
        if !finished.ok {
            return Err("npm ci failed in tests/browser".to_owned());
        }
    }
    let server = server_binary()?;
    let mut command = Command::new(node);
    command
        .args(["--test", "--test-concurrency=1", "--test-timeout=180000", "--test-reporter=spec", "."])
        .current_dir(&dir);
    command
        .env("VAIVEN_BIN", server)
        .env("CHROMIUM", chromium)
        .env("SCREENSHOTS", host::target().join("screenshots"));
    let finished = host::run(&mut command)?;
    Ok(node_tally(&finished.output).checked(finished.ok))
}

/// Whether npm installed what the lock file now says.
fn is_installed(dir: &Path) -> bool {
    let modified = |name: &str| std::fs::metadata(dir.join(name)).and_then(|data| data.modified());
    match (modified("node_modules/.package-lock.json"), modified("package-lock.json")) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}

/// `ℹ pass 12` and `ℹ fail 0`
fn node_tally(output: &str) -> Tally {
    let count = |word: &str| {
        let numbers =
            output.lines().filter_map(|line| line.trim_start_matches(['ℹ', '#', ' ']).strip_prefix(word));
        numbers.filter_map(|number| number.trim().parse::<usize>().ok()).sum()
    };
    Tally { passed: count("pass "), failed: count("fail ") + count("cancelled ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summary_is_counted() {
        let output = "     Summary [   0.012s] 4 tests run: 2 passed, 1 failed, 1 timed out, 3 skipped\n";
        assert_eq!(nextest_tally(output), Tally { passed: 2, failed: 2 });
    }

    #[test]
    fn libtest_summaries_are_added_up() {
        let line = "test result: ok. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(libtest_tally(&line.repeat(2)), Tally { passed: 6, failed: 2 });
    }

    #[test]
    fn autobahn_complaints_are_failures() {
        let output =
            "server, cases ci: 61 OK, 4 NON-STRICT, 3 INFORMATIONAL, of 68, in 9 s\n  6.4.1: NON-STRICT\n";
        assert_eq!(autobahn_tally(output), Tally { passed: 67, failed: 1 });
    }

    #[test]
    fn node_summary_is_counted() {
        assert_eq!(node_tally("ℹ tests 3\nℹ pass 2\nℹ fail 1\n"), Tally { passed: 2, failed: 1 });
    }

    #[test]
    fn failure_without_counts_is_one_failure() {
        assert_eq!(Tally::default().checked(false), Tally { passed: 0, failed: 1 });
        assert_eq!(Tally { passed: 5, failed: 2 }.checked(false), Tally { passed: 5, failed: 2 });
    }

    #[test]
    fn names_of_suites_are_unique() {
        for (index, suite) in SUITES.iter().enumerate() {
            assert!(SUITES.iter().skip(index + 1).all(|other| other.name != suite.name), "{}", suite.name);
        }
    }
}
