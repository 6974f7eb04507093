//! `MemoryProcessedLog`: clones share one memory.

use std::time::Duration;

use ferro_idem::MemoryProcessedLog;
use ferro_idem::conformance::Store;

use crate::forgetting::forgets;

struct Shared(MemoryProcessedLog);

impl Store for Shared {
    type Log = MemoryProcessedLog;

    async fn open(&self) -> MemoryProcessedLog {
        self.0.clone()
    }

    async fn purge(&self, log: &MemoryProcessedLog, older_than: Duration) -> Option<u64> {
        // A log without a retention keeps no times, and purges nothing.
        log.operations().purge(older_than, &mut |_| ()).await.ok()
    }

    async fn forget(&self, log: &MemoryProcessedLog, event_id: &str) -> bool {
        forgets(&*log.operations(), event_id).await
    }
}

ferro_idem::conformance::tests! {
    fence, claims, fence_with_claims, replay;
    store = Shared(MemoryProcessedLog::new())
}

mod forgetful {
    use super::*;

    ferro_idem::conformance::tests! {
        fence, claims, fence_with_claims, replay;
        store = Shared(MemoryProcessedLog::with_retention(Duration::from_hours(1)))
    }
}
