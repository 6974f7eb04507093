//! The time of a refusal reveals nothing about the right signature.

use std::process::{Command, Output};

/// All instructions of one run, counted by valgrind.
fn instructions(digit: usize, calls: usize) -> i64 {
    let Output { status, stderr, .. } = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_verify_forged"))
        .args([digit.to_string(), calls.to_string()])
        .output()
        .expect("valgrind is installed by tests/run");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected.expect(&said).1.trim().parse().unwrap()
}

/// A comparison that stops at the first wrong digit, or word, would execute fewer instructions for an early one.
#[test]
#[ignore = "needs valgrind: run tests/run"]
fn a_forged_signature_takes_equally_long_at_every_wrong_digit() {
    const CALLS: i64 = 200;
    let per_call = |digit| {
        // The difference cancels the start of the process, which varies by a few instructions from run to run.
        let executed = instructions(digit, 210) - instructions(digit, 10);
        (executed + CALLS / 2) / CALLS
    };
    let first = per_call(0);
    assert!(first > 1_000, "{first} instructions are no HMAC");
    for digit in [7, 8, 31, 32, 63] {
        assert_eq!(per_call(digit), first, "wrong at digit {digit}");
    }
}
