//! A Redis cluster of three servers.

use std::process::{Command, Stdio};

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tokio::sync::OnceCell;

use super::process::{free_port, program};
use super::{Redis, until};

/// A cluster of three masters.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one whose nodes have these options in addition to the usual ones.
    ///
    /// # Panics
    ///
    /// If the nodes do not form a cluster.
    pub async fn start_with(options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            all.extend(options);
            nodes.push(Redis::start_with(&all).await);
        }
        form_cluster(&nodes, 0);
        let cluster = Self { nodes };
        cluster.is_ok().await;
        cluster
    }

    /// The one that all tests of this process share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<RedisCluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Its servers.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The index in [`nodes`](Self::nodes) of the key's node: redis-cli gives each a third of the slots, in order.
    pub async fn owner_of(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].tell(&format!("CLUSTER KEYSLOT {key}")).await;
        (slot * 3 / 16384).min(2)
    }

    /// Restarts all nodes after [`Server::kill`](super::Server::kill), and waits until they agree.
    pub async fn start_again(&self) {
        for node in &self.nodes {
            node.start_again().await;
        }
        self.is_ok().await;
    }

    async fn is_ok(&self) {
        for node in &self.nodes {
            until("the cluster is ok", || async move {
                let info: String = node.tell("CLUSTER INFO").await;
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            })
            .await;
        }
    }

    /// A connection that finds the node of each key.
    ///
    /// # Panics
    ///
    /// If there is no cluster.
    pub async fn connection(&self) -> ClusterConnection {
        ClusterClient::new(self.nodes.iter().map(Redis::url)).unwrap().get_async_connection().await.unwrap()
    }
}

/// Makes a cluster of these nodes, in which each primary has so many replicas.
pub(super) fn form_cluster(nodes: &[Redis], replicas: u8) {
    let formed = Command::new(program("redis-cli", "redis-server"))
        .args(["--cluster", "create"])
        .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.server().port())))
        .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(formed.success());
}
