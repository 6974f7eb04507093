//! PostgreSQL with a standby, and failovers between the two.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, query_scalar};
use tokio::sync::RwLock;
use tokio::time::sleep;

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
        let primary = Postgres::start().await;
        if replication == Replication::Synchronous {
            // Copied to each standby, so that a promoted one waits for its own.
            tell(&primary, format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")).await;
        }
        let standby = primary.start_standby(STANDBY).await;
        tell(&primary, "SELECT pg_reload_conf()".to_owned()).await;
        follows(&primary, replication).await;
        Self { servers: RwLock::new(Servers { primary, standby, replication }) }
    }

    /// Creates a database, and returns its name.
    pub async fn fresh_database(&self) -> String {
        let url = self.servers.read().await.primary.fresh_database().await;
        url.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The URL of a database on the primary.
    pub async fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port().await)
    }

    /// The port of the primary.
    pub async fn port(&self) -> u16 {
        self.servers.read().await.primary.server().port()
    }

    /// Kills the primary and starts it again. The standby goes on with it.
    pub async fn crash(&self) {
        let servers = self.servers.read().await;
        servers.primary.server().kill();
        servers.primary.start_again().await;
    }

    /// Kills the primary and promotes its standby. `moved` gets the port of the new primary, as soon as that takes
    /// writes. Returns when it has a standby again.
    pub async fn promote(&self, moved: impl FnOnce(u16)) {
        let mut servers = self.servers.write().await;
        servers.primary.server().kill();
        servers.fail_over(moved).await;
    }

    /// The standby is away, and the primary crashes meanwhile: afterwards, marks are visible there that the standby
    /// does not have. Then the primary is lost, and the standby is promoted without them.
    pub async fn promote_after_an_absence(&self, length: Duration, moved: impl FnOnce(u16)) {
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
}

impl Servers {
    /// The standby takes over from a primary that is gone.
    async fn fail_over(&mut self, moved: impl FnOnce(u16)) {
        tell(&self.standby, "SELECT pg_promote(true, 60)".to_owned()).await;
        moved(self.standby.server().port());
        let standby = self.standby.start_standby(STANDBY).await;
        let primary = std::mem::replace(&mut self.standby, standby);
        self.primary = primary;
        follows(&self.primary, self.replication).await;
    }
}

async fn tell(server: &Postgres, statement: String) {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
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
