//! What compiles, what must not, and what the compiler then says.
//!
//! The `.stderr` files were read by a person; CONTRIBUTING.md says how to add a case and how to
//! bless one. With the feature `tracing` a fenced body is a block, so that a few messages differ: `ui/fail_traced`
//! links to their cases. One case alone: `cargo test -p ferro-idem-tests --test ui -- ui trybuild=NAME`.

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
    "ui/pass/replay_in_an_axum_router.rs" => replay_in_an_axum_router,
}

#[test]
fn no_case_that_has_to_compile_is_left_out() {
    assert_eq!(cases_in("ui/pass"), PASS.iter().map(|name| (*name).to_owned()).collect());
}

/// The names of a folder's cases.
fn cases_in(folder: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|file| file.file_stem().and_then(OsStr::to_str).map(str::to_owned))
        .collect()
}

/// The compiler that the `.stderr` files were recorded with: others word their messages otherwise.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn ui() {
    let rustc = Command::new("rustc").arg("--version").output().expect("rustc runs");
    if !rustc.stdout.starts_with(RECORDED_WITH.as_bytes()) {
        eprintln!("the messages are not compared: they were recorded with {RECORDED_WITH}x");
        return;
    }
    let cases = trybuild::TestCases::new();
    if cfg!(feature = "tracing") {
        let other_messages = cases_in("ui/fail_traced");
        for name in cases_in("ui/fail").difference(&other_messages) {
            cases.compile_fail(format!("ui/fail/{name}.rs"));
        }
        cases.compile_fail("ui/fail_traced/*.rs");
    } else {
        cases.compile_fail("ui/fail/*.rs");
    }
}
