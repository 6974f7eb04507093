//! What replay costs on PostgreSQL: duplicates with and without their reply, and first requests that keep one.
//!
//! `cargo bench -p ferro-idem-tests --bench replay`; `-- --seconds 1` measures for so long each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ferro_idem::replay::{KEEP, NewReply, ReplayLog, TransactionalReplayLog};
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Owner, Ownership, PostgresLog, TransactionalLog,
};
use ferro_idem_tests::servers::Postgres;
use sqlx::postgres::PgPoolOptions;

#[path = "report/mod.rs"]
mod report;

use report::{Reach, median, print_load};

const STORED: &[u8] = &[b'x'; 2_048];
const LEASE: Duration = Duration::from_mins(1);
const IN_FLIGHT: usize = 256;
const EVENTS: u64 = 4_096;

/// Each pair is measured so often, in turn, and compared by its median.
const ROUNDS: usize = 5;

static NEXT: AtomicU64 = AtomicU64::new(0);

async fn complete(log: &PostgresLog, id: &str) -> Result<(), Error> {
    let owner = Owner::random()?;
    let ClaimOutcome::Acquired { token } = log.claim(EventRef::new(id)?, owner, LEASE).await? else {
        return Ok(());
    };
    let reply = NewReply { stored: STORED, keep: KEEP };
    assert!(log.complete_with_reply(id, Ownership { owner, token }, reply).await?);
    Ok(())
}

async fn replayed(log: &PostgresLog, id: &str, replays: bool) -> Result<(), Error> {
    if replays {
        assert_eq!(log.kept_reply(id).await?.map(|reply| reply.len()), Some(STORED.len()));
    }
    Ok(())
}

async fn claimed_duplicate(log: &PostgresLog, replays: bool) -> Result<(), Error> {
    let id = format!("evt_{}", NEXT.fetch_add(1, Ordering::Relaxed) % EVENTS);
    let (event, owner) = (EventRef::new(&id)?, Owner::random()?);
    if !replays {
        assert_eq!(log.claim(event, owner, LEASE).await?, ClaimOutcome::Processed);
        return Ok(());
    }
    let answer = log.claim_or_reply(event, owner, LEASE).await?.expect("a SQL log answers in one request");
    assert_eq!(answer.outcome, ClaimOutcome::Processed);
    assert_eq!(answer.reply.map(|reply| reply.len()), Some(STORED.len()));
    Ok(())
}

async fn duplicate_of_a_transaction(log: &PostgresLog, replays: bool) -> Result<(), Error> {
    let id = format!("evt_{}", NEXT.fetch_add(1, Ordering::Relaxed) % EVENTS);
    let mut transaction = log.begin().await?;
    let outcome = log.try_mark_in(&mut transaction, EventRef::new(&id)?).await?;
    PostgresLog::rollback(transaction).await?;
    // Two deliveries of one event at once.
    if outcome == MarkOutcome::Processed { replayed(log, &id, replays).await } else { Ok(()) }
}

async fn first_in_a_transaction(log: &PostgresLog, keeps: bool) -> Result<(), Error> {
    let id = format!("first_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut transaction = log.begin().await?;
    let outcome = log.try_mark_in(&mut transaction, EventRef::new(&id)?).await?;
    assert_eq!(outcome, MarkOutcome::First);
    let effect = sqlx::query("INSERT INTO effects VALUES ($1)").bind(&id).execute(&mut *transaction);
    effect.await.map_err(|error| Error::store("write the effect", error))?;
    if keeps {
        log.keep_in(&mut transaction, &id, NewReply { stored: STORED, keep: KEEP }).await?;
    }
    PostgresLog::commit(transaction).await
}

async fn first_under_a_claim(log: &PostgresLog, keeps: bool) -> Result<(), Error> {
    let id = format!("first_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    if keeps {
        return complete(log, &id).await;
    }
    let owner = Owner::random()?;
    let outcome = log.claim(EventRef::new(&id)?, owner, LEASE).await?;
    let ClaimOutcome::Acquired { token } = outcome else { return Ok(()) };
    assert!(log.complete(&id, Ownership { owner, token }).await?);
    Ok(())
}

/// Calls per second, so many in flight.
async fn rate<F>(
    log: &Arc<PostgresLog>,
    in_flight: usize,
    length: Duration,
    call: impl Fn(Arc<PostgresLog>) -> F + Copy + Send + Sync + 'static,
) -> f64
where
    F: Future<Output = Result<(), Error>> + Send,
{
    let (start, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (log, done) = (Arc::clone(log), Arc::clone(&done));
            tokio::spawn(async move {
                while start.elapsed() < length {
                    call(Arc::clone(&log)).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "it is counted in thousands")]
    let done = done.load(Ordering::Relaxed) as f64;
    done / start.elapsed().as_secs_f64()
}

/// Measures the call without its reply and with it, in turn. Returns the second rate through the first.
macro_rules! compare {
    ($log:ident, $seconds:ident, $in_flight:expr, $what:literal, $call:ident) => {{
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without
                .push(rate(&$log, $in_flight, $seconds, |log| async move { $call(&log, false).await }).await);
            with.push(rate(&$log, $in_flight, $seconds, |log| async move { $call(&log, true).await }).await);
        }
        let (without, with) = (median(without), median(with));
        println!("| {} | {} | {without:.0} | {with:.0} | {:.2} |", $what, $in_flight, with / without);
        with / without
    }};
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args().skip_while(|argument| argument != "--seconds").nth(1);
    let seconds = Duration::from_secs_f64(seconds.map_or(2.0, |seconds| seconds.parse().unwrap()));
    let server = Postgres::start().await;
    let pool =
        PgPoolOptions::new().max_connections(16).connect(&server.fresh_database().await).await.unwrap();
    let log = Arc::new(PostgresLog::new(pool));
    log.create_table().await.unwrap();
    let effects = "CREATE TABLE effects (event_id TEXT NOT NULL)";
    sqlx::raw_sql(effects).execute(log.pool()).await.unwrap();
    for number in 0..EVENTS {
        complete(&log, &format!("evt_{number}")).await.unwrap();
    }
    // As autovacuum does soon after so many rows.
    sqlx::raw_sql("ANALYZE stripe_processed_events").execute(log.pool()).await.unwrap();
    let mut reach = Reach::default();
    print_load("before");
    println!(
        "| call | in flight | per second without a reply | with one of 2 KB | ratio |\n|---|---|---|---|---|"
    );
    for (what, ratio) in [
        ("under a claim", compare!(log, seconds, IN_FLIGHT, "duplicate under a claim", claimed_duplicate)),
        (
            "of a transaction",
            compare!(log, seconds, IN_FLIGHT, "duplicate of a transaction", duplicate_of_a_transaction),
        ),
    ] {
        reach.at_least(&format!("PostgreSQL, replay {what}, 256 in flight, against duplicates"), 0.8, ratio);
    }
    for in_flight in [1, 16] {
        let ratio = compare!(log, seconds, in_flight, "first in a transaction", first_in_a_transaction);
        reach.at_most(
            &format!("PostgreSQL, cost of a first request, {in_flight} in flight"),
            1.15,
            1.0 / ratio,
        );
    }
    for in_flight in [1, IN_FLIGHT] {
        let ratio = compare!(log, seconds, in_flight, "first under a claim", first_under_a_claim);
        println!("cost: {:.2}", 1.0 / ratio);
    }
    print_load("after");
    reach.print();
}
