//! A package of npm in the repository: its dependencies, its build, its tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::{self, Finished};
use crate::tally::{Tally, Trial};

/// Arguments that make Node run test files one after the other.
pub(crate) const NODE_TESTS: [&str; 3] = ["--test", "--test-concurrency=1", "--test-reporter=spec"];

/// One whose dependencies are there, as its lock file says.
pub(crate) struct Package {
    name: &'static str,
    dir: PathBuf,
    node: PathBuf,
    npm: PathBuf,
}

impl Package {
    /// The package in a folder of the repository; its dependencies are installed when they are not there.
    pub(crate) fn of(name: &'static str) -> Result<Self, String> {
        let node = host::ensure(&["node"], "nodejs")?;
        let npm = host::ensure(&["npm"], "npm")?;
        let package = Self { name, dir: host::root().join(name), node, npm };
        if !is_installed(&package.dir) && !package.npm(&["ci", "--no-audit", "--no-fund"], &[])?.ok {
            return Err(format!("npm ci failed in {name}"));
        }
        Ok(package)
    }

    pub(crate) fn build(&self) -> Result<(), String> {
        let built = self.npm(&["run", "build"], &[])?;
        if built.ok { Ok(()) } else { Err(format!("{} does not build", self.name)) }
    }

    /// Lint and types are one check, then come the tests; a file with a failure is tried once more.
    pub(crate) fn test(&self, variables: &[(&str, PathBuf)]) -> Result<Tally, String> {
        let checked = Tally::one(self.npm(&["run", "check"], variables)?.ok);
        let first = Trial::of_node(&self.npm(&["test"], variables)?);
        Ok(checked.and(first.and_again(|files| self.run_tests(files, "900000", variables))?))
    }

    /// Runs files of tests, without what `npm test` does before.
    pub(crate) fn run_tests(
        &self,
        files: &[&str],
        milliseconds: &str,
        variables: &[(&str, PathBuf)],
    ) -> Result<Trial, String> {
        let mut command = Command::new(&self.node);
        command.args(NODE_TESTS).arg(format!("--test-timeout={milliseconds}")).args(files);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("NO_COLOR", "1").current_dir(&self.dir);
        host::run(&mut command).map(|finished| Trial::of_node(&finished))
    }

    fn npm(&self, arguments: &[&str], variables: &[(&str, PathBuf)]) -> Result<Finished, String> {
        let mut command = Command::new(&self.npm);
        command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
        host::run(command.env("NO_COLOR", "1").current_dir(&self.dir))
    }
}

/// Whether npm installed what the lock file now says.
fn is_installed(dir: &Path) -> bool {
    let modified = |name: &str| std::fs::metadata(dir.join(name)).and_then(|data| data.modified());
    match (modified("node_modules/.package-lock.json"), modified("package-lock.json")) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}
