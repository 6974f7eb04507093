//! A row that is deleted between the statement that found it and the one that reads it: its event is free.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, EventRef, MarkOutcome, Owner, PostgresLog, ProcessedEventLog, TransactionalLog,
};
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::servers::until;
use sqlx::AssertSqlSafe;

use super::rig::{InTable, OnMariaDb, OnPostgres, Rig};

/// A trigger that keeps no row out. The log cannot know that, so it looks each row up.
trait Triggered: InTable {
    const TRIGGER: &'static str;

    /// How the statement begins that looks a mark's row up.
    const LOOK: &'static str;

    fn run(log: &Self::Log, statement: &str) -> impl Future<Output = ()> + Send;
}

impl Triggered for OnPostgres {
    const TRIGGER: &'static str = "
        CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER audit BEFORE INSERT ON stripe_processed_events FOR EACH ROW EXECUTE FUNCTION audit();";
    const LOOK: &'static str = "SELECT event_id::text, owner";

    async fn run(log: &Self::Log, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }
}

impl Triggered for OnMariaDb {
    const TRIGGER: &'static str = "CREATE TRIGGER audit BEFORE INSERT ON stripe_processed_events FOR EACH ROW SET NEW.event_type = 'x';";
    const LOOK: &'static str = "SELECT CAST(owner <=>";

    async fn run(log: &Self::Log, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(log.pool()).await.unwrap();
    }
}

const LEASE: Duration = Duration::from_mins(1);

const DELETE: &str = "DELETE FROM stripe_processed_events WHERE event_id = 'evt_1'";

/// A log behind a proxy, and a log without one that has marked the event.
struct Marked<R: Rig> {
    proxy: Proxy,
    log: R::Log,
    other: R::Log,
}

impl<R: Triggered> Marked<R> {
    async fn new(setup: &str) -> Self {
        let rig = R::fresh().await;
        let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
        let (log, other) = (rig.open(Some(&proxy)).await, rig.open(None).await);
        R::run(&other, setup).await;
        assert!(other.try_mark_processed("evt_1").await.unwrap());
        Self { proxy, log, other }
    }

    /// What the log answers if the row is deleted before this statement reads it.
    async fn deleted_before<T>(&self, look: &str, delivery: impl Future<Output = T>) -> T {
        self.proxy.hold(look);
        let deleted = async {
            self.proxy.until_held().await;
            R::run(&self.other, DELETE).await;
            self.proxy.release();
        };
        tokio::join!(delivery, deleted).0
    }
}

async fn a_mark_whose_row_is_looked_up_is_first<R: Triggered>() {
    let marked = Marked::<R>::new(R::TRIGGER).await;
    let delivered = marked.deleted_before(R::LOOK, marked.log.try_mark_processed("evt_1")).await;
    assert!(delivered.unwrap());
    assert!(!marked.other.try_mark_processed("evt_1").await.unwrap());
}

async fn a_claim_whose_row_is_looked_up_gets_the_event<R: Triggered>(look: &str) {
    let marked = Marked::<R>::new(R::TRIGGER).await;
    let claim = marked.log.claim(EventRef::new("evt_1").unwrap(), Owner::random().unwrap(), LEASE);
    let claimed = marked.deleted_before(look, claim).await.unwrap();
    assert!(matches!(claimed, ClaimOutcome::Acquired { .. }), "{claimed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_marks_an_event_whose_row_was_deleted() {
    a_mark_whose_row_is_looked_up_is_first::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_marks_an_event_whose_row_was_deleted() {
    a_mark_whose_row_is_looked_up_is_first::<OnMariaDb>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_claims_an_event_whose_row_was_deleted() {
    a_claim_whose_row_is_looked_up_gets_the_event::<OnPostgres>(OnPostgres::LOOK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_claims_an_event_whose_row_was_deleted() {
    a_claim_whose_row_is_looked_up_gets_the_event::<OnMariaDb>("SELECT event_id, owner").await;
}

/// On MariaDB an insert that meets a row keeps it locked, so that nobody deletes it meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_marks_an_event_again_after_its_row_was_deleted() {
    let marked = Marked::<OnPostgres>::new(OnPostgres::TRIGGER).await;
    let mut transaction = marked.log.begin().await.unwrap();
    let mark = Box::pin(marked.log.try_mark_in(&mut transaction, EventRef::new("evt_1").unwrap()));
    let outcome = marked.deleted_before(OnPostgres::LOOK, mark).await.unwrap();
    assert_eq!(outcome, MarkOutcome::First);
    PostgresLog::commit(transaction).await.unwrap();
    assert!(!marked.other.try_mark_processed("evt_1").await.unwrap());
}

/// A mark that is repeated looks its row up in a statement of its own, if the table has a trigger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_marks_an_event_again_whose_row_was_deleted() {
    let marked = Marked::<OnMariaDb>::new(OnMariaDb::TRIGGER).await;
    assert!(marked.log.try_mark_processed("warm").await.unwrap());
    until("its connection is at rest", || async { OnMariaDb::is_at_rest(&marked.log) }).await;
    // The first reply answers the ping of the pool, and the second one is the mark's.
    marked.proxy.lose(1, From::Server, Then::Close);
    let delivered =
        marked.deleted_before("SELECT event_id, owner", marked.log.try_mark_processed("evt_1")).await;
    assert!(delivered.unwrap());
    assert!(!marked.other.try_mark_processed("evt_1").await.unwrap());
}
