//! The cost of a mark as the table grows from 10^4 to 10^7 rows, on PostgreSQL and SQLite.
//!
//! The database creates the rows first, with ids in Stripe's shape. Then deliveries arrive, 256 in flight: half of them are
//! new, and half are of events from anywhere in the table.
//!
//! `cargo bench -p ferro-idem-tests --bench table_growth`; `-- --rows 1000000` stops earlier. A whole
//! run needs about 4 GB of disk until it ends.

mod plot;
mod report;
mod stripe_ids;

use std::env;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ferro_idem::{EventRef, PostgresLog, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::servers::Postgres;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use plot::Chart;
use report::{Reach, median, print_load};
use stripe_ids::{scramble, stripe_event_id};

const ROWS: [u32; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const IN_FLIGHT: usize = 256;
/// New ones, and as many that are there, in each turn.
const EVENTS: u32 = 10_000;
/// Measures each table, one after the other, after a table that warms up.
const TURNS: u32 = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let most = most_rows()?;
    let sizes: Vec<u32> = ROWS.into_iter().filter(|rows| *rows <= most).collect();
    print_load("before");
    println!(
        "microseconds a mark, {IN_FLIGHT} in flight, half of them duplicates; medians of {TURNS} turns\n"
    );
    let postgres = on_postgres(&sizes).await?;
    let sqlite = on_sqlite(&sizes).await?;
    println!("      rows   PostgreSQL     SQLite");
    for ((rows, postgres), sqlite) in sizes.iter().zip(&postgres).zip(&sqlite) {
        println!("{rows:>10} {postgres:>12.1} {sqlite:>10.1}");
    }
    print_load("after");
    if sizes.len() == ROWS.len() {
        let line = |costs: &[f64]| sizes.iter().copied().map(f64::from).zip(costs.iter().copied()).collect();
        let chart = Chart {
            title: "Fence: microseconds per mark".to_owned(),
            horizontal: "rows in the table".to_owned(),
            lines: vec![("PostgreSQL".to_owned(), line(&postgres)), ("SQLite".to_owned(), line(&sqlite))],
        };
        plot::write("table_growth", &[chart])?;
        let mut reach = Reach::default();
        reach.at_most("PostgreSQL fence, 10^7 rows against 10^4", 1.5, postgres[3] / postgres[0]);
        reach.at_most("SQLite fence, 10^7 rows against 10^4", 1.5, sqlite[3] / sqlite[0]);
        reach.print();
    }
    Ok(())
}

fn most_rows() -> Result<u32, Box<dyn StdError>> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(u32::MAX),
        ["--rows", most] => Ok(most.parse()?),
        _ => Err("only --rows NUMBER".into()),
    }
}

async fn on_postgres(sizes: &[u32]) -> Result<Vec<f64>, Box<dyn StdError>> {
    // Filling is not measured, so it does not wait for the WAL.
    let settings = ["fsync=on", "wal_level=minimal", "max_wal_senders=0", "maintenance_work_mem=256MB"];
    let server = Postgres::start_with(&settings).await;
    let pool = PgPoolOptions::new().max_connections(16).connect(&server.fresh_database().await).await?;
    let mut tables = Vec::new();
    for &rows in sizes {
        let name = format!("rows_{rows}");
        let log = PostgresLog::new(pool.clone()).with_table(&name)?;
        log.create_table().await?;
        let fill = format!(
            "BEGIN; TRUNCATE {name}; ALTER TABLE {name} DROP CONSTRAINT {name}_pkey; \
             INSERT INTO {name} (event_id, event_type, owner) \
             SELECT {}, 'invoice.paid', md5(n::text)::uuid FROM generate_series(0, {rows} - 1) AS n; \
             ALTER TABLE {name} ADD PRIMARY KEY (event_id); COMMIT",
            id_of_row("substr(md5(n::text), 1, 6) || lpad((n % 100)::text, 2, '0')")
        );
        for statements in [fill, format!("VACUUM ANALYZE {name}")] {
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await?;
        }
        let anywhere = format!(
            "SELECT (SELECT event_id FROM {name} WHERE event_id >= id ORDER BY event_id LIMIT 1) \
             FROM unnest($1::text[]) AS b (id)"
        );
        let known =
            sqlx::query_scalar(AssertSqlSafe(anywhere)).bind(anywhere_in(rows)).fetch_all(&pool).await?;
        tables.push(Table { log, rows, known });
    }
    sqlx::raw_sql("CHECKPOINT").execute(&pool).await?;
    costs(tables).await
}

async fn on_sqlite(sizes: &[u32]) -> Result<Vec<f64>, Box<dyn StdError>> {
    let folder = tempfile::tempdir()?;
    let mut tables = Vec::new();
    for &rows in sizes {
        // One file each: filling wants it for itself.
        let file = folder.path().join(format!("{rows}.db"));
        let log = SqliteLog::open(&file).await?;
        log.create_table().await?;
        log.pool().close().await;
        let mut filling = SqliteConnection::connect(&file.to_string_lossy()).await?;
        let insert = format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
             INSERT INTO stripe_processed_events (event_id, event_type, owner) \
             WITH numbers AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {rows}) \
             SELECT {}, 'invoice.paid', randomblob(16) FROM numbers",
            id_of_row("lower(hex(randomblob(3))) || printf('%02d', n % 100)")
        );
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut filling).await?;
        filling.close().await?;
        let log = SqliteLog::open(&file).await?;
        let anywhere = "SELECT (SELECT event_id FROM stripe_processed_events WHERE event_id >= value \
                        ORDER BY event_id LIMIT 1) FROM json_each($1)";
        let known = sqlx::query_scalar(anywhere)
            .bind(format!("{:?}", anywhere_in(rows)))
            .fetch_all(log.pool())
            .await?;
        tables.push(Table { log, rows, known });
    }
    costs(tables).await
}

/// An id of the same shape as [`stripe_event_id`], in SQL, of the row `n`. `random`: its end, unlike any
/// other's of the same second.
fn id_of_row(random: &str) -> String {
    let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |place: u32| {
        let unit = 62_u32.pow(place);
        format!("substr('{alphanumeric}', (300000000 + n / 100) / {unit} % 62 + 1, 1)")
    };
    let digits: Vec<String> = (0..5).rev().map(digit).collect();
    format!("'evt_1' || {} || '2eZvKYlo2C' || {random}", digits.join(" || "))
}

/// Close to the ids of rows from all over the table, as many as there are duplicates to deliver.
fn anywhere_in(rows: u32) -> Vec<String> {
    let last = u64::from(rows) - 200;
    (0..EVENTS * (TURNS + 1)).map(|sample| stripe_event_id(scramble(sample.into()) % last)).collect()
}

struct Table<L> {
    log: L,
    rows: u32,
    /// Ids that are there.
    known: Vec<String>,
}

impl<L> Table<L> {
    fn deliveries(&self, turn: u32) -> Arc<[String]> {
        let new = (0..EVENTS).map(|number| stripe_event_id((self.rows + turn * EVENTS + number).into()));
        let known = self.known.iter().skip((turn * EVENTS) as usize).cloned();
        new.zip(known).flat_map(|(new, known)| [new, known]).collect()
    }
}

/// Microseconds a mark in each.
async fn costs<L: ProcessedEventLog + Clone + 'static>(
    tables: Vec<Table<L>>,
) -> Result<Vec<f64>, Box<dyn StdError>> {
    let mut costs = vec![Vec::new(); tables.len()];
    for turn in 0..=TURNS {
        for (table, costs) in tables.iter().zip(&mut costs) {
            let deliveries = table.deliveries(turn);
            let start = Instant::now();
            deliver(&table.log, deliveries).await?;
            let cost = start.elapsed().as_secs_f64() * 1e6 / f64::from(2 * EVENTS);
            if turn > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(costs.into_iter().map(median).collect())
}

async fn deliver<L: ProcessedEventLog + Clone + 'static>(
    log: &L,
    deliveries: Arc<[String]>,
) -> Result<(), Box<dyn StdError>> {
    let next = Arc::new(AtomicUsize::new(0));
    let sender = |_| {
        let (log, deliveries, next) = (log.clone(), Arc::clone(&deliveries), Arc::clone(&next));
        tokio::spawn(async move {
            let mut firsts = 0;
            while let Some(id) = deliveries.get(next.fetch_add(1, Ordering::Relaxed)) {
                firsts += u32::from(log.try_mark_event(EventRef::new(id)?.with_type("invoice.paid")).await?);
            }
            Ok::<u32, ferro_idem::Error>(firsts)
        })
    };
    let senders: Vec<_> = (0..IN_FLIGHT).map(sender).collect();
    let mut firsts = 0;
    for sender in senders {
        firsts += sender.await??;
    }
    assert_eq!(firsts, EVENTS, "half are new");
    Ok(())
}
