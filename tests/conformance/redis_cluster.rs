//! `RedisLog` on a cluster of three nodes.

use ferro_idem::RedisLog;
use ferro_idem::conformance::Store;
use ferro_idem_tests::servers::RedisCluster;
use redis::cluster_async::ClusterConnection;

use super::forgetting::forgets;
use super::redis::fresh_prefix;

struct Keys {
    prefix: String,
    /// For a restart, which would disturb the other tests of a shared one.
    own: Option<RedisCluster>,
}

impl Keys {
    async fn fresh(case: &str) -> Self {
        let own = if case.ends_with("survive_a_restart") { Some(RedisCluster::start().await) } else { None };
        Self { prefix: fresh_prefix(), own }
    }
}

impl Store for Keys {
    type Log = RedisLog<ClusterConnection>;

    async fn open(&self) -> Self::Log {
        let cluster = match &self.own {
            Some(own) => own,
            None => RedisCluster::shared().await,
        };
        RedisLog::new(cluster.connection().await).with_key_prefix(self.prefix.as_str())
    }

    async fn forget(&self, log: &Self::Log, event_id: &str) -> bool {
        forgets(&*log.operations(), event_id).await
    }

    async fn restart(&self) -> bool {
        let Some(own) = &self.own else { return false };
        own.nodes().iter().for_each(|node| node.server().kill());
        own.start_again().await;
        true
    }
}

ferro_idem::conformance::tests! {
    #[ignore = "needs Redis: run tests/run"]
    fence, claims, fence_with_claims, replay;
    store = Keys::fresh(CASE).await
}
