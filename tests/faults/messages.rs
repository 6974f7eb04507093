//! How many messages a delivery costs.

use std::time::{Duration, Instant};

use ferro_idem::{ClaimLog, EventRef, MarkOutcome, Owner, ProcessedEventLog, TransactionalLog};
use ferro_idem_tests::proxy::Proxy;
use ferro_idem_tests::servers::until;
use futures_util::future::join_all;

use super::rig::{OnMariaDb, OnPostgres, Rig};

const TRANSACTIONS: u64 = 50;

/// A plain table is looked at again after this time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The messages of two statements that are prepared and run, and a connection's test.
const MESSAGES_OF_A_LOOK: u64 = 30;

trait Plain: Rig {
    /// Takes away what [`SqlLog::UPGRADE`](ferro_idem::SqlLog::UPGRADE) adds.
    fn make_plain(log: &Self::Log) -> impl Future<Output = ()> + Send;
}

const MAKE_PLAIN: &str = "ALTER TABLE stripe_processed_events DROP COLUMN state, DROP COLUMN owner,
    DROP COLUMN fencing_token, DROP COLUMN lease_until, DROP COLUMN updated_at";

impl Plain for OnPostgres {
    async fn make_plain(log: &Self::Log) {
        sqlx::raw_sql(MAKE_PLAIN).execute(log.pool()).await.unwrap();
    }
}

impl Plain for OnMariaDb {
    async fn make_plain(log: &Self::Log) {
        sqlx::raw_sql(MAKE_PLAIN).execute(log.pool()).await.unwrap();
    }
}

/// The messages of so many transactions, and how long they took.
async fn of_transactions<R: Plain>(is_plain: bool) -> (u64, Duration)
where
    R::Log: TransactionalLog,
{
    let rig = R::fresh().await;
    if is_plain {
        R::make_plain(&rig.open(None).await).await;
    }
    let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
    let log = rig.open(Some(&proxy)).await;
    assert!(log.try_mark_processed("warm").await.unwrap());
    let deliver = async |event: &str| {
        let mut transaction = log.begin().await.unwrap();
        let outcome = log.try_mark_in(&mut transaction, EventRef::new(event).unwrap()).await.unwrap();
        assert_eq!(outcome, MarkOutcome::First);
        R::Log::commit(transaction).await.unwrap();
        until("the connection is at rest", || async { R::is_at_rest(&log) }).await;
    };
    deliver("evt_warm").await;
    let (start, before) = (Instant::now(), proxy.messages_from_clients());
    for number in 0..TRANSACTIONS {
        deliver(&format!("evt_{number}")).await;
    }
    (proxy.messages_from_clients() - before, start.elapsed())
}

async fn a_plain_table_is_not_looked_at_for_each_transaction<R: Plain>()
where
    R::Log: TransactionalLog,
{
    let (full, _) = of_transactions::<R>(false).await;
    let (plain, took) = of_transactions::<R>(true).await;
    let looks = u64::try_from(took.as_millis() / LOOK_AGAIN_AFTER.as_millis()).unwrap() + 1;
    println!("{}: {full} messages, {plain} over a plain table in {took:?}", R::NAME);
    assert!(plain <= full + looks * MESSAGES_OF_A_LOOK, "{full} and {plain} messages, {looks} looks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_looks_at_a_plain_table_once_for_many_transactions() {
    a_plain_table_is_not_looked_at_for_each_transaction::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_looks_at_a_plain_table_once_for_many_transactions() {
    a_plain_table_is_not_looked_at_for_each_transaction::<OnMariaDb>().await;
}

/// The deliveries that wait for a process that has just started.
const BURST: u64 = 200;

async fn a_burst_on_a_new_log_shares_one_look<R: Rig>() {
    let rig = R::fresh().await;
    let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
    let log = &rig.open(Some(&proxy)).await;
    let claims = (0..BURST).map(|number| async move {
        let (event, owner) = (format!("evt_{number}"), Owner::random().unwrap());
        log.claim(EventRef::new(&event).unwrap(), owner, Duration::from_mins(1)).await.unwrap()
    });
    join_all(claims).await;
    let messages = proxy.messages_from_clients();
    println!("{}: {messages} messages", R::NAME);
    assert!(messages < BURST, "{messages} messages for {BURST} claims that came at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn on_postgres_claims_that_come_at_once_look_at_the_table_once() {
    a_burst_on_a_new_log_shares_one_look::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn on_mariadb_claims_that_come_at_once_look_at_the_table_once() {
    a_burst_on_a_new_log_shares_one_look::<OnMariaDb>().await;
}
