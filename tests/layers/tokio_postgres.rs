//! `TokioPostgresLog`.

use deadpool_postgres::{Manager, Pool};
use ferro_idem::{Error, TokioPostgresConnection, TokioPostgresLog};
use tokio_postgres::NoTls;

use crate::databases::OnPostgres;
use crate::kit::{Handles, Layered};
use crate::promises::promises;

pub(crate) struct TokioPostgres;

impl Layered for TokioPostgres {
    type Database = OnPostgres;

    type Lent = TokioPostgresConnection;

    type Log = TokioPostgresLog;

    async fn open(url: &str, connections: u32) -> TokioPostgresLog {
        let manager = Manager::new(url.parse().unwrap(), NoTls);
        TokioPostgresLog::new(Pool::builder(manager).max_size(connections as usize).build().unwrap())
    }

    async fn check(log: &TokioPostgresLog) -> Result<(), Error> {
        log.check().await
    }

    async fn run(lent: &mut TokioPostgresConnection, sql: &str) -> Result<(), String> {
        lent.batch_execute(sql).await.map_err(|error| error.to_string())
    }

    async fn write(lent: &mut TokioPostgresConnection, event_id: &str) -> Result<(), String> {
        let written = lent.execute("INSERT INTO effects VALUES ($1)", &[&event_id]).await;
        written.map(drop).map_err(|error| error.to_string())
    }
}

ferro_idem::conformance::tests! {
    #[ignore = "needs PostgreSQL: run tests/run"]
    transactions;
    store = Handles::<TokioPostgres>::fresh().await
}

promises! {
    [ignore = "needs PostgreSQL: run tests/run"]
    for TokioPostgres;
    sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await says_that_a_body_committed
    says_that_the_database_rolled_back needs_one_connection survives_a_killed_server works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
}
