//! PostgreSQL with a standby, and failovers between the two.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, query_scalar};
use tokio::sync::RwLock;
use tokio::time::sleep;

use super::deployment::{Deployment, Moved};
use super::network::{Cut, Network, Place};
use super::postgres::Postgres;
use super::until;

/// The name under which the primary knows its standby.
const STANDBY: &str = "standby";

/// A primary and its standby. Each promotion makes the standby the primary, which gets a new standby.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct PostgresCluster {
    servers: RwLock<Servers>,
    network: Option<Network>,
}

/// Whether commits wait for the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// They do: what was answered survives a promotion.
    Synchronous,
    /// They do not: a promotion loses the last of what was answered.
    Asynchronous,
}

#[derive(Debug)]
struct Servers {
    primary: Postgres,
    standby: Postgres,
    replication: Replication,
}

impl PostgresCluster {
    /// Starts both, and returns when the standby has caught up.
    pub async fn start(replication: Replication) -> Self {
        Self::start_in(None, replication).await
    }

    /// The same in a network of two nodes.
    pub async fn start_in(network: Option<Network>, replication: Replication) -> Self {
        let places = network.as_ref().map_or(&[Place::HERE, Place::HERE][..], Network::places);
        let primary = Postgres::start_at(places[0].clone(), &["fsync=off"]).await;
        if replication == Replication::Synchronous {
            // Copied to each standby, so that a promoted one waits for its own.
            primary.tell(&format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")).await;
        }
        // A sender whose link is cut ends soon, and the standby connects again.
        primary.tell("ALTER SYSTEM SET wal_sender_timeout = '2s'").await;
        primary.tell("ALTER SYSTEM SET wal_receiver_timeout = '2s'").await;
        let standby = primary.start_standby(places[1].clone(), STANDBY).await;
        primary.tell("SELECT pg_reload_conf()").await;
        follows(&primary, replication).await;
        Self { servers: RwLock::new(Servers { primary, standby, replication }), network }
    }
}

#[async_trait]
impl Deployment for PostgresCluster {
    async fn address(&self) -> SocketAddr {
        self.servers.read().await.primary.server().address()
    }

    fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The standby goes on with the primary.
    async fn crash(&self, moved: Moved<'_>) {
        self.servers.read().await.primary.crash(moved).await;
    }

    /// Returns when the promoted standby has one of its own.
    async fn promote(&self, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        servers.primary.server().kill();
        servers.fail_over(moved).await;
    }

    /// After the crash, marks are visible on the primary that the standby does not have.
    async fn promote_after_an_absence(&self, length: Duration, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        servers.standby.server().kill();
        sleep(length).await;
        servers.primary.server().kill();
        servers.primary.start_again().await;
        sleep(length).await;
        servers.primary.server().kill();
        servers.standby.start_again().await;
        servers.fail_over(moved).await;
    }

    async fn promote_and_come_back(&self, length: Duration, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        let old = servers.primary.server().address();
        let new = servers.standby.server().address();
        if let Some(network) = &self.network {
            network.cut(Cut::BothWays, old.ip(), new.ip());
        }
        servers.standby.promote().await;
        sleep(length / 2).await;
        servers.primary.server().kill();
        moved(new);
        servers.primary.start_again().await;
        moved(old);
        sleep(length / 2).await;
        if let Some(network) = &self.network {
            network.heal();
        }
        moved(new);
        servers.primary.server().kill();
        servers.has_failed_over().await;
    }

    async fn part_servers(&self, cut: Cut, length: Duration, _moved: Moved<'_>) {
        let Some(network) = &self.network else { return };
        let servers = self.servers.read().await;
        network.cut(
            cut,
            servers.primary.server().place().address(),
            servers.standby.server().place().address(),
        );
        sleep(length).await;
        network.heal();
        follows(&servers.primary, servers.replication).await;
    }
}

impl Servers {
    /// The standby takes over from a primary that is gone.
    async fn fail_over(&mut self, moved: Moved<'_>) {
        self.standby.promote().await;
        moved(self.standby.server().address());
        self.has_failed_over().await;
    }

    /// The promoted standby is the primary, and gets a standby.
    async fn has_failed_over(&mut self) {
        let free = self.primary.server().place().clone();
        let standby = self.standby.start_standby(free, STANDBY).await;
        let primary = std::mem::replace(&mut self.standby, standby);
        self.primary = primary;
        follows(&self.primary, self.replication).await;
    }
}

async fn follows(primary: &Postgres, replication: Replication) {
    let url = &primary.url();
    let wanted = match replication {
        Replication::Synchronous => "sync",
        Replication::Asynchronous => "async",
    };
    until("the standby follows", || async move {
        let Ok(mut connection) = PgConnection::connect(url).await else { return false };
        let state =
            query_scalar::<_, String>("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'");
        state.fetch_optional(&mut connection).await.is_ok_and(|state| state.as_deref() == Some(wanted))
    })
    .await;
}
