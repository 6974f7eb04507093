//! Handlers that keep their replies.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use ferro_idem::replay::ReplayLog;
use ferro_idem::testing::{HandlerTest, Problem, check};
use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};
use ferro_idem_tests::{KeepingLog, create_effects, effects, open_sqlite, write_effect};
use tempfile::TempDir;
use tokio::task::yield_now;

use super::{findings, report};

/// Another system, which charges once for each key, and the receipts that the client has got.
#[derive(Clone, Default)]
struct Bank {
    charged: Arc<Mutex<HashSet<String>>>,
    receipts: Arc<Mutex<HashSet<String>>>,
}

impl Bank {
    async fn charge(&self, key: String) -> String {
        yield_now().await;
        self.charged.lock().unwrap().insert(key);
        yield_now().await;
        format!("receipt {}", self.charges())
    }

    fn charges(&self) -> usize {
        self.charged.lock().unwrap().len()
    }

    /// Whether this is a success. Every success has to be the same receipt.
    fn got(&self, reply: Result<String, Error>) -> bool {
        let Ok(receipt) = reply else { return false };
        let mut receipts = self.receipts.lock().unwrap();
        receipts.insert(receipt);
        assert_eq!(receipts.len(), 1, "two receipts for one charge: {receipts:?}");
        true
    }
}

#[idempotent_webhook(claim(c), replay, fingerprint = event)]
async fn charges<L: ClaimLog + ReplayLog>(log: &L, event: &str, bank: &Bank) -> Result<String, Error> {
    Ok(bank.charge(c.idempotency_key("charge")).await)
}

#[idempotent_webhook(claim(_c), replay)]
async fn without_a_key<L: ClaimLog + ReplayLog>(log: &L, event: &str, bank: &Bank) -> Result<String, Error> {
    let nth = bank.charges().to_string();
    bank.charge(nth).await;
    Ok("receipt".to_owned())
}

#[idempotent_webhook(transaction(tx), replay, fingerprint = event)]
async fn writes_in_memory(log: &KeepingLog, event: &str) -> Result<String, Error> {
    yield_now().await;
    tx.push(event.to_owned());
    Ok("receipt".to_owned())
}

#[idempotent_webhook(transaction(tx), replay, fingerprint = event)]
async fn writes(log: &SqliteLog, event: &str) -> Result<String, Error> {
    write_effect(tx, event).await?;
    Ok("receipt".to_owned())
}

struct OnSqlite {
    log: SqliteLog,
    _folder: TempDir,
}

impl OnSqlite {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let log = open_sqlite(folder.path(), 3).await;
        create_effects(&log).await;
        Self { log, _folder: folder }
    }
}

macro_rules! tested {
    ($name:ident($log:ty) = $new:expr, |$world:ident| $deliver:expr, $effects:expr) => {
        struct $name($log, Bank);

        impl HandlerTest for $name {
            async fn new() -> Self {
                Self($new, Bank::default())
            }

            async fn deliver(&self) -> bool {
                let $world = self;
                let reply = $deliver.await;
                self.1.got(reply)
            }

            async fn effects(&self) -> usize {
                let $world = self;
                $effects
            }
        }
    };
}

tested!(
    Claimed(MemoryProcessedLog) = MemoryProcessedLog::new(),
    |world| charges(&world.0, "evt_1", &world.1),
    world.1.charges()
);
tested!(
    ClaimedOnSqlite(OnSqlite) = OnSqlite::new().await,
    |world| charges(&world.0.log, "evt_1", &world.1),
    world.1.charges()
);
tested!(
    WithoutAKey(MemoryProcessedLog) = MemoryProcessedLog::new(),
    |world| without_a_key(&world.0, "evt_1", &world.1),
    world.1.charges()
);
tested!(
    Transacted(KeepingLog) = KeepingLog::default(),
    |world| writes_in_memory(&world.0, "evt_1"),
    world.0.effects().len()
);
tested!(
    TransactedOnSqlite(OnSqlite) = OnSqlite::new().await,
    |world| writes(&world.0.log, "evt_1"),
    usize::try_from(effects(&world.0.log).await).unwrap()
);

#[test]
fn a_right_handler_passes_and_every_success_is_the_same_receipt() {
    let report = check::<Claimed>();
    report.assert_passed();
    assert!(report.cases() > 20, "{}", report.cases());
    check::<Transacted>().assert_passed();
}

#[test]
fn right_handlers_pass_on_sqlite() {
    check::<ClaimedOnSqlite>().assert_passed();
    check::<TransactedOnSqlite>().assert_passed();
}

#[test]
fn a_missing_idempotency_key_is_found() {
    let findings = findings::<WithoutAKey>();
    for kind in ["dropped", "panicked", "taken-over"] {
        let is_found =
            |(case, problem): &(String, Problem)| case.starts_with(kind) && *problem == Problem::Doubled(2);
        assert!(findings.iter().any(is_found), "{kind}: {findings:?}");
    }
    assert!(report::<WithoutAKey>().contains("complete_with_reply"), "the calls are named");
}
