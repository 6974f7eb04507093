//! A Redis cluster of three primaries, each of which has a replica.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::deployment::{Deployment, Moved};
use super::process::free_port;
use super::redis::Redis;
use super::redis_cluster::form_cluster;
use super::until;

const PRIMARIES: usize = 3;

/// Clients ask the nodes where a key is, and follow failovers by themselves.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct RedisReplicas {
    nodes: Vec<Redis>,
    /// Counts the kills, so that each primary has its turn.
    kills: AtomicUsize,
}

impl RedisReplicas {
    /// Starts the nodes with these options, and returns when each primary has its replica.
    ///
    /// # Panics
    ///
    /// If they do not form a cluster.
    pub async fn start(options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..2 * PRIMARIES {
            let bus = free_port().to_string();
            let usual =
                ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
            let quick = ["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"];
            nodes.push(Redis::start_with(&[&usual[..], &quick, options].concat()).await);
        }
        form_cluster(&nodes, 1);
        let cluster = Self { nodes, kills: AtomicUsize::new(0) };
        cluster.is_whole().await;
        cluster
    }

    /// A primary that has slots, each time another one.
    async fn next_primary(&self) -> &Redis {
        let mut primaries = Vec::new();
        for node in &self.nodes {
            if node.tell::<String>("INFO replication").await.contains("role:master") {
                primaries.push(node);
            }
        }
        primaries[self.kills.fetch_add(1, Ordering::SeqCst) % primaries.len()]
    }

    async fn is_whole(&self) {
        until("each primary has its replica", || async move {
            let (mut primaries, mut replicas) = (0, 0);
            for node in &self.nodes {
                let (cluster, replication): (String, String) =
                    (node.tell("CLUSTER INFO").await, node.tell("INFO replication").await);
                if !cluster.contains("cluster_state:ok") {
                    return false;
                }
                primaries +=
                    usize::from(replication.contains("role:master") && replication.contains("state=online"));
                replicas += usize::from(replication.contains("master_link_status:up"));
            }
            primaries == PRIMARIES && replicas == PRIMARIES
        })
        .await;
    }
}

#[async_trait]
impl Deployment for RedisReplicas {
    async fn address(&self) -> SocketAddr {
        self.nodes[0].server().address()
    }

    async fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.server().address()).collect()
    }

    /// If it takes longer than the cluster waits, the replica takes over.
    async fn crash(&self, _moved: Moved<'_>) {
        let primary = self.next_primary().await;
        primary.server().kill();
        primary.start_again().await;
        self.is_whole().await;
    }

    /// The killed primary comes back as a replica.
    async fn promote(&self, _moved: Moved<'_>) {
        let killed = self.next_primary().await;
        killed.server().kill();
        until("a replica takes over", || async move {
            for node in self.nodes.iter().filter(|node| node.server().port() != killed.server().port()) {
                let (nodes, info): (String, String) =
                    (node.tell("CLUSTER NODES").await, node.tell("CLUSTER INFO").await);
                let mut lines = nodes.lines().filter(|line| !line.contains("fail"));
                let primaries = lines.by_ref().filter(|line| line.contains("master")).count();
                if primaries != PRIMARIES || !info.contains("cluster_state:ok") {
                    return false;
                }
            }
            true
        })
        .await;
        killed.start_again().await;
        self.is_whole().await;
    }
}
