//! Links between clients and servers, and between servers, that are cut, slowed or lossy for a while.

use std::time::Duration;

use ferro_idem_tests::servers::{Cut, Network};
use tokio::time::sleep;

use crate::args::Args;
use crate::disasters::Disaster;
use crate::store::Store;

/// Which link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Between clients and the server that they use.
    Clients,
    /// Between that server and the others.
    Servers,
}

/// A link, and how it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    link: Link,
    cut: Cut,
}

impl Partition {
    /// All kinds.
    pub(crate) fn all() -> Vec<Self> {
        let cuts = [Cut::BothWays, Cut::There, Cut::Back, Cut::Slow, Cut::Lossy];
        let of = |link| cuts.map(|cut| Self { link, cut });
        [of(Link::Clients), of(Link::Servers)].concat()
    }
}

/// The network of a run that needs one: enough nodes for any cluster.
pub(crate) fn network(args: &Args) -> Option<Network> {
    let needs_one = |disaster: &Disaster| matches!(disaster, Disaster::Partition | Disaster::Comeback);
    if !args.disasters.iter().any(needs_one) {
        return None;
    }
    let network = Network::of(NODES);
    if network.is_none() {
        eprintln!(
            "no network namespaces, which need root and nftables: a proxy cuts clients off, both ways, and links \
             between servers stay whole"
        );
    }
    network
}

const NODES: u8 = 3;

impl Store {
    /// Returns when the link is whole again, and the servers are together.
    pub(crate) async fn part(&self, partition: Partition, length: Duration) {
        let Partition { link, cut } = partition;
        eprintln!("partition: {link:?}, {cut:?}, {} ms", length.as_millis());
        let deployment = self.deployment.as_ref().filter(|deployment| deployment.network().is_some());
        match (deployment, link) {
            (Some(deployment), Link::Clients) => deployment.part_clients(cut, length).await,
            (Some(deployment), Link::Servers) => {
                deployment.part_servers(cut, length, &|address| self.move_to(address)).await;
            }
            (None, _) => {
                if let Some(proxy) = &self.proxy {
                    proxy.stall(length);
                    sleep(length).await;
                }
            }
        }
    }
}
