//! What an operator waits for as the log grows from 10^4 to 10^7 events: a page of a list, and one event.
//!
//! `cargo bench -p ferro-idem-tests --bench listing`; `-- --rows 1000000 --log sqlite` is a part. A whole run needs about
//! 6 GB of disk until it ends.

mod report;

use std::env;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_idem::operations::{Cursor, EventState, Filter, Operations};
use ferro_idem::{MySqlLog, PostgresLog, SqliteLog};
use ferro_idem_tests::servers::{MariaDb, Postgres};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool};

use report::{Reach, median, print_load};

const FEW: u32 = 10_000;
const PAGE: usize = 100;
const TURNS: usize = 21;

/// One event in a thousand is released, so that a filter finds a page of them in the first 100,000 rows.
const RELEASED: &str = "CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END";

type Failure = Box<dyn StdError>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (many, only) = arguments()?;
    print_load("before");
    println!("milliseconds for a page of {PAGE}; medians of {TURNS}\n");
    println!("log                 rows    first   middle     last   released   nothing   one event");
    let mut reach = Reach::default();
    for log in ["sqlite", "postgres", "mariadb"] {
        if only.as_deref().is_some_and(|only| only != log) {
            continue;
        }
        let few = measure(log, FEW).await?;
        let many_costs = measure(log, many).await?;
        for (what, few, many) in [
            ("the first page", few.first, many_costs.first),
            ("a page in the middle", few.middle, many_costs.middle),
            ("the last page", few.last, many_costs.last),
        ] {
            let what = format!("{log}: {what}, 10^{} rows against 10^4", many_costs.rows.ilog10());
            reach.at_most(&what, 3.0, many / few);
        }
    }
    print_load("after");
    reach.print();
    Ok(())
}

fn arguments() -> Result<(u32, Option<String>), Failure> {
    let (mut rows, mut log) = (10_000_000, None);
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next()) {
            ("--rows", Some(given)) => rows = given.parse()?,
            ("--log", Some(given)) => log = Some(given),
            _ => return Err("only --rows NUMBER and --log sqlite, postgres or mariadb".into()),
        }
    }
    Ok((rows, log))
}

struct Costs {
    rows: u32,
    first: f64,
    middle: f64,
    last: f64,
}

async fn measure(log: &str, rows: u32) -> Result<Costs, Failure> {
    match log {
        "sqlite" => {
            let folder = tempfile::tempdir()?;
            let log = SqliteLog::open(folder.path().join("events.db")).await?;
            let fill = format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows} - 1)
                 INSERT INTO stripe_processed_events (event_id, event_type, state, fencing_token)
                 SELECT printf('evt_%010d', n), 'invoice.paid', {RELEASED}, 1 FROM numbers"
            );
            sqlx::raw_sql(AssertSqlSafe(fill)).execute(log.pool()).await?;
            costs("sqlite", rows, log.operations()).await
        }
        "postgres" => {
            let server = Postgres::start_with(&["wal_level=minimal", "max_wal_senders=0"]).await;
            let pool = PgPool::connect(&server.fresh_database().await).await?;
            let log = PostgresLog::new(pool.clone());
            log.create_table().await?;
            let fill = format!(
                "INSERT INTO stripe_processed_events (event_id, event_type, state, fencing_token)
                 SELECT 'evt_' || lpad(n::text, 10, '0'), 'invoice.paid', {RELEASED}, 1 FROM generate_series(0, {rows} - 1) AS n"
            );
            for statement in [fill.as_str(), "VACUUM ANALYZE stripe_processed_events"] {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await?;
            }
            costs("postgres", rows, log.operations()).await
        }
        _ => {
            let pool = MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await?;
            let log = MySqlLog::new(pool.clone());
            log.create_table().await?;
            let fill = format!(
                "INSERT INTO stripe_processed_events (event_id, event_type, state, fencing_token)
                 SELECT CONCAT('evt_', LPAD(seq, 10, '0')), 'invoice.paid', {}, 1 FROM seq_0_to_{}",
                RELEASED.replace(" n ", " seq "),
                rows - 1
            );
            sqlx::raw_sql(AssertSqlSafe(fill)).execute(&pool).await?;
            costs("mariadb", rows, log.operations()).await
        }
    }
}

async fn costs(name: &str, rows: u32, operations: Arc<dyn Operations>) -> Result<Costs, Failure> {
    let id = |number: u32| format!("evt_{number:010}");
    let after = |number: u32| Some(Cursor::of_key(id(number).as_bytes()));
    let all = Filter::new();
    let released = Filter::new().with_state(EventState::Released);
    let nothing = Filter::new().with_type("no such type");
    let list = async |filter: &Filter,
                      after: Option<Cursor>,
                      expected: Option<usize>|
           -> Result<f64, Failure> {
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let start = Instant::now();
            let page = operations.list(filter, after.as_ref(), PAGE).await?;
            times.push(millis(start.elapsed()));
            assert!(expected.is_none_or(|expected| page.events.len() == expected), "{}", page.events.len());
        }
        Ok(median(times))
    };
    let first = list(&all, None, Some(PAGE)).await?;
    let middle = list(&all, after(rows / 2), Some(PAGE)).await?;
    let end = list(&all, after(rows - 101), Some(PAGE)).await?;
    let some_released = list(&released, None, None).await?;
    let none = list(&nothing, None, Some(0)).await?;
    let mut looks = Vec::new();
    for _ in 0..TURNS {
        let start = Instant::now();
        assert!(operations.look(&id(rows / 3)).await?.is_some());
        looks.push(millis(start.elapsed()));
    }
    let one = median(looks);
    println!(
        "{name:<9} {rows:>14} {first:>8.2} {middle:>8.2} {end:>8.2} {some_released:>10.1} {none:>9.1} {one:>11.2}"
    );
    Ok(Costs { rows, first, middle, last: end })
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1_000.0
}
