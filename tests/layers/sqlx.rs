//! The logs over sqlx keep what the layers promise: the protocol is the same.

use ferro_idem::{Error, MySqlLog, PostgresLog, SqliteLog};
use sqlx::mysql::{MySqlConnection, MySqlPoolOptions};
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnection, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor};

use crate::databases::{OnMariaDb, OnPostgres, OnSqlite};
use crate::kit::Layered;
use crate::promises::promises;

macro_rules! layered {
    ($layer:ident, $database:ty, $connection:ty, $options:ty, $log:ty, $insert:literal, $closes:literal) => {
        struct $layer;

        impl Layered for $layer {
            type Database = $database;

            type Lent = $connection;

            type Log = $log;

            const CLOSES: bool = $closes;

            async fn open(url: &str, connections: u32) -> $log {
                <$log>::new(<$options>::new().max_connections(connections).connect(url).await.unwrap())
            }

            async fn check(log: &$log) -> Result<(), Error> {
                log.check().await
            }

            async fn run(lent: &mut $connection, sql: &str) -> Result<(), String> {
                let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
                lent.execute(sql).await.map(drop).map_err(|error| error.to_string())
            }

            async fn write(lent: &mut $connection, event_id: &str) -> Result<(), String> {
                let written = sqlx::query($insert).bind(event_id).execute(lent).await;
                written.map(drop).map_err(|error| error.to_string())
            }
        }
    };
}

layered!(
    OverPostgres,
    OnPostgres,
    PgConnection,
    PgPoolOptions,
    PostgresLog,
    "INSERT INTO effects VALUES ($1)",
    true
);
layered!(
    OverMySql,
    OnMariaDb,
    MySqlConnection,
    MySqlPoolOptions,
    MySqlLog,
    "INSERT INTO effects VALUES (?)",
    true
);
// A file has no primary that another connection could lead to.
layered!(
    OverSqlite,
    OnSqlite,
    SqliteConnection,
    SqlitePoolOptions,
    SqliteLog,
    "INSERT INTO effects VALUES (?)",
    false
);

mod postgres {
    use super::*;

    promises! {
        [ignore = "needs PostgreSQL: run tests/run"]
        for OverPostgres;
        refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade says_that_a_body_began_another_transaction
        says_that_a_body_committed says_that_the_database_rolled_back says_that_the_session_is_read_only
    }
}

mod mariadb {
    use super::*;

    promises! {
        [ignore = "needs MariaDB: run tests/run"]
        for OverMySql;
        refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade says_that_a_body_began_another_transaction
        says_that_a_body_committed says_that_the_database_rolled_back says_that_the_session_is_read_only
    }
}

mod sqlite {
    use super::*;

    promises! {
        [cfg(all())]
        for OverSqlite;
        refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade says_that_a_body_began_another_transaction
        says_that_a_body_committed says_that_the_database_rolled_back says_that_the_session_is_read_only
    }
}
