//! The same over the logs of this crate, which need no server.

use std::sync::atomic::{AtomicU32, Ordering};

use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};
use ferro_idem_tests::{drop_after_polls, redeliver};

use super::super::sqlite::{effects, sqlite, write_effect};
use super::settling::Receipt;

#[idempotent_webhook(transaction(tx), replay, event = key, fingerprint = body, scope = tenant)]
async fn charge(log: &SqliteLog, tenant: u32, key: &str, body: &str) -> Result<Receipt, Error> {
    write_effect(tx, key).await?;
    Ok(Receipt { charge: format!("{tenant} {body}"), attempt: 1 })
}

#[idempotent_webhook(claim, replay, event = key, fingerprint = body, scope = tenant)]
async fn pay(
    log: &MemoryProcessedLog,
    tenant: u32,
    key: &str,
    body: &str,
    paid: &AtomicU32,
) -> Result<Receipt, Error> {
    let attempt = paid.fetch_add(1, Ordering::SeqCst);
    Ok(Receipt { charge: format!("{tenant} {body}"), attempt })
}

#[tokio::test]
async fn sqlite_commits_the_reply_with_the_effect() {
    let (log, _folder) = sqlite().await;
    let first = charge(&log, 1, "key_1", "pay").await.unwrap();
    for _ in 0..3 {
        assert_eq!(charge(&log, 1, "key_1", "pay").await.unwrap(), first);
    }
    assert_ne!(charge(&log, 2, "key_1", "pay").await.unwrap(), first, "of another tenant");
    let other = charge(&log, 1, "key_1", "pay more").await.unwrap_err();
    assert!(matches!(other, Error::Mismatch { .. }), "{other:?}");
    assert_eq!(effects(&log).await, 2);
}

#[tokio::test]
async fn a_hang_up_over_sqlite_leaves_one_effect_and_one_reply() {
    let (log, _folder) = sqlite().await;
    for polls in 0..16 {
        let key = format!("key_{polls}");
        drop_after_polls(charge(&log, 1, &key, "pay"), polls).await;
        let retry = || charge(&log, 1, &key, "pay");
        let first = redeliver(retry).await.unwrap();
        assert_eq!(retry().await.unwrap(), first, "{polls} polls");
    }
    assert_eq!(effects(&log).await, 16);
}

#[tokio::test]
async fn memory_completes_with_the_reply() {
    let (log, paid) = (MemoryProcessedLog::new(), AtomicU32::new(0));
    let first = pay(&log, 1, "key_1", "pay", &paid).await.unwrap();
    for _ in 0..3 {
        assert_eq!(pay(&log, 1, "key_1", "pay", &paid).await.unwrap(), first);
    }
    let other = pay(&log, 1, "key_1", "pay more", &paid).await.unwrap_err();
    assert!(matches!(other, Error::Mismatch { .. }), "{other:?}");
    pay(&log, 2, "key_1", "pay more", &paid).await.unwrap();
    assert_eq!(paid.load(Ordering::SeqCst), 2);
}
