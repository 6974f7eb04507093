//! A pointer to a log is a log with the same behaviour.

use std::sync::Arc;

use ferro_idem::{EventRef, MemoryProcessedLog, ProcessedEventLog};

async fn is_first(log: impl ProcessedEventLog, id: &str) -> bool {
    log.try_mark_event(EventRef::new(id).unwrap()).await.unwrap()
}

#[tokio::test]
async fn every_pointer_to_a_log_is_that_log() {
    let log = MemoryProcessedLog::new();
    assert!(is_first(&log, "evt_1").await);
    assert!(!is_first(Box::new(log.clone()), "evt_1").await);
    assert!(!is_first(Arc::new(log.clone()), "evt_1").await);
    let dynamic: Arc<dyn ProcessedEventLog> = Arc::new(log);
    assert!(!is_first(&dynamic, "evt_1").await);
    assert!(!dynamic.try_mark_processed("evt_1").await.unwrap());
    assert!(is_first(dynamic, "evt_2").await);
}
