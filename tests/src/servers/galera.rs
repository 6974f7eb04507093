//! A Galera cluster of MariaDB: three nodes, each of which takes writes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, MySqlConnection, query_as};
use tokio::time::{sleep, timeout};

use super::deployment::{Deployment, Moved};
use super::mariadb::MariaDb;
use super::network::{Cut, Network, Place};
use super::process::free_port;
use super::until;

/// With three, two are left to agree when one is killed.
const NODES: u8 = 3;

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
    network: Option<Network>,
    current: AtomicUsize,
    /// The node that is killed or cut off, or [`NOBODY`].
    away: AtomicUsize,
}

const NOBODY: usize = usize::MAX;

impl Galera {
    /// Starts all nodes, and returns when each has joined.
    pub async fn start() -> Self {
        Self::start_in(None).await
    }

    /// The same in a network of three nodes.
    pub async fn start_in(network: Option<Network>) -> Self {
        let places = match &network {
            Some(network) => network.places().to_vec(),
            None => vec![Place::HERE; NODES.into()],
        };
        let groups: Vec<SocketAddr> =
            places.iter().map(|place| (place.address(), free_port()).into()).collect();
        let members: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let members = members.join(",");
        let mut nodes = Vec::new();
        for (index, (place, group)) in places.into_iter().zip(groups).enumerate() {
            let mut options = options(index, group, &members);
            if index == 0 {
                options.push(FIRST_NODE.to_owned());
            }
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let node = MariaDb::start_at(place, &options).await;
            has_joined(&node).await;
            nodes.push(node);
        }
        Self { nodes, network, current: AtomicUsize::new(0), away: AtomicUsize::new(NOBODY) }
    }

    fn current(&self) -> &MariaDb {
        &self.nodes[self.current.load(Ordering::SeqCst)]
    }

    /// Makes the next node the current one that is not away, and returns its address. Nothing happens to the others.
    fn move_on(&self) -> SocketAddr {
        let away = self.away.load(Ordering::SeqCst);
        let current = self.current.load(Ordering::SeqCst);
        let mut others = (1..self.nodes.len()).map(|step| (current + step) % self.nodes.len());
        let next = others.find(|&node| node != away).unwrap_or(current);
        self.current.store(next, Ordering::SeqCst);
        self.current().server().address()
    }
}

#[async_trait]
impl Deployment for Galera {
    async fn address(&self) -> SocketAddr {
        self.current().server().address()
    }

    fn next(&self) -> Option<SocketAddr> {
        Some(self.move_on())
    }

    fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    async fn crash(&self, moved: Moved<'_>) {
        let index = self.current.load(Ordering::SeqCst);
        let node = &self.nodes[index];
        self.away.store(index, Ordering::SeqCst);
        node.server().kill();
        moved(self.move_on());
        node.rejoin().await;
        has_joined(node).await;
        self.away.store(NOBODY, Ordering::SeqCst);
    }

    /// Clients stay at the node for a half of this time, as until a health check, and go on with the next one.
    async fn part_servers(&self, cut: Cut, length: Duration, moved: Moved<'_>) {
        let Some(network) = &self.network else { return };
        let index = self.current.load(Ordering::SeqCst);
        let address = self.current().server().address().ip();
        for other in self.nodes.iter().map(|node| node.server().address().ip()) {
            if other != address {
                network.cut(cut, address, other);
            }
        }
        self.away.store(index, Ordering::SeqCst);
        sleep(length / 2).await;
        moved(self.move_on());
        sleep(length / 2).await;
        network.heal();
        self.is_whole().await;
        self.away.store(NOBODY, Ordering::SeqCst);
    }

    async fn is_whole(&self) {
        for node in &self.nodes {
            has_joined(node).await;
        }
    }
}

fn options(index: usize, group: SocketAddr, members: &str) -> Vec<String> {
    let (address, port) = (group.ip(), group.port());
    let (incremental, snapshot) = (free_port(), free_port());
    let provider = [
        format!("base_port={port}"),
        format!("gmcast.listen_addr=tcp://{group}"),
        format!("ist.recv_addr={address}:{incremental}"),
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
        format!("--wsrep-node-address={group}"),
        "--wsrep-sst-method=rsync".to_owned(),
        format!("--wsrep-sst-receive-address={address}:{snapshot}"),
    ]
}

async fn has_joined(node: &MariaDb) {
    let url = &node.url();
    until("the node has joined", || async move {
        let asked = async {
            let mut connection = MySqlConnection::connect(url).await?;
            let state = query_as::<_, (String, String)>("SHOW STATUS LIKE 'wsrep_local_state_comment'");
            state.fetch_one(&mut connection).await
        };
        // A connection that was opened while the link was bad may hang.
        matches!(timeout(Duration::from_secs(2), asked).await, Ok(Ok((_, state))) if state == "Synced")
    })
    .await;
}
