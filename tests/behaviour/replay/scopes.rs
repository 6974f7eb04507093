//! `scope = EXPR`: tenants that share one log.

use ferro_idem::{Error, InvalidEventId, MemoryProcessedLog, Outcome, idempotent_webhook};
use ferro_idem_tests::KeepingLog;

struct Tenant {
    id: u64,
}

#[idempotent_webhook(claim, replay, event = key, scope = tenant.id)]
async fn of_a_tenant(log: &KeepingLog, tenant: &Tenant, key: &str, secret: &str) -> Result<String, Error> {
    Ok(secret.to_owned())
}

#[idempotent_webhook(transaction(tx), replay, event = key, scope = format!("{name}:eu"))]
async fn of_a_name(log: KeepingLog, name: String, key: &str) -> Result<String, Error> {
    tx.push(name.clone());
    Ok(name)
}

#[idempotent_webhook(event = key, scope = scope)]
async fn fenced(log: &MemoryProcessedLog, key: &str, scope: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn a_tenant_never_reads_anothers_reply() {
    let log = KeepingLog::default();
    let (one, two) = (Tenant { id: 1 }, Tenant { id: 2 });
    assert_eq!(of_a_tenant(&log, &one, "key_1", "of one").await.unwrap(), "of one");
    assert_eq!(of_a_tenant(&log, &two, "key_1", "of two").await.unwrap(), "of two");
    assert_eq!(of_a_tenant(&log, &one, "key_1", "again").await.unwrap(), "of one");
    assert_eq!(log.keys(), ["~1:key_1", "~2:key_1"]);
}

#[tokio::test]
async fn a_scope_may_be_any_expression() {
    let log = KeepingLog::default();
    of_a_name(log.clone(), "shop".to_owned(), "key_1").await.unwrap();
    assert_eq!(log.keys(), ["~shop%3Aeu:key_1"]);
    assert_eq!(log.effects(), ["shop"]);
}

#[tokio::test]
async fn a_scope_works_under_a_fence() {
    let log = MemoryProcessedLog::new();
    for (scope, key) in [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c")] {
        assert_eq!(fenced(&log, key, scope).await.unwrap(), Outcome::Processed(()), "{scope} {key}");
        assert_eq!(fenced(&log, key, scope).await.unwrap(), Outcome::Duplicate, "{scope} {key}");
    }
    let empty = fenced(&log, "c", "").await.unwrap_err();
    assert!(matches!(empty, Error::InvalidEventId { reason: InvalidEventId::NoScope, .. }), "{empty:?}");
    let error = fenced(&log, "c", &"x".repeat(253)).await.unwrap_err();
    assert!(matches!(
        error,
        Error::InvalidEventId { reason: InvalidEventId::TooLong { bytes: 256, .. }, .. }
    ));
}
