//! What tools print to how many checks passed and failed, and what is tried once more.
//!
//! A test that fails is tried a second time, alone. If it passes then it counts as passed and is named: one that needs
//! a second try is a defect, though not of the change that met it. One that fails again has failed.

use std::collections::BTreeSet;

use crate::host::Finished;

/// How many checks of a suite passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Those among the passed that failed at first.
    pub(crate) second_tries: Vec<String>,
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Failure {
    /// What is run to try it once more: a file of tests, a case.
    pub(crate) part: String,
    pub(crate) name: String,
}

/// One run of a tool that names what failed.
#[derive(Debug)]
pub(crate) struct Trial {
    tally: Tally,
    failures: BTreeSet<Failure>,
}

impl Tally {
    pub(crate) fn of(passed: usize, failed: usize) -> Self {
        Self { passed, failed, second_tries: Vec::new() }
    }

    /// A tool that is one check.
    pub(crate) fn one(ok: bool) -> Self {
        if ok { Self::of(1, 0) } else { Self::of(0, 1) }
    }

    /// `Summary [ 0.1s] 12 tests run: 11 passed (1 flaky), 1 failed, 0 skipped`, and below it
    /// `FLAKY 2/2 [ 0.1s] (3/12) crate::binary name` for what passed when nextest tried it again by itself.
    pub(crate) fn of_nextest(output: &str) -> Self {
        let summary = |line: &str| line.trim_start().starts_with("Summary [");
        let count = |word| count_before(output, word, summary);
        let flaky = output.lines().filter(|line| line.trim_start().starts_with("FLAKY "));
        // Behind the time may stand which of all tests it was.
        let name = |line: &str| {
            let (_, name) = line.split_once(") ").or_else(|| line.split_once("] ")).unwrap_or(("", line));
            name.trim().to_owned()
        };
        let second_tries = flaky.map(name).collect();
        Self { second_tries, ..Self::of(count("passed"), count("failed") + count("timed")) }
    }

    /// `test result: ok. 3 passed; 0 failed; ...`
    pub(crate) fn of_libtest(output: &str) -> Self {
        let summary = |line: &str| line.starts_with("test result:");
        Self::of(count_before(output, "passed", summary), count_before(output, "failed", summary))
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.second_tries.extend(other.second_tries);
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed, ..self }
    }

    /// The counts that a tool printed. A tool that failed, but reports no failure, failed once.
    pub(crate) fn checked(self, ok: bool) -> Self {
        if ok || self.failed > 0 { self } else { Self { failed: 1, ..self } }
    }
}

impl Trial {
    /// `ℹ pass 12` and `ℹ fail 0`; for each failure two lines, `test at FILE:1:1` and `✖ NAME (1.2ms)`.
    pub(crate) fn of_node(finished: &Finished) -> Self {
        let output = &finished.output;
        let count = |word: &str| {
            let numbers =
                output.lines().filter_map(|line| line.trim_start_matches(['ℹ', '#', ' ']).strip_prefix(word));
            numbers.filter_map(|number| number.trim().parse::<usize>().ok()).sum::<usize>()
        };
        let tally = Tally::of(count("pass "), count("fail ") + count("cancelled "));
        let pairs = output.lines().zip(output.lines().skip(1));
        let failure = |(place, test): (&str, &str)| {
            let part = place.strip_prefix("test at ")?.rsplitn(3, ':').nth(2)?.to_owned();
            let test = test.strip_prefix("✖ ")?;
            let name = test.rsplit_once(" (").map_or(test, |(name, _)| name);
            Some(Failure { name: format!("{part}: {name}"), part })
        };
        Self { tally: tally.checked(finished.ok), failures: pairs.filter_map(failure).collect() }
    }

    /// `server, cases ci: 298 OK, 3 INFORMATIONAL, of 301, in 40 s`, then for each complaint a line as
    /// `  6.4.1: NON-STRICT, expected OK`.
    pub(crate) fn of_autobahn(finished: &Finished) -> Self {
        let output = &finished.output;
        let summary = output.lines().find(|line| line.contains(", cases ")).unwrap_or_default();
        let cases: usize =
            ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED", "WRONG", "UNCLEAN"]
                .iter()
                .map(|word| count_before(summary, word, |_| true))
                .sum();
        let complaints: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        let run = summary.split_once(',').map_or("", |(run, _)| run);
        let failure = |complaint: &&str| {
            let (case, _) = complaint.split_once(": ")?;
            let is_case = case.contains('.') && case.split('.').all(|number| number.parse::<u32>().is_ok());
            is_case.then(|| Failure { part: case.to_owned(), name: format!("Autobahn, {run}: {case}") })
        };
        let tally = Tally::of(cases.saturating_sub(complaints.len()), complaints.len());
        // A complaint about the run as a whole is not put right by what single cases do.
        let failures: Option<BTreeSet<Failure>> = complaints.iter().map(failure).collect();
        Self { tally: tally.checked(finished.ok), failures: failures.unwrap_or_default() }
    }

    /// Tries the parts in which a check failed once more, with `again`.
    ///
    /// # Errors
    /// Those of `again`.
    pub(crate) fn and_again(
        self,
        again: impl FnOnce(&[&str]) -> Result<Self, String>,
    ) -> Result<Tally, String> {
        let parts: BTreeSet<&str> = self.failures.iter().map(|failure| &*failure.part).collect();
        if self.tally.failed == 0 || parts.is_empty() {
            return Ok(self.tally);
        }
        let parts: Vec<&str> = parts.into_iter().collect();
        println!("\n-- once more: {}", parts.join(" "));
        let second = again(&parts)?;
        let failed = second.tally.failed;
        let passed = (self.tally.passed + self.tally.failed).saturating_sub(failed);
        let names = self.failures.difference(&second.failures).map(|failure| failure.name.clone());
        Ok(Tally { passed, failed, second_tries: names.collect() })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(ok: bool, output: &str) -> Finished {
        Finished { ok, output: output.to_owned() }
    }

    /// A run of two files of tests in which these failed, of five.
    fn node(failed: &[(&str, &str)]) -> Trial {
        let counts = format!("ℹ pass {}\nℹ fail {}\n\n✖ failing tests:\n", 5 - failed.len(), failed.len());
        let lines = failed.iter().map(|(file, name)| {
            format!("\ntest at {file}:3:1\n✖ {name} (1.25ms)\n  Error: x\n      at {file}:3:33\n")
        });
        Trial::of_node(&finished(failed.is_empty(), &(counts + &lines.collect::<String>())))
    }

    #[test]
    fn nextest_summary_is_counted() {
        let output = "     Summary [   0.012s] 4 tests run: 2 passed, 1 failed, 1 timed out, 3 skipped\n";
        assert_eq!(Tally::of_nextest(output), Tally::of(2, 2));
    }

    #[test]
    fn what_nextest_tried_twice_is_counted_as_passed_and_named() {
        let output = "  TRY 1 FAIL [   0.241s] (───) fl::server flaky\n  TRY 2 PASS [   0.005s] (2/3) fl::server flaky\n\
            \u{20}    Summary [   0.368s] 3 tests run: 2 passed (1 flaky), 1 failed, 0 skipped\n\
            \u{20}  FLAKY 2/2 [   0.005s] (2/3) fl::server flaky\n  TRY 2 FAIL [   0.145s] (3/3) fl broken\n";
        let second_tries = vec!["fl::server flaky".to_owned()];
        assert_eq!(Tally::of_nextest(output), Tally { second_tries, ..Tally::of(2, 1) });
    }

    #[test]
    fn libtest_summaries_are_added_up() {
        let line = "test result: ok. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Tally::of_libtest(&line.repeat(2)), Tally::of(6, 2));
    }

    #[test]
    fn autobahn_complaints_are_failures() {
        let output = "server, cases ci: 61 OK, 4 NON-STRICT, 3 INFORMATIONAL, of 68, in 9 s\n\
            \u{20} 6.4.1: NON-STRICT, expected OK\n";
        let trial = Trial::of_autobahn(&finished(false, output));
        assert_eq!(trial.tally, Tally::of(67, 1));
        let (part, name) = ("6.4.1".to_owned(), "Autobahn, server: 6.4.1".to_owned());
        assert_eq!(trial.failures, BTreeSet::from([Failure { part, name }]));
        let incomplete = format!("{output}  1 of 69 cases did not run\n");
        let trial = Trial::of_autobahn(&finished(false, &incomplete));
        assert_eq!((trial.tally, trial.failures), (Tally::of(66, 2), BTreeSet::new()));
    }

    #[test]
    fn node_summary_is_counted() {
        assert_eq!(node(&[("a.mjs", "one")]).tally, Tally::of(4, 1));
    }

    #[test]
    fn failure_without_counts_is_one_failure() {
        assert_eq!(Tally::default().checked(false), Tally::of(0, 1));
        assert_eq!(Tally::of(5, 2).checked(false), Tally::of(5, 2));
        assert_eq!(Trial::of_node(&finished(false, "killed")).tally, Tally::of(0, 1));
    }

    #[test]
    fn a_file_in_which_a_test_failed_is_tried_once_more_and_its_tests_are_named() {
        let first = node(&[("a.mjs", "one: two (three)"), ("a.mjs", "four")]);
        let tally = first.and_again(|files| {
            assert_eq!(files, ["a.mjs"]);
            Ok(node(&[]))
        });
        let second_tries = vec!["a.mjs: four".to_owned(), "a.mjs: one: two (three)".to_owned()];
        assert_eq!(tally, Ok(Tally { second_tries, ..Tally::of(5, 0) }));
    }

    #[test]
    fn what_fails_at_the_second_try_has_failed() {
        let first = node(&[("a.mjs", "one"), ("b.mjs", "two")]);
        let tally = first.and_again(|_| Ok(node(&[("b.mjs", "two")])));
        assert_eq!(tally, Ok(Tally { second_tries: vec!["a.mjs: one".to_owned()], ..Tally::of(4, 1) }));
        let killed = node(&[("a.mjs", "one")]).and_again(|_| Ok(Trial::of_node(&finished(false, "killed"))));
        assert_eq!(killed.map(|tally| tally.failed), Ok(1));
    }

    #[test]
    fn what_passed_or_cannot_be_named_is_not_tried_again() {
        let never = |_: &[&str]| -> Result<Trial, String> { panic!("there is nothing to try again") };
        assert_eq!(node(&[]).and_again(never), Ok(Tally::of(5, 0)));
        assert_eq!(Trial::of_node(&finished(false, "killed")).and_again(never), Ok(Tally::of(0, 1)));
    }
}
