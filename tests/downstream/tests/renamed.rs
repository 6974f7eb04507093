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

#[tokio::test]
async fn row_22_a_renamed_dependency() {
    let log = MemoryProcessedLog::new();
    assert_eq!(by_absolute_path(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(by_absolute_path(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(through_a_reexport(&log, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(through_a_reexport(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
}
