//! Short runs of the crash rig: on each log, which has to keep its guarantees, and on one that has to be found broken.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// The rig's line for a short run.
fn storm(log: &str, guarantee: &str, more: &[&str]) -> String {
    let rig = Command::new(env!("CARGO_BIN_EXE_crash_rig"))
        .args(["--log", log, "--guarantee", guarantee])
        .args(more)
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

/// How many storms go on at the same time. A disaster is mostly waiting, but each storm has its server and its workers:
/// with six of them on two cores, calls fail because the machine is busy.
const MAX_STORMS: usize = 3;

static STORMS: Mutex<usize> = Mutex::new(0);
static STORM_ENDED: Condvar = Condvar::new();

/// Storms that go on, until it is dropped.
struct Storms(usize);

impl Storms {
    fn begin(number: usize) -> Self {
        let running = STORMS.lock().unwrap_or_else(PoisonError::into_inner);
        let running = STORM_ENDED.wait_while(running, |running| *running + number > MAX_STORMS);
        *running.unwrap_or_else(PoisonError::into_inner) += number;
        Self(number)
    }
}

impl Drop for Storms {
    fn drop(&mut self) {
        *STORMS.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        STORM_ENDED.notify_all();
    }
}

/// Short runs of several guarantees, side by side.
fn keeps(log: &str, guarantees: &[&str], disasters: &str) {
    let _storms = Storms::begin(guarantees.len());
    let more = ["--seed", "6", "--seconds", "3", "--with", disasters];
    let lines: Vec<String> = thread::scope(|scope| {
        let storms = guarantees.iter().map(|guarantee| scope.spawn(move || storm(log, guarantee, &more)));
        storms.collect::<Vec<_>>().into_iter().map(|storm| storm.join().unwrap()).collect()
    });
    for line in lines {
        assert!(line.ends_with("verdict=kept"), "{line}");
    }
}

const OTHERS: &[&str] = &["claim", "transaction"];
const WITH_INBOX: &[&str] = &["fence", "inbox", "inbox-claim"];
const OF_REDIS: &[&str] = &["fence", "claim"];
const IN_CLUSTERS: &[&str] = &["fence", "claim", "transaction"];

macro_rules! keeps {
    ($($(#[$ignored:meta])* $name:ident($log:literal, $guarantees:expr, $disasters:literal);)*) => {$(
        #[test]
        $(#[$ignored])*
        fn $name() {
            keeps($log, $guarantees, $disasters);
        }
    )*};
}

// Each disaster that a log can have, under each of its guarantees.
keeps! {
    sqlite_keeps_the_fence("sqlite", &["fence"], "drops");
    sqlite_keeps_the_claim("sqlite", &["claim"], "drops");
    sqlite_keeps_the_transaction("sqlite", &["transaction"], "drops");
    sqlite_keeps_the_inbox("sqlite", &["inbox", "inbox-claim"], "drops");
    #[ignore = "takes a minute: run tests/run"]
    sqlite_keeps_the_fence_in_long_disasters("sqlite", &["fence"], "table-lock,drops");
    #[ignore = "takes a minute: run tests/run"]
    sqlite_keeps_the_others_in_long_disasters("sqlite", OTHERS, "table-lock,drops");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_the_fence_and_the_inbox("postgres", WITH_INBOX, "failover,read-only,drops");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_the_others("postgres", OTHERS, "failover,read-only,drops");
    #[ignore = "needs PostgreSQL, and takes two minutes: run tests/run"]
    postgres_keeps_the_fence_in_long_disasters("postgres", &["fence"], "table-lock,row-locks,freeze,drops");
    #[ignore = "needs PostgreSQL, and takes two minutes: run tests/run"]
    postgres_keeps_the_others_in_long_disasters("postgres", OTHERS, "table-lock,row-locks,freeze,drops");
    #[ignore = "needs MariaDB: run tests/run"]
    mysql_keeps_the_fence_and_the_inbox("mysql", WITH_INBOX, "failover,read-only,drops");
    #[ignore = "needs MariaDB: run tests/run"]
    mysql_keeps_the_others("mysql", OTHERS, "failover,read-only,drops");
    #[ignore = "needs MariaDB, and takes two minutes: run tests/run"]
    mysql_keeps_the_fence_in_long_disasters("mysql", &["fence"], "table-lock,row-locks,freeze,drops");
    #[ignore = "needs MariaDB, and takes two minutes: run tests/run"]
    mysql_keeps_the_others_in_long_disasters("mysql", OTHERS, "table-lock,row-locks,freeze,drops");
    #[ignore = "needs Redis: run tests/run"]
    redis_keeps_its_guarantees("redis", OF_REDIS, "failover,read-only,drops");
    #[ignore = "needs Redis, and takes a minute: run tests/run"]
    redis_keeps_its_guarantees_in_long_disasters("redis", OF_REDIS, "freeze,drops");
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_keeps_its_guarantees_when_a_standby_takes_over("postgres-cluster", IN_CLUSTERS, "promote,absence,partition,drops");
    #[ignore = "needs MariaDB: run tests/run"]
    galera_keeps_its_guarantees_when_nodes_are_killed("galera", IN_CLUSTERS, "promote,partition,drops");
}

/// Commits that no standby has are lost when it takes over, with the effects of acknowledged events.
#[test]
#[ignore = "needs PostgreSQL: run tests/run"]
fn a_standby_that_commits_do_not_wait_for_is_found_broken() {
    let _storm = Storms::begin(1);
    let more = ["--seed", "6", "--seconds", "3", "--with", "absence"];
    let line = storm("postgres-async", "transaction", &more);
    assert!(line.ends_with("verdict=BROKEN") && !line.contains(" lost=0 "), "{line}");
}

/// More runs than any machine needs: one finds most of it.
const MAX_RUNS: u32 = 30;

/// The rig must find each defect of the naive log. What one short run finds depends on the machine, so it
/// runs until everything is found.
#[test]
fn a_log_written_in_a_hurry_is_found_broken() {
    for (guarantee, columns) in [
        ("fence", &["effects", "lost", "unexplained", "doubled"][..]),
        ("claim", &["effects", "lost", "doubled"]),
        ("transaction", &["effects", "lost", "doubled"]),
    ] {
        let mut missing: BTreeSet<&str> = columns.iter().copied().collect();
        for seed in 0..MAX_RUNS {
            let line = storm("naive", guarantee, &["--seconds", "1", "--seed", &seed.to_string()]);
            let found = |column: &&str| {
                line.contains(&format!(" {column}=")) && !line.contains(&format!(" {column}=0 "))
            };
            missing.retain(|column| !found(column));
            let has_breach = columns.iter().skip(1).any(found);
            assert!(!has_breach || line.ends_with("verdict=BROKEN"), "{line}");
            if missing.is_empty() {
                break;
            }
        }
        assert!(missing.is_empty(), "under {guarantee}, {MAX_RUNS} runs found no {missing:?}");
    }
}
