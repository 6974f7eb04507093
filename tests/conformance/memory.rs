//! `MemoryProcessedLog`: clones share one memory.

use std::time::Duration;

use ferro_idem::MemoryProcessedLog;
use ferro_idem::conformance::Store;

fn shared(log: MemoryProcessedLog) -> impl Store<Log = MemoryProcessedLog> {
    move || std::future::ready(log.clone())
}

ferro_idem::conformance::tests! {
    fence, claims, fence_with_claims;
    store = shared(MemoryProcessedLog::new())
}

mod forgetful {
    use super::*;

    ferro_idem::conformance::tests! {
        fence, claims, fence_with_claims;
        store = shared(MemoryProcessedLog::with_retention(Duration::from_hours(1)))
    }
}
