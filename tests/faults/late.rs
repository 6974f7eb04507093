//! A call that was answered with an error is not carried out later, although tables or rows are locked or
//! servers are stopped for longer than a call takes.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MySqlLog, Owner, PostgresLog, ProcessedEventLog, SqlDatabase,
    SqlLog,
};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use futures_util::future::join_all;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

impl Obstacle {
    /// Longer than every call. A table is locked for longer than a call and what takes its mark back together.
    fn length(self) -> Duration {
        match self {
            Self::LockedTable => Duration::from_secs(25),
            Self::LockedRows | Self::ServerThatStandsStill => Duration::from_secs(13),
        }
    }
}

/// A bound for every call, on a loaded machine.
const BOUND: Duration = Duration::from_secs(20);

const POOL: u32 = 16;

const EVENTS: usize = 100;

const LEASE: Duration = Duration::from_mins(10);

/// The obstacle that blocks every delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    LockedTable,
    LockedRows,
    ServerThatStandsStill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guarantee {
    Fence,
    Claim,
}

/// Whether this delivery is to run.
async fn deliver<D: SqlDatabase>(log: &SqlLog<D>, guarantee: Guarantee, event: &str) -> Result<bool, Error>
where
    SqlLog<D>: ClaimLog + ProcessedEventLog,
{
    match guarantee {
        Guarantee::Fence => log.try_mark_processed(event).await,
        Guarantee::Claim => {
            let outcome = log.claim(EventRef::new(event)?, Owner::random()?, LEASE).await?;
            Ok(matches!(outcome, ClaimOutcome::Acquired { .. }))
        }
    }
}

fn event(number: usize) -> String {
    format!("evt_{number:03}")
}

/// Delivers every event while the obstacle is there, and again after it is gone. Returns the events that
/// never ran.
async fn lost<D: SqlDatabase>(
    log: &SqlLog<D>,
    guarantee: Guarantee,
    obstacle: impl Future<Output = ()>,
    is_there: oneshot::Receiver<()>,
) -> Vec<String>
where
    SqlLog<D>: ClaimLog + ProcessedEventLog,
{
    let during = async {
        is_there.await.unwrap();
        let start = Instant::now();
        let delivered = (0..EVENTS).map(|number| async move {
            timeout(BOUND, deliver(log, guarantee, &event(number))).await.expect("every call has a bound")
        });
        let delivered = join_all(delivered).await;
        println!("the last call was answered after {:?}", start.elapsed());
        delivered
    };
    let ((), during) = tokio::join!(obstacle, during);
    let refused = during.iter().filter(|delivered| delivered.is_err()).count();
    println!("{refused} of {EVENTS} were answered with an error");
    let mut lost = Vec::new();
    for (number, delivered) in during.into_iter().enumerate() {
        let runs = match delivered {
            Ok(runs) => runs,
            Err(_) => redelivered(log, guarantee, &event(number)).await,
        };
        if !runs {
            lost.push(event(number));
        }
    }
    lost
}

/// Delivers again, as a sender does, until the answer is not an error.
async fn redelivered<D: SqlDatabase>(log: &SqlLog<D>, guarantee: Guarantee, event: &str) -> bool
where
    SqlLog<D>: ClaimLog + ProcessedEventLog,
{
    for _ in 0..3 {
        if let Ok(runs) = deliver(log, guarantee, event).await {
            return runs;
        }
    }
    panic!("{event} is refused although nothing is in the way");
}

async fn hold_in_postgres(server: &Postgres, url: &str, obstacle: Obstacle, is_there: oneshot::Sender<()>) {
    let mut locking = PgConnection::connect(url).await.unwrap();
    match obstacle {
        Obstacle::LockedTable => {
            let lock = "BEGIN; LOCK TABLE stripe_processed_events IN SHARE MODE";
            sqlx::raw_sql(lock).execute(&mut locking).await.unwrap();
        }
        Obstacle::LockedRows => {
            let rows: Vec<String> = (0..EVENTS).map(|number| format!("('{}', 'x')", event(number))).collect();
            let insert = format!(
                "BEGIN; INSERT INTO stripe_processed_events (event_id, event_type) VALUES {}",
                rows.join(",")
            );
            sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut locking).await.unwrap();
        }
        Obstacle::ServerThatStandsStill => server.server().pause(),
    }
    is_there.send(()).unwrap();
    sleep(obstacle.length()).await;
    match obstacle {
        Obstacle::ServerThatStandsStill => server.server().resume(),
        Obstacle::LockedTable | Obstacle::LockedRows => {
            sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
        }
    }
}

async fn hold_in_mariadb(server: &MariaDb, url: &str, obstacle: Obstacle, is_there: oneshot::Sender<()>) {
    let mut locking = MySqlConnection::connect(url).await.unwrap();
    match obstacle {
        Obstacle::LockedTable => {
            sqlx::raw_sql("LOCK TABLES stripe_processed_events WRITE").execute(&mut locking).await.unwrap();
        }
        Obstacle::LockedRows => {
            let rows: Vec<String> = (0..EVENTS).map(|number| format!("('{}', 'x')", event(number))).collect();
            let insert = format!(
                "BEGIN; INSERT INTO stripe_processed_events (event_id, event_type) VALUES {}",
                rows.join(",")
            );
            sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut locking).await.unwrap();
        }
        Obstacle::ServerThatStandsStill => server.server().pause(),
    }
    is_there.send(()).unwrap();
    sleep(obstacle.length()).await;
    match obstacle {
        Obstacle::ServerThatStandsStill => server.server().resume(),
        Obstacle::LockedTable => {
            sqlx::raw_sql("UNLOCK TABLES").execute(&mut locking).await.unwrap();
        }
        Obstacle::LockedRows => {
            sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
        }
    }
}

/// How many backends wait at most, sampled while `work` goes on.
async fn backends_during<T>(url: &str, work: impl Future<Output = T>) -> (i64, T) {
    let mut watching = PgConnection::connect(url).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let mut most = 0;
    let watch = async {
        loop {
            let now: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watching).await.unwrap();
            most = most.max(now);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let done = tokio::select! {
        () = watch => unreachable!(),
        done = work => done,
    };
    (most, done)
}

async fn on_postgres(guarantee: Guarantee, obstacle: Obstacle, has_group_commit: bool) {
    let server = Postgres::start().await;
    let url = server.fresh_database().await;
    let pool = PgPoolOptions::new().max_connections(POOL).connect_lazy(&url).unwrap();
    let log = PostgresLog::new(pool);
    let log = if has_group_commit { log } else { log.without_group_commit() };
    log.create_table().await.unwrap();
    // Every connection of the pool knows the statement.
    let warm = (0..64).map(|number| {
        let log = &log;
        async move { deliver(log, guarantee, &format!("warm_{number}")).await.unwrap() }
    });
    join_all(warm).await;
    let (there, is_there) = oneshot::channel();
    let losing = lost(&log, guarantee, hold_in_postgres(&server, &url, obstacle, there), is_there);
    let (waiting, lost) = if obstacle == Obstacle::ServerThatStandsStill {
        (0, losing.await)
    } else {
        backends_during(&url, losing).await
    };
    println!(
        "{guarantee:?}, {obstacle:?}, {has_group_commit}: {waiting} backends waited, lost {}",
        lost.len()
    );
    assert!(lost.is_empty(), "answered with an error, and lost: {lost:?}");
    assert!(waiting <= i64::from(2 * POOL), "{waiting} backends wait behind a pool of {POOL}");
}

async fn on_mariadb(guarantee: Guarantee, obstacle: Obstacle, has_group_commit: bool) {
    let server = MariaDb::start().await;
    let url = server.fresh_database().await;
    let pool = MySqlPoolOptions::new().max_connections(POOL).connect_lazy(&url).unwrap();
    let log = MySqlLog::new(pool);
    let log = if has_group_commit { log } else { log.without_group_commit() };
    log.create_table().await.unwrap();
    let warm = (0..64).map(|number| {
        let log = &log;
        async move { deliver(log, guarantee, &format!("warm_{number}")).await.unwrap() }
    });
    join_all(warm).await;
    let (there, is_there) = oneshot::channel();
    let lost = lost(&log, guarantee, hold_in_mariadb(&server, &url, obstacle, there), is_there).await;
    println!("{guarantee:?}, {obstacle:?}, {has_group_commit}: lost {}", lost.len());
    assert!(lost.is_empty(), "answered with an error, and lost: {lost:?}");
}

macro_rules! no_event_is_lost {
    ($($test:ident: $guarantee:ident, $obstacle:ident, $has_group_commit:literal;)*) => {
        mod on_postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() {
                on_postgres(Guarantee::$guarantee, Obstacle::$obstacle, $has_group_commit).await;
            })*
        }

        mod on_mariadb {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() {
                on_mariadb(Guarantee::$guarantee, Obstacle::$obstacle, $has_group_commit).await;
            })*
        }
    };
}

no_event_is_lost! {
    marks_of_a_batch_behind_a_table_lock: Fence, LockedTable, true;
    marks_alone_behind_a_table_lock: Fence, LockedTable, false;
    marks_of_a_batch_behind_row_locks: Fence, LockedRows, true;
    marks_alone_behind_row_locks: Fence, LockedRows, false;
    marks_of_a_batch_on_a_server_that_stands_still: Fence, ServerThatStandsStill, true;
    marks_alone_on_a_server_that_stands_still: Fence, ServerThatStandsStill, false;
    claims_of_a_batch_behind_a_table_lock: Claim, LockedTable, true;
    claims_alone_behind_row_locks: Claim, LockedRows, false;
    claims_alone_on_a_server_that_stands_still: Claim, ServerThatStandsStill, false;
}
