//! What a disaster does to the store.

use std::any::Any;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, SqliteConnection};
use tokio::time::sleep;

use crate::disasters::Disaster;
use crate::logs::Kind;
use crate::store::Store;

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
            Disaster::Promote => {
                let Some(deployment) = &self.deployment else { return };
                deployment.promote(&|address| self.move_to(address)).await;
            }
            Disaster::Absence => {
                let Some(deployment) = &self.deployment else { return };
                deployment.promote_after_an_absence(length, &|address| self.move_to(address)).await;
            }
            Disaster::Comeback => {
                let Some(deployment) = &self.deployment else { return };
                deployment.promote_and_come_back(length, &|address| self.move_to(address)).await;
            }
            // Those are the executioner's, and the senders'.
            Disaster::Partition | Disaster::Drops => {}
        }
    }

    /// The server is killed and started again. Clients do not see their old connections close.
    async fn fail_over(&self) {
        let Some(proxy) = &self.proxy else { return };
        self.lose_connections(proxy);
        self.crash().await;
    }

    async fn lock_table(&self) -> Held {
        let url = self.url().await;
        match self.kind {
            Kind::Sqlite | Kind::Naive => loop {
                // The workers' handlers have it again and again.
                let mut connection = SqliteConnection::connect(&format!("sqlite://{url}"))
                    .await
                    .expect("the file can be opened");
                if sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.is_ok() {
                    return Box::new(connection);
                }
            },
            Kind::Postgres => {
                let lock = "BEGIN; LOCK TABLE stripe_processed_events IN SHARE MODE";
                Box::new(told_postgres(&url, lock.to_owned()).await)
            }
            Kind::MySql => {
                Box::new(told_mariadb(&url, "LOCK TABLES stripe_processed_events WRITE".to_owned()).await)
            }
            Kind::Redis | Kind::RedisCluster => unreachable!("it has no such disaster"),
        }
    }

    async fn lock_rows(&self, ids: &[String]) -> Held {
        let rows = ids.iter().map(|id| format!("('{id}', '')")).collect::<Vec<_>>().join(", ");
        let into = "INTO stripe_processed_events (event_id, event_type) VALUES";
        let url = self.url().await;
        match self.kind {
            Kind::Postgres => {
                let lock = format!("BEGIN; INSERT {into} {rows} ON CONFLICT DO NOTHING");
                Box::new(told_postgres(&url, lock).await)
            }
            Kind::MySql => Box::new(told_mariadb(&url, format!("BEGIN; INSERT IGNORE {into} {rows}")).await),
            _ => unreachable!("it has no such disaster"),
        }
    }

    async fn set_read_only(&self, is_read_only: bool) {
        let on = if is_read_only { "on" } else { "off" };
        let url = self.url().await;
        match self.kind {
            Kind::Sqlite | Kind::Naive | Kind::RedisCluster => unreachable!("it has no such disaster"),
            Kind::Postgres => {
                let statement = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
                told_postgres(&url, statement).await;
                told_postgres(&url, "SELECT pg_reload_conf()".to_owned()).await;
            }
            Kind::MySql => {
                told_mariadb(&url, format!("SET GLOBAL read_only = {on}")).await;
            }
            Kind::Redis => {
                let nobody = NOBODY.to_string();
                let primary = if is_read_only { ["127.0.0.1", &nobody] } else { ["NO", "ONE"] };
                told_redis(&url, redis::cmd("REPLICAOF").arg(&primary)).await;
            }
        }
    }
}

async fn told_redis(url: &str, command: &redis::Cmd) {
    let client = redis::Client::open(url).expect("it is a URL");
    let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&patient).await;
    let mut connection = connection.expect("the server is up");
    command.query_async::<()>(&mut connection).await.expect("the server does so");
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
