//! A Galera cluster of MariaDB: three nodes, each of which takes writes.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sqlx::{Connection, MySqlConnection, query_as};

use super::deployment::{Deployment, Moved};
use super::mariadb::MariaDb;
use super::process::free_port;
use super::until;

/// With three, two are left to agree when one is killed.
const NODES: usize = 3;

/// Debian's package `galera-4`, which mariadb-server brings.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

/// Starts the cluster. A node that is started again without it joins the others.
pub(super) const FIRST_NODE: &str = "--wsrep-new-cluster";

/// Three nodes. One of them is the current one, where clients go.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct Galera {
    nodes: Vec<MariaDb>,
    current: AtomicUsize,
    /// The node that is killed, or [`NODES`].
    killed: AtomicUsize,
}

impl Galera {
    /// Starts all nodes, and returns when each has joined.
    pub async fn start() -> Self {
        let groups: Vec<u16> = (0..NODES).map(|_| free_port()).collect();
        let members: Vec<String> = groups.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let members = members.join(",");
        let mut nodes = Vec::new();
        for (index, group) in groups.into_iter().enumerate() {
            let mut options = options(index, group, &members);
            if index == 0 {
                options.push(FIRST_NODE.to_owned());
            }
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let node = MariaDb::start_with(&options).await;
            has_joined(&node).await;
            nodes.push(node);
        }
        Self { nodes, current: AtomicUsize::new(0), killed: AtomicUsize::new(NODES) }
    }

    fn current(&self) -> &MariaDb {
        &self.nodes[self.current.load(Ordering::SeqCst)]
    }

    /// Makes the next node the current one that is not killed, and returns its port. Nothing happens to the others.
    fn move_on(&self) -> u16 {
        let killed = self.killed.load(Ordering::SeqCst);
        let current = self.current.load(Ordering::SeqCst);
        let mut others = (1..NODES).map(|step| (current + step) % NODES);
        let next = others.find(|&node| node != killed).unwrap_or(current);
        self.current.store(next, Ordering::SeqCst);
        self.current().server().port()
    }
}

#[async_trait]
impl Deployment for Galera {
    async fn port(&self) -> u16 {
        self.current().server().port()
    }

    fn next(&self) -> Option<u16> {
        Some(self.move_on())
    }

    async fn crash(&self, moved: Moved<'_>) {
        let index = self.current.load(Ordering::SeqCst);
        let node = &self.nodes[index];
        self.killed.store(index, Ordering::SeqCst);
        node.server().kill();
        moved(self.move_on());
        node.rejoin().await;
        has_joined(node).await;
        self.killed.store(NODES, Ordering::SeqCst);
    }
}

fn options(index: usize, group: u16, members: &str) -> Vec<String> {
    let (incremental, snapshot) = (free_port(), free_port());
    let provider = [
        format!("base_port={group}"),
        format!("gmcast.listen_addr=tcp://127.0.0.1:{group}"),
        format!("ist.recv_addr=127.0.0.1:{incremental}"),
        "socket.ssl=no".to_owned(),
        // The others go on without a killed node after a second, not after five.
        "evs.keepalive_period=PT0.3S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S".to_owned(),
    ];
    vec![
        "--innodb-flush-log-at-trx-commit=2".to_owned(),
        "--binlog-format=ROW".to_owned(),
        "--innodb-autoinc-lock-mode=2".to_owned(),
        "--wsrep-on=1".to_owned(),
        format!("--wsrep-provider={PROVIDER}"),
        format!("--wsrep-provider-options={}", provider.join(";")),
        format!("--wsrep-cluster-address=gcomm://{members}"),
        format!("--wsrep-node-name=node{index}"),
        format!("--wsrep-node-address=127.0.0.1:{group}"),
        "--wsrep-sst-method=rsync".to_owned(),
        format!("--wsrep-sst-receive-address=127.0.0.1:{snapshot}"),
    ]
}

async fn has_joined(node: &MariaDb) {
    let url = &node.url();
    until("the node has joined", || async move {
        let Ok(mut connection) = MySqlConnection::connect(url).await else { return false };
        let state = query_as::<_, (String, String)>("SHOW STATUS LIKE 'wsrep_local_state_comment'");
        state.fetch_one(&mut connection).await.is_ok_and(|(_, state)| state == "Synced")
    })
    .await;
}
