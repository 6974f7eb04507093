//! Redis or Valkey with two replicas, and three sentinels that promote one of them.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;

use super::Server;
use super::deployment::{Deployment, Moved};
use super::process::program;
use super::redis::{Product, Redis};
use super::until;

const NODES: usize = 3;

/// The sentinels' name for the primary.
const NAME: &str = "events";

/// Two of the three sentinels have to agree that the primary is gone.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct RedisSentinel {
    nodes: Vec<Redis>,
    sentinels: Vec<Server>,
    /// The port of the primary, where clients go.
    primary: AtomicU16,
}

impl RedisSentinel {
    /// Starts all six, with these options of the nodes, and returns when the replicas follow and the sentinels know each
    /// other.
    pub async fn start(product: Product, options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(
                Redis::start_product(product, &[&["--repl-diskless-sync-delay", "0"], options].concat())
                    .await,
            );
        }
        let primary = nodes[0].server().port();
        for node in &nodes[1..] {
            node.tell::<String>(&format!("REPLICAOF 127.0.0.1 {primary}")).await;
        }
        let sentinels = (0..NODES).map(|_| sentinel(product, primary)).collect();
        let started = Self { nodes, sentinels, primary: AtomicU16::new(primary) };
        started.is_whole(&|_| {}).await;
        until("the sentinels know each other", || async {
            for sentinel in &started.sentinels {
                let known: Option<Vec<String>> = ask(sentinel.port(), &["SENTINEL", "MASTER", NAME]).await;
                let known = known.unwrap_or_default();
                let of = |name: &str| {
                    let at = known.iter().position(|word| word == name)?;
                    known.get(at + 1).cloned()
                };
                if of("num-other-sentinels").as_deref() != Some("2")
                    || of("num-slaves").as_deref() != Some("2")
                {
                    return false;
                }
            }
            true
        })
        .await;
        started
    }

    fn current(&self) -> u16 {
        self.primary.load(Ordering::SeqCst)
    }

    fn node(&self, port: u16) -> &Redis {
        self.nodes.iter().find(|node| node.server().port() == port).expect("it is one of the nodes")
    }

    /// What all sentinels say.
    async fn elected(&self) -> Option<u16> {
        let mut elected = None;
        for sentinel in &self.sentinels {
            let address: Vec<String> =
                ask(sentinel.port(), &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await?;
            let port: u16 = address.get(1)?.parse().ok()?;
            if *elected.get_or_insert(port) != port {
                return None;
            }
        }
        elected
    }

    /// Follows the sentinels, as a client would.
    async fn follow(&self, moved: Moved<'_>) {
        if let Some(elected) = self.elected().await
            && elected != self.current()
        {
            self.primary.store(elected, Ordering::SeqCst);
            moved(self.node(elected).server().address());
        }
    }

    /// Waits until the primary that the sentinels name has both replicas.
    async fn is_whole(&self, moved: Moved<'_>) {
        until("the primary has two replicas", || async move {
            self.follow(moved).await;
            let Some(info) = ask::<String>(self.current(), &["INFO", "replication"]).await else {
                return false;
            };
            info.contains("role:master") && info.matches("state=online").count() == NODES - 1
        })
        .await;
    }
}

#[async_trait]
impl Deployment for RedisSentinel {
    async fn address(&self) -> SocketAddr {
        self.node(self.current()).server().address()
    }

    /// If it takes longer than the sentinels wait, a replica takes over.
    async fn crash(&self, moved: Moved<'_>) {
        let primary = self.node(self.current());
        primary.server().kill();
        primary.start_again().await;
        self.is_whole(moved).await;
    }

    /// The killed primary comes back as a replica.
    async fn promote(&self, moved: Moved<'_>) {
        let killed = self.node(self.current());
        killed.server().kill();
        until("the sentinels promote a replica", || async move {
            self.follow(moved).await;
            self.current() != killed.server().port()
        })
        .await;
        let primary = self.current().to_string();
        killed.server().spawn_with(&["--replicaof".into(), "127.0.0.1".into(), primary.into()]);
        killed.is_up().await;
        self.is_whole(moved).await;
    }
}

fn sentinel(product: Product, primary: u16) -> Server {
    let mut server = Server::new(program(product.program(), product.package()), None);
    let file = server.folder().join("sentinel.conf");
    let settings = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 4000\n\
         sentinel parallel-syncs {NAME} 2\n",
        server.port(),
        server.folder().display()
    );
    fs::write(&file, settings).unwrap();
    server.start([file.into_os_string(), "--sentinel".into()]);
    server
}

/// `None` if it does not answer, or not so.
async fn ask<T: redis::FromRedisValue>(port: u16, words: &[&str]) -> Option<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut connection).await.ok()
}
