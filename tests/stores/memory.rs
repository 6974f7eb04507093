//! Behaviour of the memory log alone.

use std::time::Duration;

use ferro_idem::{MemoryProcessedLog, ProcessedEventLog};

#[tokio::test]
async fn with_no_retention_at_all_nothing_is_remembered() {
    let log = MemoryProcessedLog::with_retention(Duration::ZERO);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
async fn clones_share_one_memory() {
    let log = MemoryProcessedLog::new();
    assert!(log.clone().try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(log.len(), 1);
    assert!(!log.is_empty());
    assert_eq!(format!("{log:?}"), "MemoryProcessedLog { len: 1, .. }");
}
