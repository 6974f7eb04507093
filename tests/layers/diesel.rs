//! `DieselPostgresLog` and `DieselMySqlLog`.

use diesel::ExpressionMethods;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use ferro_idem::{DieselMySqlLog, DieselPostgresLog, Error};

use crate::databases::{OnMariaDb, OnPostgres};
use crate::kit::{Handles, Layered};
use crate::promises::promises;

diesel::table! {
    effects (event_id) {
        event_id -> Text,
    }
}

macro_rules! layered {
    ($layer:ident, $database:ty, $connection:ty, $log:ty, $options:literal) => {
        pub(crate) struct $layer;

        impl Layered for $layer {
            type Database = $database;

            type Lent = $connection;

            type Log = $log;

            async fn open(url: &str, connections: u32) -> $log {
                let manager = AsyncDieselConnectionManager::<$connection>::new(format!("{url}{}", $options));
                <$log>::new(Pool::builder(manager).max_size(connections as usize).build().unwrap())
            }

            async fn check(log: &$log) -> Result<(), Error> {
                log.check().await
            }

            async fn run(lent: &mut $connection, sql: &str) -> Result<(), String> {
                lent.batch_execute(sql).await.map_err(|error| error.to_string())
            }

            async fn write(lent: &mut $connection, event_id: &str) -> Result<(), String> {
                let insert = diesel::insert_into(effects::table).values(effects::event_id.eq(event_id));
                insert.execute(lent).await.map(drop).map_err(|error| error.to_string())
            }
        }
    };
}

layered!(OverPostgres, OnPostgres, AsyncPgConnection, DieselPostgresLog, "");
// Otherwise it reaches the server by its socket, past a proxy.
layered!(OverMySql, OnMariaDb, AsyncMysqlConnection, DieselMySqlLog, "?prefer_socket=false");

mod postgres {
    use super::*;

    ferro_idem::conformance::tests! {
        #[ignore = "needs PostgreSQL: run tests/run"]
        transactions;
        store = Handles::<OverPostgres>::fresh().await
    }

    promises! {
        [ignore = "needs PostgreSQL: run tests/run"]
        for OverPostgres;
        sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await
        says_that_a_body_committed says_that_the_database_rolled_back needs_one_connection survives_a_killed_server
        works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
    }
}

mod mariadb {
    use super::*;

    ferro_idem::conformance::tests! {
        #[ignore = "needs MariaDB: run tests/run"]
        transactions;
        store = Handles::<OverMySql>::fresh().await
    }

    promises! {
        [ignore = "needs MariaDB: run tests/run"]
        for OverMySql;
        sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await
        says_that_a_body_committed says_that_the_database_rolled_back needs_one_connection works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
    }
}
