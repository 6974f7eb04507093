//! Handlers under a claim.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferro_idem::testing::{HandlerTest, Problem, check};
use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};
use tempfile::NamedTempFile;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{findings, report};

/// Another system. It pays once for each key.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<HashSet<String>>>);

impl Bank {
    async fn pay(&self, key: String) {
        yield_now().await;
        self.0.lock().unwrap().insert(key);
        yield_now().await;
    }

    /// A call without an idempotency key.
    async fn pay_again(&self) {
        let nth = self.0.lock().unwrap().len();
        self.pay(nth.to_string()).await;
    }
}

#[idempotent_webhook(claim(c))]
async fn refunds<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    bank.pay(c.idempotency_key("refund")).await;
    Ok(())
}

#[idempotent_webhook(claim(_c))]
async fn without_a_key<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    bank.pay_again().await;
    Ok(())
}

#[idempotent_webhook(claim(_c))]
async fn spawns_and_waits<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    let bank = bank.clone();
    tokio::spawn(async move { bank.pay_again().await }).await.map_err(|error| Error::store("pay", error))
}

#[idempotent_webhook(claim(c))]
async fn spawns_and_replies<L: ClaimLog>(log: &L, event: &str, bank: &Bank) -> Result<(), Error> {
    let (bank, key) = (bank.clone(), c.idempotency_key("refund"));
    tokio::spawn(async move {
        sleep(Duration::from_millis(10)).await;
        bank.pay(key).await;
    });
    Ok(())
}

/// A log in a file.
struct OnSqlite {
    log: SqliteLog,
    _file: NamedTempFile,
}

impl std::ops::Deref for OnSqlite {
    type Target = SqliteLog;

    fn deref(&self) -> &SqliteLog {
        &self.log
    }
}

impl OnSqlite {
    async fn new() -> Self {
        let file = NamedTempFile::new().unwrap();
        Self { log: SqliteLog::open(file.path()).await.unwrap(), _file: file }
    }
}

/// A log, and a handler whose last argument is a `Bank`.
macro_rules! tested {
    ($name:ident, $log:ty, $new:expr, $handler:ident) => {
        struct $name($log, Bank);

        impl HandlerTest for $name {
            async fn new() -> Self {
                Self($new, Bank::default())
            }

            async fn deliver(&self) -> bool {
                $handler(&*self.0, "evt_1", &self.1).await.is_ok()
            }

            async fn effects(&self) -> usize {
                self.1.0.lock().unwrap().len()
            }
        }
    };
}

tested!(Right, Box<MemoryProcessedLog>, Box::default(), refunds);
tested!(RightOnSqlite, OnSqlite, OnSqlite::new().await, refunds);
tested!(WithoutAKey, Box<MemoryProcessedLog>, Box::default(), without_a_key);
tested!(WithoutAKeyOnSqlite, OnSqlite, OnSqlite::new().await, without_a_key);
tested!(SpawnsAndWaits, Box<MemoryProcessedLog>, Box::default(), spawns_and_waits);
tested!(SpawnsAndReplies, Box<MemoryProcessedLog>, Box::default(), spawns_and_replies);

#[test]
fn a_right_handler_passes_every_case() {
    let report = check::<Right>();
    report.assert_passed();
    assert!(report.cases() > 20, "{}", report.cases());
}

#[test]
fn a_right_handler_passes_on_sqlite() {
    check::<RightOnSqlite>().assert_passed();
}

#[test]
fn a_missing_idempotency_key_is_found() {
    let findings = findings::<WithoutAKey>();
    for kind in ["dropped", "panicked", "failed", "taken-over"] {
        let is_found =
            |(case, problem): &(String, Problem)| case.starts_with(kind) && *problem == Problem::Doubled(2);
        assert!(findings.iter().any(is_found), "{kind}: {findings:?}");
    }
    let undisturbed = ["once", "twice"];
    assert!(findings.iter().all(|(case, _)| !undisturbed.contains(&&**case)), "{findings:?}");
}

#[test]
fn a_missing_idempotency_key_is_found_on_sqlite() {
    let findings = findings::<WithoutAKeyOnSqlite>();
    // The body's last wait, however often the database's calls waited in each case.
    for case in ["dropped-after-1-at-2", "panicked-after-1-at-2", "taken-over-after-1-at-2"] {
        assert!(findings.contains(&(case.to_owned(), Problem::Doubled(2))), "{case}: {findings:?}");
    }
}

#[test]
fn a_finding_reads_like_a_bug_report() {
    let report = report::<WithoutAKey>();
    for line in [
        "in the body, after `claim`.",
        "The effect is DOUBLED: it happened 2 times.",
        "pass `c.idempotency_key(..)` to the other system",
        "Calls of the log: delivery 1: claim ok",
        "FERRO_IDEM_CASE=",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}

#[test]
fn an_effect_in_a_task_that_goes_on_is_found() {
    let findings = findings::<SpawnsAndWaits>();
    assert!(findings.iter().any(|(case, _)| case.starts_with("dropped")), "{findings:?}");
}

#[test]
fn an_effect_after_the_reply_is_found() {
    assert_eq!(findings::<SpawnsAndReplies>(), [("once".to_owned(), Problem::Late)]);
}
