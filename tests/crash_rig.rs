//! The crash rig for a few seconds on each log, and on one that it has to find broken.

use std::process::Command;

/// The rig's line for a short run.
fn storm(log: &str, guarantee: &str) -> String {
    let rig = Command::new(env!("CARGO_BIN_EXE_crash_rig"))
        .args(["--log", log, "--guarantee", guarantee, "--seconds", "3", "--seed", "6"])
        .output()
        .unwrap();
    let said = String::from_utf8(rig.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("crash_rig ")).unwrap_or_default().to_owned();
    println!("{said}");
    assert_eq!(
        rig.status.success(),
        line.ends_with("verdict=kept"),
        "{}",
        String::from_utf8_lossy(&rig.stderr)
    );
    line
}

macro_rules! keeps {
    ($($(#[$ignored:meta])* $name:ident($log:literal, $guarantee:literal);)*) => {$(
        #[test]
        $(#[$ignored])*
        fn $name() {
            let line = storm($log, $guarantee);
            assert!(line.ends_with("verdict=kept"), "{line}");
        }
    )*};
}

keeps! {
    sqlite_keeps_the_fence("sqlite", "fence");
    sqlite_keeps_the_claim("sqlite", "claim");
    sqlite_keeps_the_transaction("sqlite", "transaction");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_the_fence("postgres", "fence");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_the_claim("postgres", "claim");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_the_transaction("postgres", "transaction");
    #[ignore = "needs MariaDB: run tests/run"]
    mysql_keeps_the_fence("mysql", "fence");
    #[ignore = "needs MariaDB: run tests/run"]
    mysql_keeps_the_claim("mysql", "claim");
    #[ignore = "needs MariaDB: run tests/run"]
    mysql_keeps_the_transaction("mysql", "transaction");
    #[ignore = "needs Redis: run tests/run"]
    redis_keeps_the_fence("redis", "fence");
    #[ignore = "needs Redis: run tests/run"]
    redis_keeps_the_claim("redis", "claim");
}

/// A rig that finds nothing here finds nothing anywhere.
#[test]
fn a_log_written_in_a_hurry_is_found_broken_under_every_guarantee() {
    for (guarantee, found) in [
        ("fence", &["effects", "lost", "unexplained", "doubled"][..]),
        ("claim", &["effects", "lost", "doubled"]),
        ("transaction", &["effects", "lost", "doubled"]),
    ] {
        let line = storm("naive", guarantee);
        assert!(line.ends_with("verdict=BROKEN"), "{line}");
        for column in found {
            assert!(!line.contains(&format!(" {column}=0 ")), "{column}: {line}");
        }
    }
}
