//! The machine that the suites run on: programs, packages, processes.
//!
//! What is missing is installed where that is allowed (root with apt); else the caller learns what to install.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// What a finished process left behind.
pub(crate) struct Finished {
    /// Whether it ended with status 0.
    pub(crate) ok: bool,
    /// What it wrote, both streams, in the order that lines arrived.
    pub(crate) output: String,
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.parent().expect("xtask is a folder of the workspace").to_path_buf()
    })
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// When what runs is ended.
static DEADLINE: Mutex<Option<Instant>> = Mutex::new(None);

/// Ends what [`run`] runs from here on, if it takes longer.
pub(crate) fn set_deadline(deadline: Instant) {
    *DEADLINE.lock().expect("nobody panics with it") = Some(deadline);
}

/// Runs a command from the root of the workspace, without input, showing and keeping what it writes.
///
/// # Errors
/// The command cannot be started, or takes too long.
pub(crate) fn run(command: &mut Command) -> Result<Finished, String> {
    let deadline = *DEADLINE.lock().expect("nobody panics with it");
    run_until(command, deadline)
}

fn run_until(command: &mut Command, deadline: Option<Instant>) -> Result<Finished, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let out = child.stdout.take().expect("stdout was asked for above");
    let err = child.stderr.take().expect("stderr was asked for above");
    let output = Mutex::new(String::new());
    let (id, is_late) = (child.id(), AtomicBool::new(false));
    let status = std::thread::scope(|scope| {
        let readers = [scope.spawn(|| copy_lines(out, &output)), scope.spawn(|| copy_lines(err, &output))];
        let (over, told) = mpsc::channel::<()>();
        if let Some(deadline) = deadline {
            let is_late = &is_late;
            scope.spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                if told.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                    is_late.store(true, Ordering::Relaxed);
                    end_with_descendants(id);
                }
            });
        }
        for reader in readers {
            // A reader that panicked has shown why.
            let _ = reader.join();
        }
        let status = child.wait();
        drop(over);
        status
    });
    if is_late.into_inner() {
        return Err(format!("{name} took too long and was ended"));
    }
    let status = status.map_err(|error| format!("{name}: {error}"))?;
    Ok(Finished { ok: status.success(), output: output.into_inner().unwrap_or_default() })
}

/// Kills a process and, as far as `/proc` tells, all that it started: that would else keep what it writes open.
fn end_with_descendants(id: u32) {
    let parents = parents();
    let mut doomed = vec![id];
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    // Some of them may have ended meanwhile.
    let doomed = doomed.iter().map(u32::to_string);
    let _ = Command::new("sh").args(["-c", "kill -KILL \"$@\"", "kill"]).args(doomed).output();
}

/// All processes, each with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pair = |process: std::fs::DirEntry| {
        let id = process.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(process.path().join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some((id, parent.trim().parse().ok()?))
    };
    processes.flatten().filter_map(pair).collect()
}

fn copy_lines(stream: impl Read, output: &Mutex<String>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        if let Ok(mut all) = output.lock() {
            all.push_str(&text);
        }
        line.clear();
    }
}

/// Where a program is found in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Finds one of several names of a program, after installing a Debian package where that is allowed.
///
/// # Errors
/// It is not there; the text says what to install.
pub(crate) fn ensure(programs: &[&str], package: &str) -> Result<PathBuf, String> {
    let look = || programs.iter().find_map(|program| find(program));
    if let Some(path) = look() {
        return Ok(path);
    }
    install(package)?;
    look().ok_or_else(|| format!("{package} was installed, but there is no {}", programs.join(" or ")))
}

/// Installs a Debian package.
///
/// # Errors
/// That is not possible here; the text says what to install.
pub(crate) fn install(package: &str) -> Result<(), String> {
    let advice = format!("{package} is missing: install it (Debian, Ubuntu: apt-get install {package})");
    if !is_root() || find("apt-get").is_none() {
        return Err(advice);
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run(command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-y"]).args(arguments))
    };
    apt(&["update"])?;
    if apt(&["install", "--no-install-recommends", package])?.ok { Ok(()) } else { Err(advice) }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_command_that_hangs_is_ended_with_all_that_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 1000 & sleep 1000"]);
        let ended = run_until(&mut command, Some(Instant::now() + Duration::from_millis(300)));
        assert!(ended.is_err_and(|why| why.contains("took too long")));
    }

    #[test]
    fn a_command_in_time_leaves_its_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let finished = run_until(&mut command, Some(Instant::now() + Duration::from_mins(1))).unwrap();
        assert!(!finished.ok && finished.output.contains("one\n") && finished.output.contains("two\n"));
    }
}
