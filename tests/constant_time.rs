//! The time of a refusal reveals nothing about the right signature.

use std::process::{Command, Output};

use ferro_idem_tests::senders::PROFILES;

/// All instructions of one run, counted by valgrind.
fn instructions(sender: &str, character: usize, calls: usize) -> i64 {
    let Output { status, stderr, .. } = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_verify_forged"))
        .args([sender, &character.to_string(), &calls.to_string()])
        .output()
        .expect("valgrind is installed by tests/run");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected.expect(&said).1.trim().parse().unwrap()
}

/// A comparison that stops at the first wrong character, or word, would execute fewer instructions for an early one.
#[test]
#[ignore = "needs valgrind: run tests/run"]
fn a_forged_signature_takes_equally_long_at_every_wrong_character() {
    const CALLS: i64 = 400;
    // Ed25519 compares nothing that is secret.
    for profile in PROFILES.iter().filter(|profile| !profile.name.contains("Ed25519")) {
        let per_call = |character| {
            // The difference cancels the start of the process, which varies by a few instructions from run to run.
            let executed =
                instructions(profile.name, character, 410) - instructions(profile.name, character, 10);
            (executed + CALLS / 2) / CALLS
        };
        // In hex a signature has 64 characters, in base64 it has 44, of which the last is `=`.
        let last = per_call(1);
        println!("{}: {last} instructions", profile.name);
        assert!(last > 1_000, "{}: {last} instructions are no HMAC", profile.name);
        for character in
            [8, 31, 32, 43, 63].into_iter().filter(|character| is_of(profile.signature, *character))
        {
            assert_eq!(per_call(character), last, "{}: wrong at character {character}", profile.name);
        }
    }
}

/// Whether a signature of this header has such a character.
fn is_of(header: &str, character: usize) -> bool {
    let is_base64 = ["webhook-signature", "X-Shopify-Hmac-Sha256", "x-square-hmacsha256-signature"];
    character < if is_base64.contains(&header) { 44 } else { 64 }
}
