//! Marks whose callers did not get the answer. If the body never had the chance to run, the event does not
//! stay marked.

use std::time::Duration;

use ferro_idem::{Error, ProcessedEventLog};
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::servers::until;
use futures_util::future::{join, join_all};

use super::rig::{InTable, OnMariaDb, OnPostgres, Rig};

/// The first reply answers the ping of the pool.
const REPLY: usize = 1;

/// A log whose next mark is made and whose reply is lost, and a log without faults.
struct Losing<R: Rig> {
    proxy: Proxy,
    log: R::Log,
    other: R::Log,
}

impl<R: InTable> Losing<R> {
    async fn next_reply() -> Self {
        let rig = R::fresh().await;
        let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
        let (log, other) = (rig.open(Some(&proxy)).await, rig.open(None).await);
        assert!(log.try_mark_processed("warm").await.unwrap());
        // After a burst, a leader waits for others to join.
        let burst: Vec<String> = (0..4).map(|event| format!("warm {event}")).collect();
        join_all(burst.iter().map(|event| log.try_mark_processed(event))).await;
        until("its connections are at rest", || async { R::is_at_rest(&log) }).await;
        // Nothing else arrives until the test has seen the mark.
        proxy.lose_and_stall(REPLY, From::Server, Then::Hang, Duration::from_secs(4));
        Self { proxy, log, other }
    }

    async fn until_marked(&self, event: &str) {
        until("the mark is there", || async { R::is_marked(&self.other, event).await }).await;
    }

    /// A delivery whose client hangs up as soon as its mark is there.
    async fn hung_up(&self, event: &str) {
        tokio::select! {
            biased;
            answer = self.log.try_mark_processed(event) => panic!("the reply is lost: {answer:?}"),
            () = self.until_marked(event) => {}
        }
    }

    async fn runs_once(&self, event: &str) {
        until("the mark is taken back, and the next delivery is first", || async {
            self.other.try_mark_processed(event).await.unwrap()
        })
        .await;
        assert!(!self.other.try_mark_processed(event).await.unwrap());
    }
}

async fn a_caller_who_goes<R: InTable>() {
    let losing = Losing::<R>::next_reply().await;
    losing.hung_up("evt_1").await;
    losing.runs_once("evt_1").await;
}

async fn a_caller_who_goes_and_one_who_stays<R: InTable>() {
    let losing = Losing::<R>::next_reply().await;
    let ((), stays) = join(losing.hung_up("evt_1"), losing.log.try_mark_processed("evt_1")).await;
    assert!(stays.unwrap(), "the caller who stays is first");
    assert!(!losing.other.try_mark_processed("evt_1").await.unwrap());
}

async fn a_call_that_gives_up<R: InTable>() {
    let losing = Losing::<R>::next_reply().await;
    let away = async {
        losing.until_marked("evt_1").await;
        // A little longer than the call's deadline.
        losing.proxy.stall(Duration::from_secs(12));
    };
    let (given_up, ()) = join(losing.log.try_mark_processed("evt_1"), away).await;
    assert!(matches!(given_up, Err(Error::Store { .. })), "{given_up:?}");
    assert!(R::is_marked(&losing.other, "evt_1").await, "its mark is there");
    losing.runs_once("evt_1").await;
}

macro_rules! on_every_server {
    ($($test:ident: $case:ident),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() {
                super::$case::<super::OnPostgres>().await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() {
                super::$case::<super::OnMariaDb>().await;
            })*
        }
    };
}

on_every_server! {
    a_mark_of_a_dropped_caller_is_taken_back: a_caller_who_goes,
    the_caller_who_stays_gets_the_mark: a_caller_who_goes_and_one_who_stays,
    a_mark_of_a_failed_call_is_taken_back: a_call_that_gives_up,
}

/// A statement that waits for a lock could be carried out after its caller has got an error, and after the statement
/// that takes its mark back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn a_call_that_fails_at_a_lock_leaves_no_mark() {
    let rig = OnPostgres::fresh().await;
    let (log, other) = (rig.open(None).await, rig.open(None).await);
    let mut holder = other.pool().begin().await.unwrap();
    let hold = "INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_1', '')";
    sqlx::query(hold).execute(&mut *holder).await.unwrap();
    let given_up = log.try_mark_processed("evt_1").await;
    assert!(matches!(given_up, Err(Error::Store { .. })), "{given_up:?}");
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("no statement waits any more", || async {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(other.pool()).await.unwrap() == 0
    })
    .await;
    holder.rollback().await.unwrap();
    until("the mark is taken back, and the next delivery is first", || async {
        other.try_mark_processed("evt_1").await.unwrap()
    })
    .await;
    assert!(!other.try_mark_processed("evt_1").await.unwrap());
}
