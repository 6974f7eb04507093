//! Connections that are tested while a delivery waits, and whose answers come after the wait.

use std::time::Duration;

use ferro_idem::{MySqlLog, PostgresLog, ProcessedEventLog};
use ferro_idem_tests::proxy::Proxy;
use ferro_idem_tests::servers::until;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use tokio::join;

use super::rig::{OnMariaDb, OnPostgres, Rig, is_idle};

/// Half of a round trip. A delivery that has no connection after 500 ms tests the idle ones, and its own is there after
/// 600 ms, before any of them has answered.
const ONE_WAY: Duration = Duration::from_millis(300);

/// An answer that is left on a connection must not be taken for that of a later statement: the insert of a duplicate
/// would seem to go through, and the event would run twice.
macro_rules! answers_belong_to_their_statements {
    ($(#[$ignored:meta])* $name:ident: $rig:ty, $log:ty, $pool:ty) => {
        #[tokio::test]
        $(#[$ignored])*
        async fn $name() {
            let rig = <$rig>::fresh().await;
            let proxy = Proxy::before(<$rig>::PROTOCOL, rig.server_port()).await;
            let pool = <$pool>::new().max_connections(2).connect_lazy(&proxy.url(&rig.url)).unwrap();
            // Each call has a connection of its own.
            let log = <$log>::new(pool.clone()).without_group_commit();
            let two = || async { join!(log.try_mark_processed("evt_1"), log.try_mark_processed("evt_2")) };
            until("both connections have prepared the statements", || async {
                let marked = two().await;
                marked.0.and(marked.1).is_ok() && pool.size() == 2
            })
            .await;
            for _ in 0..3 {
                until("both connections are idle", || async { is_idle(&pool) }).await;
                proxy.delay(ONE_WAY);
                assert!(!log.try_mark_processed("evt_1").await.unwrap());
                proxy.delay(Duration::ZERO);
                until("both connections are idle", || async { is_idle(&pool) }).await;
                for _ in 0..4 {
                    let (one, two) = two().await;
                    assert!(!one.unwrap() && !two.unwrap(), "a duplicate was first");
                }
            }
        }
    };
}

answers_belong_to_their_statements! {
    #[ignore = "needs PostgreSQL: run tests/run"]
    postgres_takes_no_late_answer_for_another: OnPostgres, PostgresLog, PgPoolOptions
}
answers_belong_to_their_statements! {
    #[ignore = "needs MariaDB: run tests/run"]
    mariadb_takes_no_late_answer_for_another: OnMariaDb, MySqlLog, MySqlPoolOptions
}
