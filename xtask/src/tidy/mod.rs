//! The style that a reviewer should not have to check: sources -> findings.
//!
//! Looks at the files that git tracks or would track, and at nothing outside of them: the same tree gives the
//! same findings everywhere. What may differ for a while stands in [`EXCEPTIONS`], and an exception that
//! nothing needs any longer is a finding too, so that the list only shrinks.

mod rules;
mod source;

use std::process::{Command, ExitCode};

use crate::host;
use source::Source;

/// Findings that are accepted for now: rule, path, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    rule: &'static str,
    path: String,
    /// Counted from 1; 0 when the whole file is meant.
    line: usize,
    what: String,
}

/// What a check of the workspace brought up.
pub(crate) struct Report {
    findings: Vec<Finding>,
    /// Files that are longer than they should become.
    long: Vec<(String, usize)>,
}

impl Report {
    /// How many rules found nothing.
    pub(crate) fn clean_rules(&self) -> usize {
        rules::RULES.len() + 1 - self.broken_rules()
    }

    /// How many rules found something.
    pub(crate) fn broken_rules(&self) -> usize {
        let mut names: Vec<_> = self.findings.iter().map(|finding| finding.rule).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Shows every finding, as `path:line: what [rule]`.
    pub(crate) fn print(&self) {
        for (path, lines) in &self.long {
            println!("note: {path}: {lines} lines, aim for {}", rules::LONG_FILE);
        }
        for Finding { rule, path, line, what } in &self.findings {
            let place = if *line == 0 { path.clone() } else { format!("{path}:{line}") };
            println!("{place}: {what} [{rule}]");
        }
    }
}

/// `cargo xtask tidy`
pub(crate) fn report() -> ExitCode {
    match check_workspace() {
        Ok(report) => {
            report.print();
            println!("{} rules kept, {} broken", report.clean_rules(), report.broken_rules());
            if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Checks every file of the workspace.
///
/// # Errors
/// The files cannot be listed or read.
pub(crate) fn check_workspace() -> Result<Report, String> {
    let mut sources = Vec::new();
    for path in listed_files()? {
        let Ok(bytes) = std::fs::read(host::root().join(&path)) else {
            continue; // deleted, but not yet from the index
        };
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source::new(path, text));
        }
    }
    Ok(check(&sources, EXCEPTIONS))
}

fn check(sources: &[Source], exceptions: &[(&'static str, &str, &str)]) -> Report {
    let mut findings: Vec<Finding> = rules::RULES.iter().flat_map(|rule| rule(sources)).collect();
    let unneeded: Vec<Finding> = exceptions
        .iter()
        .filter(|(rule, path, _)| {
            !findings.iter().any(|finding| finding.rule == *rule && finding.path == *path)
        })
        .map(|(rule, path, _)| Finding {
            rule: "exceptions",
            path: (*path).to_owned(),
            line: 0,
            what: format!("the exception for {rule} is no longer needed: remove it"),
        })
        .collect();
    findings
        .retain(|found| !exceptions.iter().any(|(rule, path, _)| found.rule == *rule && found.path == *path));
    findings.extend(unneeded);
    let long = sources.iter().filter(|source| source.is_code() && source.lines().count() > rules::LONG_FILE);
    Report { findings, long: long.map(|source| (source.path.clone(), source.lines().count())).collect() }
}

fn listed_files() -> Result<Vec<String>, String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(host::root())
        .output()
        .map_err(|error| format!("cannot list the files: git: {error}"))?;
    if !output.status.success() {
        return Err(format!("cannot list the files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let list = String::from_utf8(output.stdout).map_err(|_| "a file name is not UTF-8".to_owned())?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Vec<Source> {
        vec![Source::new("crates/vaiven/src/lib.rs".to_owned(), text.to_owned())]
    }

    #[test]
    fn exception_silences_its_finding() {
        let report = check(&sources("fn f() {}\n"), &[("module-doc", "crates/vaiven/src/lib.rs", "a test")]);
        assert_eq!(report.findings, []);
    }

    #[test]
    fn exception_that_nothing_needs_is_a_finding() {
        let report = check(&sources("//! A.\n"), &[("module-doc", "crates/vaiven/src/lib.rs", "a test")]);
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].rule, "exceptions");
        assert_eq!(report.broken_rules(), 1);
    }

    #[test]
    fn long_file_is_noted_before_it_is_a_finding() {
        let text = format!("//! A.\n{}", "// b\n".repeat(rules::LONG_FILE));
        let report = check(&sources(&text), &[]);
        assert_eq!(report.findings, []);
        assert_eq!(report.long, [("crates/vaiven/src/lib.rs".to_owned(), rules::LONG_FILE + 1)]);
    }
}
