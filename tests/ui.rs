//! What compiles, what must not, and what the compiler then says.
//!
//! The `.stderr` files were read by a person; CONTRIBUTING.md says how to add a case and how to
//! bless one. One case alone: `cargo test -p ferro-idem-tests --test ui -- ui trybuild=NAME`.

use std::process::Command;

/// The compiler that the `.stderr` files were recorded with: others word their messages otherwise.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    let rustc = Command::new("rustc").arg("--version").output().expect("rustc runs");
    if rustc.stdout.starts_with(RECORDED_WITH.as_bytes()) {
        cases.compile_fail("ui/fail/*.rs");
    } else {
        eprintln!("the messages are not compared: they were recorded with {RECORDED_WITH}x");
    }
}
