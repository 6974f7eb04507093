//! Prints which log keeps which promise, as a table in Markdown:
//! `cargo run -p ferro-idem-tests --bin conformance_table`.
//!
//! ✓ kept, ✗ broken, – not promised by this log, empty where the suite is not for it. It fails where a promise
//! is broken, and where a case did not run.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode, Stdio};

use ferro_idem::conformance::{
    claims, claims_with_transactions, fence, fence_with_claims, fence_with_transactions, inbox, replay,
    replay_in_transactions, transactions,
};

const SUITES: [(&str, &[(&str, &str)]); 9] = [
    ("fence", fence::CASES),
    ("claims", claims::CASES),
    ("transactions", transactions::CASES),
    ("fence_with_claims", fence_with_claims::CASES),
    ("fence_with_transactions", fence_with_transactions::CASES),
    ("claims_with_transactions", claims_with_transactions::CASES),
    ("replay", replay::CASES),
    ("replay_in_transactions", replay_in_transactions::CASES),
    ("inbox", inbox::CASES),
];

/// By `SUITE::CASE` and log.
type Verdicts<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

fn main() -> ExitCode {
    let tests = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--package", "ferro-idem-tests", "--test", "conformance", "--"])
        .args(["--include-ignored", "--show-output", "--skip", "broken::"])
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let output = String::from_utf8_lossy(&tests.stdout);
    let verdicts = verdicts(&output);
    print!("{}", table(&verdicts));
    let missing = missing(&verdicts);
    if tests.status.success() && !verdicts.is_empty() && missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{output}\nthe tests: {}", tests.status);
    for (case, log) in missing {
        eprintln!("{case} did not run on {log}");
    }
    ExitCode::FAILURE
}

/// Reads what libtest printed: `test LOG::SUITE::CASE ... ok`, and behind that what each test said.
fn verdicts(output: &str) -> Verdicts<'_> {
    let mut verdicts = Verdicts::new();
    let mut speaking = None;
    for line in output.lines() {
        if let Some((name, verdict)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) {
            if let Some(key) = case_and_log(name) {
                verdicts.insert(key, if verdict == "ok" { "✓" } else { "✗" });
            }
        } else if let Some(name) =
            line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"))
        {
            speaking = case_and_log(name);
        } else if line.starts_with("not promised by this log: ") {
            speaking.and_then(|key| verdicts.insert(key, "–"));
        }
    }
    verdicts
}

fn case_and_log(name: &str) -> Option<(&str, &str)> {
    let name = name.split(" - ").next()?.trim();
    SUITES.iter().find_map(|(suite, _)| {
        let at = name.find(&format!("::{suite}::"))?;
        Some((name.get(at + 2..)?, name.get(..at)?))
    })
}

fn logs<'a>(verdicts: &Verdicts<'a>) -> BTreeSet<&'a str> {
    verdicts.keys().map(|(_, log)| *log).collect()
}

/// The cases that a log has no verdict on, in the suites that it runs.
fn missing<'a>(verdicts: &Verdicts<'a>) -> Vec<(String, &'a str)> {
    let mut missing = Vec::new();
    for log in logs(verdicts) {
        for (suite, cases) in SUITES {
            let (ran, did_not): (Vec<_>, Vec<_>) = cases
                .iter()
                .map(|(case, _)| format!("{suite}::{case}"))
                .partition(|case| verdicts.contains_key(&(case.as_str(), log)));
            if !ran.is_empty() {
                missing.extend(did_not.into_iter().map(|case| (case, log)));
            }
        }
    }
    missing
}

fn table(verdicts: &Verdicts<'_>) -> String {
    let logs = logs(verdicts);
    let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let header = std::iter::once("case").chain(logs.iter().copied());
    let mut table = row(header.collect());
    table += &row(vec!["---"; logs.len() + 1]);
    for (suite, cases) in SUITES {
        for (case, _) in cases {
            let case = format!("{suite}::{case}");
            let mut cells = vec![case.as_str()];
            cells.extend(
                logs.iter().map(|log| verdicts.get(&(case.as_str(), *log)).copied().unwrap_or_default()),
            );
            table += &row(cells);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libtest prints of a log that runs the fence.
    fn printed(cases: &[(&str, &str)], verdict: &str) -> String {
        let line = |(case, _): &(&str, &str)| format!("test mine::fence::{case} ... {verdict}\n");
        cases.iter().map(line).collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_table_misses_a_case_that_did_not_run() {
        let all = printed(fence::CASES, "ok");
        assert!(missing(&verdicts(&all)).is_empty(), "other suites are not for it");
        let (first, rest) = fence::CASES.split_first().unwrap();
        let all_but_one = printed(rest, "ok");
        assert_eq!(missing(&verdicts(&all_but_one)), [(format!("fence::{}", first.0), "mine")]);
    }

    #[test]
    fn a_verdict_is_what_libtest_said_or_what_the_test_said_itself() {
        let output = format!(
            "{}---- mine::fence::marks_survive_a_restart stdout ----\n\
             not promised by this log: to survive a restart\ntest mine::fence::bad_ids_are_refused ... FAILED\n",
            printed(fence::CASES, "ok")
        );
        let verdicts = verdicts(&output);
        assert_eq!(verdicts[&("fence::of_many_racers_one_is_first", "mine")], "✓");
        assert_eq!(verdicts[&("fence::marks_survive_a_restart", "mine")], "–");
        assert_eq!(verdicts[&("fence::bad_ids_are_refused", "mine")], "✗");
    }
}
