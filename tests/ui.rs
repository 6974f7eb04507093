//! What compiles, what must not, and what the compiler then says.
//!
//! The `.stderr` files were read by a person; CONTRIBUTING.md says how to add a case and how to
//! bless one. One case alone: `cargo test -p ferro-idem-tests --test ui -- ui trybuild=NAME`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;

/// The cases that have to compile are compiled with this test: trybuild would compile all dependencies once more.
macro_rules! pass {
    ($($path:literal => $name:ident),* $(,)?) => {
        $(
            #[path = $path]
            #[allow(dead_code, unused_variables, clippy::pedantic, reason = "it only has to compile")]
            mod $name;
        )*

        const PASS: &[&str] = &[$(stringify!($name)),*];
    };
}

pass! {
    "ui/pass/generic_over_the_log.rs" => generic_over_the_log,
    "ui/pass/in_an_axum_router.rs" => in_an_axum_router,
    "ui/pass/claim_generic_over_the_log.rs" => claim_generic_over_the_log,
    "ui/pass/claim_in_an_axum_router.rs" => claim_in_an_axum_router,
}

#[test]
fn no_case_that_has_to_compile_is_left_out() {
    let files = std::fs::read_dir("ui/pass").unwrap().map(|file| file.unwrap().path());
    let names: BTreeSet<String> =
        files.filter_map(|file| file.file_stem().and_then(OsStr::to_str).map(str::to_owned)).collect();
    assert_eq!(names, PASS.iter().map(|name| (*name).to_owned()).collect());
}

/// The compiler that the `.stderr` files were recorded with: others word their messages otherwise.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn ui() {
    let rustc = Command::new("rustc").arg("--version").output().expect("rustc runs");
    if rustc.stdout.starts_with(RECORDED_WITH.as_bytes()) {
        trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
    } else {
        eprintln!("the messages are not compared: they were recorded with {RECORDED_WITH}x");
    }
}
