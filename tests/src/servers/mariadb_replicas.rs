//! MariaDB with a replica, and failovers between the two.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};
use tokio::sync::RwLock;
use tokio::time::sleep;

use super::deployment::{Deployment, Moved};
use super::mariadb::MariaDb;
use super::until;

/// Whether commits wait for the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// They wait without end until the replica has received them, before others see them.
    AfterSync,
    /// They wait for a tenth of a second, and then go on without the replica: MariaDB's way, with a shorter time.
    AfterSyncOrTimeout,
    /// They wait without end, but others see them before: MariaDB's default.
    AfterCommit,
    /// They do not wait.
    None,
}

/// A primary and its replica (GTID). Each promotion makes the replica the primary, which gets a new replica.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct MariaDbReplicas {
    servers: RwLock<Servers>,
}

#[derive(Debug)]
struct Servers {
    primary: MariaDb,
    replica: MariaDb,
    acknowledgement: Acknowledgement,
    /// Each server has an id of its own.
    started: u32,
}

impl MariaDbReplicas {
    /// Starts both, and returns when the replica has caught up.
    pub async fn start(acknowledgement: Acknowledgement) -> Self {
        let primary = start(acknowledgement, 1).await;
        wait_for_replicas(&primary, acknowledgement).await;
        let replica = start(acknowledgement, 2).await;
        follow(&replica, &primary).await;
        has_replica(&primary, acknowledgement).await;
        Self { servers: RwLock::new(Servers { primary, replica, acknowledgement, started: 2 }) }
    }

    /// Stops the replica after it has applied what it has received.
    pub async fn kill_replica(&self) {
        self.servers.read().await.kill_replica().await;
    }

    /// Starts it again. It receives what it has missed.
    pub async fn start_replica_again(&self) {
        let servers = self.servers.read().await;
        servers.replica.start_again().await;
        tell(&servers.replica, "START SLAVE").await;
        has_replica(&servers.primary, servers.acknowledgement).await;
    }

    /// The same on the replica.
    pub async fn replica_url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.servers.read().await.replica.server().port())
    }

    /// Kills the primary and starts it again, whether the replica is there or not.
    pub async fn crash_primary(&self) {
        self.servers.read().await.crash_primary().await;
    }

    /// The administrator's URL of a database on the primary.
    pub async fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.address().await.port())
    }
}

#[async_trait]
impl Deployment for MariaDbReplicas {
    async fn address(&self) -> SocketAddr {
        self.servers.read().await.primary.server().address()
    }

    /// The replica goes on with the primary.
    async fn crash(&self, _moved: Moved<'_>) {
        let servers = self.servers.read().await;
        servers.crash_primary().await;
        has_replica(&servers.primary, servers.acknowledgement).await;
    }

    /// Returns when the promoted replica has one of its own.
    async fn promote(&self, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        servers.primary.server().kill();
        servers.fail_over(moved).await;
    }

    /// After the crash, marks are visible on the primary that the replica does not have.
    async fn promote_after_an_absence(&self, length: Duration, moved: Moved<'_>) {
        let mut servers = self.servers.write().await;
        servers.kill_replica().await;
        sleep(length).await;
        servers.crash_primary().await;
        sleep(length).await;
        servers.primary.server().kill();
        servers.replica.start_again().await;
        servers.fail_over(moved).await;
    }
}

impl Servers {
    async fn crash_primary(&self) {
        self.primary.server().kill();
        let waits = self.acknowledgement != Acknowledgement::None;
        let options: &[OsString] = &[WAITS.into()];
        self.primary.server().spawn_with(if waits { options } else { &[] });
        self.primary.is_up().await;
    }

    /// What a replica has received and not applied is deleted when it starts again and asks its primary for it.
    async fn kill_replica(&self) {
        tell(&self.replica, "STOP SLAVE IO_THREAD").await;
        has_applied_all(&self.replica).await;
        self.replica.server().kill();
    }

    /// The replica applies what it has received, and takes over from a primary that is gone.
    async fn fail_over(&mut self, moved: Moved<'_>) {
        tell(&self.replica, "STOP SLAVE IO_THREAD").await;
        has_applied_all(&self.replica).await;
        tell(&self.replica, "STOP SLAVE; RESET SLAVE ALL").await;
        wait_for_replicas(&self.replica, self.acknowledgement).await;
        moved(self.replica.server().address());
        self.started += 1;
        let replica = start(self.acknowledgement, self.started).await;
        follow(&replica, &self.replica).await;
        self.primary = std::mem::replace(&mut self.replica, replica);
        has_replica(&self.primary, self.acknowledgement).await;
    }
}

async fn start(acknowledgement: Acknowledgement, id: u32) -> MariaDb {
    let id = format!("--server-id={id}");
    let usual = [
        "--innodb-flush-log-at-trx-commit=2",
        "--log-bin=binlog",
        "--relay-log=relay",
        "--log-slave-updates=1",
        "--skip-slave-start=1",
        "--slave-parallel-threads=4",
        &id,
    ];
    // A replica with it would wait for replicas of its own, and apply nothing.
    let semi_sync = ["--rpl-semi-sync-slave-enabled=1", "--rpl-semi-sync-master-wait-no-slave=1"];
    let (wait_point, timeout) = match acknowledgement {
        Acknowledgement::None => return MariaDb::start_with(&usual).await,
        Acknowledgement::AfterSync => ("AFTER_SYNC", WITHOUT_END),
        Acknowledgement::AfterSyncOrTimeout => ("AFTER_SYNC", "100"),
        Acknowledgement::AfterCommit => ("AFTER_COMMIT", WITHOUT_END),
    };
    let wait_point = format!("--rpl-semi-sync-master-wait-point={wait_point}");
    let timeout = format!("--rpl-semi-sync-master-timeout={timeout}");
    let all = [&usual[..], &semi_sync, &[&*wait_point, &*timeout]].concat();
    MariaDb::start_with(&all).await
}

/// Makes commits of a primary wait.
const WAITS: &str = "--rpl-semi-sync-master-enabled=1";

async fn wait_for_replicas(primary: &MariaDb, acknowledgement: Acknowledgement) {
    if acknowledgement != Acknowledgement::None {
        tell(primary, "SET GLOBAL rpl_semi_sync_master_enabled = ON").await;
    }
}

/// In milliseconds.
const WITHOUT_END: &str = "4294967295";

async fn follow(replica: &MariaDb, primary: &MariaDb) {
    let port = primary.server().port();
    let follow = format!(
        "CHANGE MASTER TO master_host = '127.0.0.1', master_port = {port}, master_user = 'root', \
         master_connect_retry = 1, master_heartbeat_period = 1, master_use_gtid = slave_pos; START SLAVE"
    );
    tell(replica, &follow).await;
}

/// Waits until commits on the primary reach a replica, and wait for it.
async fn has_replica(primary: &MariaDb, acknowledgement: Acknowledgement) {
    let url = &primary.url();
    until("the replica follows", || async move {
        let Ok(mut connection) = MySqlConnection::connect(url).await else { return false };
        let followers = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(&mut connection).await.unwrap_or_default();
        let is_dump = |row: &MySqlRow| row.try_get::<String, _>("Command").is_ok_and(|name| name == "Binlog Dump");
        if acknowledgement == Acknowledgement::None {
            return followers.iter().any(is_dump);
        }
        let status = "SHOW GLOBAL STATUS WHERE (Variable_name = 'Rpl_semi_sync_master_status' AND Value = 'ON') \
                      OR (Variable_name = 'Rpl_semi_sync_master_clients' AND Value = '1')";
        sqlx::raw_sql(status).fetch_all(&mut connection).await.is_ok_and(|rows| rows.len() == 2)
    })
    .await;
}

async fn has_applied_all(replica: &MariaDb) {
    let url = &replica.url();
    until("the replica has applied what it has received", || async move {
        let Ok(mut connection) = MySqlConnection::connect(url).await else { return false };
        let status = sqlx::raw_sql("SHOW SLAVE STATUS").fetch_optional(&mut connection).await;
        let Ok(Some(status)) = status else { return false };
        let received: String = status.try_get("Gtid_IO_Pos").unwrap_or_default();
        let applied =
            sqlx::query_scalar::<_, String>("SELECT @@gtid_slave_pos").fetch_one(&mut connection).await;
        // One that was started again has received nothing since.
        received.is_empty() || applied.is_ok_and(|applied| sequence(&applied) >= sequence(&received))
    })
    .await;
}

/// Of a position in one domain, such as `0-1-17`.
fn sequence(position: &str) -> u64 {
    position.rsplit('-').next().and_then(|sequence| sequence.parse().ok()).unwrap_or(0)
}

async fn tell(server: &MariaDb, statements: &str) {
    let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
}
