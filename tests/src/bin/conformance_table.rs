//! Prints which log keeps which promise, as a table in Markdown:
//! `cargo run -p ferro-idem-tests --bin conformance_table`.
//!
//! ✓ kept, ✗ broken, – not promised by this log, empty where the suite is not for it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode, Stdio};

use ferro_idem::conformance::{
    claims, claims_with_transactions, fence, fence_with_claims, fence_with_transactions, transactions,
};

const SUITES: [(&str, &[(&str, &str)]); 6] = [
    ("fence", fence::CASES),
    ("claims", claims::CASES),
    ("transactions", transactions::CASES),
    ("fence_with_claims", fence_with_claims::CASES),
    ("fence_with_transactions", fence_with_transactions::CASES),
    ("claims_with_transactions", claims_with_transactions::CASES),
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
    if verdicts.is_empty() {
        eprintln!("no test ran:\n{output}");
        return ExitCode::FAILURE;
    }
    print!("{}", table(&verdicts));
    if verdicts.values().any(|verdict| *verdict == "✗") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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

fn table(verdicts: &Verdicts<'_>) -> String {
    let logs: BTreeSet<_> = verdicts.keys().map(|(_, log)| *log).collect();
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
