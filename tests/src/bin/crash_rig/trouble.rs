//! What a disaster does to the store.

use std::any::Any;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, SqliteConnection};
use tokio::time::sleep;

use crate::disasters::Disaster;
use crate::store::{Database, Store};

/// A connection that has locked something, until it is dropped.
type Held = Box<dyn Any + Send>;

/// A replica of this port, on which nobody listens, takes no writes.
const NOBODY: u16 = 1;

impl Store {
    /// Returns when it is over.
    pub(crate) async fn befall(&self, disaster: Disaster, length: Duration, next_ids: &[String]) {
        match disaster {
            Disaster::TableLock => {
                let _held = self.lock_table().await;
                sleep(length).await;
            }
            Disaster::RowLocks => {
                let _held = self.lock_rows(next_ids).await;
                sleep(length).await;
            }
            Disaster::Freeze => {
                let Some(server) = self.server() else { return };
                server.pause();
                sleep(length).await;
                server.resume();
            }
            Disaster::Failover => self.fail_over().await,
            Disaster::ReadOnly => {
                self.set_read_only(true).await;
                sleep(length).await;
                self.set_read_only(false).await;
            }
            Disaster::Promote => match &self.database {
                Database::PostgresCluster(cluster, _) => cluster.promote(|port| self.move_to(port)).await,
                _ => drop(self.crash().await),
            },
            Disaster::Absence => {
                let Database::PostgresCluster(cluster, _) = &self.database else { return };
                cluster.promote_after_an_absence(length, |port| self.move_to(port)).await;
            }
            Disaster::Drops => {}
        }
    }

    /// The server is killed and started again. Clients do not see their old connections close.
    async fn fail_over(&self) {
        let Some(proxy) = &self.proxy else { return };
        // The connection of a Redis log is the application's, and redis-rs keeps one that does not answer.
        if matches!(self.database, Database::Redis(_)) {
            proxy.cut();
        } else {
            proxy.strand();
        }
        self.crash().await;
    }

    async fn lock_table(&self) -> Held {
        match &self.database {
            Database::Sqlite(path) => loop {
                // The workers' handlers have it again and again.
                let url = format!("sqlite://{}", path.display());
                let mut connection = SqliteConnection::connect(&url).await.expect("the file can be opened");
                if sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.is_ok() {
                    return Box::new(connection);
                }
            },
            Database::Postgres(_, url) => {
                let lock = "BEGIN; LOCK TABLE stripe_processed_events IN SHARE MODE";
                Box::new(told_postgres(url, lock.to_owned()).await)
            }
            Database::MySql(_, url) => {
                Box::new(told_mariadb(url, "LOCK TABLES stripe_processed_events WRITE".to_owned()).await)
            }
            _ => unreachable!("it has no such disaster"),
        }
    }

    async fn lock_rows(&self, ids: &[String]) -> Held {
        let rows = ids.iter().map(|id| format!("('{id}', '')")).collect::<Vec<_>>().join(", ");
        let into = "INTO stripe_processed_events (event_id, event_type) VALUES";
        match &self.database {
            Database::Postgres(_, url) => {
                let lock = format!("BEGIN; INSERT {into} {rows} ON CONFLICT DO NOTHING");
                Box::new(told_postgres(url, lock).await)
            }
            Database::MySql(_, url) => {
                Box::new(told_mariadb(url, format!("BEGIN; INSERT IGNORE {into} {rows}")).await)
            }
            _ => unreachable!("it has no such disaster"),
        }
    }

    async fn set_read_only(&self, is_read_only: bool) {
        let on = if is_read_only { "on" } else { "off" };
        match &self.database {
            Database::Sqlite(_) | Database::PostgresCluster(..) | Database::Galera(..) => {
                unreachable!("it has no such disaster")
            }
            Database::Postgres(_, url) => {
                let statement = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
                told_postgres(url, statement).await;
                told_postgres(url, "SELECT pg_reload_conf()".to_owned()).await;
            }
            Database::MySql(_, url) => {
                told_mariadb(url, format!("SET GLOBAL read_only = {on}")).await;
            }
            Database::Redis(server) => {
                let of = if is_read_only { format!("127.0.0.1 {NOBODY}") } else { "NO ONE".to_owned() };
                server.tell::<String>(&format!("REPLICAOF {of}")).await;
            }
        }
    }
}

async fn told_postgres(url: &str, statements: String) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.expect("the server is up");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the server does so");
    connection
}

async fn told_mariadb(url: &str, statements: String) -> MySqlConnection {
    let mut connection = MySqlConnection::connect(url).await.expect("the server is up");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the server does so");
    connection
}
