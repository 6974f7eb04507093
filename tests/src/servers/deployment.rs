//! What the crash rig runs a log on: one server, or several of which another one takes over.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::{Cut, MariaDb, Network, Postgres, Redis, Server};

/// Gets the address of the server where clients go from now on.
pub type Moved<'a> = &'a (dyn Fn(SocketAddr) + Sync);

/// A server, or a cluster of servers, whose clients go to one of them.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[async_trait]
pub trait Deployment: Debug + Send + Sync {
    /// The address of the server where clients go.
    async fn address(&self) -> SocketAddr;

    /// The addresses of all servers that clients may go to.
    async fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.address().await]
    }

    /// The server's process, if it is the only one.
    fn alone(&self) -> Option<&Server> {
        None
    }

    /// Sends clients to another server that takes writes, if there is one, and returns its address. Nothing else happens.
    fn next(&self) -> Option<SocketAddr> {
        None
    }

    /// Kills the server where clients go, starts it again, and returns when the cluster is whole again. If another
    /// server takes writes meanwhile, `moved` gets its address.
    async fn crash(&self, moved: Moved<'_>);

    /// Kills the server where clients go, and another one takes over. `moved` gets its address, as soon as it takes
    /// writes. Returns when the cluster is whole again.
    async fn promote(&self, moved: Moved<'_>) {
        self.crash(moved).await;
    }

    /// The standby is away for so long, and the primary crashes meanwhile. Then the primary is lost, and the standby
    /// takes over without what it has missed.
    async fn promote_after_an_absence(&self, _length: Duration, _moved: Moved<'_>) {
        panic!("there is no standby");
    }

    /// Another server takes over, while clients still reach the lost one for a half of this time. Then that crashes and
    /// comes back, still takes writes, and clients reach it for the other half, before they get to the new one.
    async fn promote_and_come_back(&self, _length: Duration, _moved: Moved<'_>) {
        panic!("there is no standby");
    }

    /// The network, if each server has a namespace of its own.
    fn network(&self) -> Option<&Network> {
        None
    }

    /// Cuts the link between the server where clients go and the others for this time. Returns when they are together
    /// again.
    async fn part_servers(&self, _cut: Cut, _length: Duration, _moved: Moved<'_>) {
        panic!("there are no others");
    }

    /// Cuts clients off from the server where they go, for this time. Returns when the cluster is whole.
    async fn part_clients(&self, cut: Cut, length: Duration) {
        let Some(network) = self.network() else { return };
        network.cut(cut, network.host(), self.address().await.ip());
        sleep(length).await;
        network.heal();
        self.is_whole().await;
    }

    /// Returns when all servers are up and together.
    async fn is_whole(&self) {}
}

macro_rules! one_server {
    ($($server:ty),*) => {$(
        #[async_trait]
        impl Deployment for $server {
            async fn address(&self) -> SocketAddr {
                self.server().address()
            }

            fn alone(&self) -> Option<&Server> {
                Some(self.server())
            }

            async fn crash(&self, _moved: Moved<'_>) {
                self.server().kill();
                self.start_again().await;
            }
        }
    )*};
}

one_server!(MariaDb, Postgres, Redis);
