//! The machine that the suites run on: programs, packages, processes.
//!
//! What is missing is installed where that is allowed (root with apt); else the caller learns what to install.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

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

/// Runs a command from the root of the workspace, without input, showing and keeping what it writes.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<Finished, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let out = child.stdout.take().expect("stdout was asked for above");
    let err = child.stderr.take().expect("stderr was asked for above");
    let output = Mutex::new(String::new());
    std::thread::scope(|scope| {
        scope.spawn(|| copy_lines(out, &output));
        scope.spawn(|| copy_lines(err, &output));
    });
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    Ok(Finished { ok: status.success(), output: output.into_inner().unwrap_or_default() })
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
