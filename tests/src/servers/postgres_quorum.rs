//! PostgreSQL with two standbys, some of which each commit waits for.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, query_scalar};
use tokio::sync::RwLock;
use tokio::time::sleep;

use super::deployment::{Deployment, Moved};
use super::network::Place;
use super::postgres::Postgres;
use super::until;

const STANDBYS: [&str; 2] = ["standby_a", "standby_b"];

/// A primary and two standbys. Each promotion makes the standby that has received more the primary, and both others are
/// copied from it anew.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct PostgresQuorum {
    servers: RwLock<Servers>,
}

#[derive(Debug)]
struct Servers {
    primary: Postgres,
    standbys: Vec<Postgres>,
}

impl PostgresQuorum {
    /// Starts all three. A commit waits for so many of the standbys, whichever they are.
    pub async fn start(number: usize) -> Self {
        let primary = Postgres::start().await;
        // Copied to each standby, so that a promoted one waits for its own.
        let [a, b] = STANDBYS;
        primary
            .tell(&format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY {number} ({a}, {b})'"))
            .await;
        let mut servers = Servers { primary, standbys: Vec::new() };
        servers.start_standbys().await;
        servers.primary.tell("SELECT pg_reload_conf()").await;
        servers.are_synchronous().await;
        Self { servers: RwLock::new(servers) }
    }
}

#[async_trait]
impl Deployment for PostgresQuorum {
    async fn address(&self) -> SocketAddr {
        self.servers.read().await.primary.server().address()
    }

    /// The standbys go on with the primary.
    async fn crash(&self, moved: Moved<'_>) {
        self.servers.read().await.primary.crash(moved).await;
    }

    async fn promote(&self, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        servers.primary.server().kill();
        servers.fail_over(moved).await;
    }

    /// Both standbys are away. After the crash, marks are visible on the primary that neither of them has.
    async fn promote_after_an_absence(&self, length: Duration, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        for standby in &servers.standbys {
            standby.server().kill();
        }
        sleep(length).await;
        servers.primary.server().kill();
        servers.primary.start_again().await;
        sleep(length).await;
        servers.primary.server().kill();
        for standby in &servers.standbys {
            standby.start_again().await;
        }
        servers.fail_over(moved).await;
    }
}

impl Servers {
    /// The standby that has received more takes over from a primary that is gone.
    async fn fail_over(&mut self, moved: Moved<'_>) {
        let mut received = Vec::new();
        for standby in &self.standbys {
            received.push(received_by(standby).await);
        }
        let most = usize::from(received[1] > received[0]);
        let promoted = self.standbys.swap_remove(most);
        promoted.promote().await;
        moved(promoted.server().address());
        self.primary = promoted;
        self.start_standbys().await;
        self.are_synchronous().await;
    }

    async fn start_standbys(&mut self) {
        self.standbys.clear();
        for name in STANDBYS {
            self.standbys.push(self.primary.start_standby(Place::HERE, name).await);
        }
    }

    async fn are_synchronous(&self) {
        let url = &self.primary.url();
        until("both standbys follow", || async move {
            let Ok(mut connection) = PgConnection::connect(url).await else { return false };
            let following = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'";
            query_scalar::<_, i64>(following).fetch_one(&mut connection).await.is_ok_and(|number| number == 2)
        })
        .await;
    }
}

/// The bytes of WAL.
async fn received_by(standby: &Postgres) -> i64 {
    let mut connection = PgConnection::connect(&standby.url()).await.unwrap();
    // One that was started again has received nothing since, and has read everything that it has.
    let received =
        "SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::bigint";
    query_scalar(received).fetch_one(&mut connection).await.unwrap()
}
