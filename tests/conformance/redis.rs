//! `RedisLog` on one node: each handle has a connection of its own, as each process has.

use std::sync::atomic::{AtomicU32, Ordering};

use ferro_idem::RedisLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::servers::Redis;
use redis::aio::ConnectionManager;

use crate::forgetting::forgets;

/// A key prefix of its own.
pub(crate) fn fresh_prefix() -> String {
    static PREFIXES: AtomicU32 = AtomicU32::new(0);
    format!("fresh_{}:", PREFIXES.fetch_add(1, Ordering::Relaxed))
}

struct Keys {
    prefix: String,
    /// For a restart, which would disturb the other tests of a shared one.
    own: Option<Redis>,
}

impl Keys {
    async fn fresh(case: &str) -> Self {
        let own = if case.ends_with("survive_a_restart") { Some(Redis::start().await) } else { None };
        Self { prefix: fresh_prefix(), own }
    }
}

impl Store for Keys {
    type Log = RedisLog<ConnectionManager>;

    async fn open(&self) -> Self::Log {
        let server = match &self.own {
            Some(own) => own,
            None => Redis::shared().await,
        };
        RedisLog::new(server.connection().await).with_key_prefix(self.prefix.as_str())
    }

    async fn forget(&self, log: &Self::Log, event_id: &str) -> bool {
        forgets(&*log.operations(), event_id).await
    }

    async fn restart(&self) -> bool {
        let Some(own) = &self.own else { return false };
        own.server().kill();
        own.start_again().await;
        true
    }
}

ferro_idem::conformance::tests! {
    #[ignore = "needs Redis: run tests/run"]
    fence, claims, fence_with_claims, replay;
    store = Keys::fresh(CASE).await
}
