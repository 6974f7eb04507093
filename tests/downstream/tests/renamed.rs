//! Row 22: there is no `ferro_idem` here; `crate = ::idem` says what it is called.

use idem::{idempotent_webhook, Error, MemoryProcessedLog, Outcome};

#[idempotent_webhook(crate = ::idem, scope = "renamed")]
async fn by_absolute_path(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

mod reexported {
    pub(crate) use idem as runtime;
}

#[idempotent_webhook(crate = crate::reexported::runtime)]
async fn through_a_reexport(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(crate = ::idem, scope = "claimed", claim(c, lease = ::idem::DEFAULT_LEASE))]
async fn claimed(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
    Ok(Outcome::Processed(c.attempt()))
}

#[idempotent_webhook(crate = crate::reexported::runtime, transaction(tx))]
async fn transacted<L: idem::TransactionalLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
    let _ = tx;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn row_22_settling_through_a_renamed_dependency() {
    let log = MemoryProcessedLog::new();
    assert_eq!(claimed(&log, "evt_1").await.unwrap(), Outcome::Processed(1));
    assert_eq!(claimed(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    let folder = tempfile::TempDir::new().unwrap();
    let log = idem::SqliteLog::open(folder.path().join("events.db")).await.unwrap();
    assert_eq!(transacted(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(transacted(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
}

mod row_22_the_conformance_kit_of_a_renamed_dependency {
    idem::conformance::tests! {
        #[allow(clippy::missing_panics_doc)]
        fence, claims;
        store = {
            let log = idem::MemoryProcessedLog::new();
            move || std::future::ready(log.clone())
        }
    }
}

#[tokio::test]
async fn row_22_a_renamed_dependency() {
    let log = MemoryProcessedLog::new();
    assert_eq!(by_absolute_path(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(by_absolute_path(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(through_a_reexport(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(through_a_reexport(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
}
