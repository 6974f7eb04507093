//! Moves money between two accounts in PostgreSQL, in one transaction with the event's mark. However often
//! the event is delivered, and however the body ends, the money moves once.
//!
//! ```text
//! docker run --rm -p 5432:5432 -e POSTGRES_PASSWORD=example postgres
//! cargo run --example postgres_transaction --features postgres -- postgres://postgres:example@localhost/postgres
//! ```
//!
//! There are three transfers. The first is delivered eight times at once. The body of the second fails after
//! it has taken the money and before it has given it. The sender of the third hangs up at that point.
//! Deliveries that are not answered as processed are repeated. The exit code is 0 if the balances and entries
//! are exactly right at the end.
//!
//! It works in a schema of its own, which it drops at the end. Deliveries are not signed here:
//! `stripe_webhook` shows that.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::{Outcome, PostgresLog, WebhookEvent, idempotent_webhook};
use futures_util::future::{join_all, pending};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use tokio::sync::Notify;

const USAGE: &str = "usage: postgres_transaction postgres://USER:PASSWORD@HOST/DATABASE (or in DATABASE_URL); \
     to start one: docker run --rm -p 5432:5432 -e POSTGRES_PASSWORD=example postgres";

/// The application's migrations. The log's table is one of them.
const MIGRATIONS: [&str; 2] = [PostgresLog::SCHEMA, ACCOUNTS];

/// There is no unique key on `event_id`, on purpose: a body that runs twice leaves two rows.
const ACCOUNTS: &str = "\
CREATE TABLE accounts (
  name    TEXT PRIMARY KEY,
  balance BIGINT NOT NULL CHECK (balance >= 0)
);
CREATE TABLE entries (
  event_id TEXT NOT NULL,
  amount   BIGINT NOT NULL
);
INSERT INTO accounts VALUES ('shop', 1000), ('supplier', 0);";

const COPIES: usize = 8;

struct Transfer {
    event_id: &'static str,
    amount: i64,
}

const TRANSFERS: [Transfer; 3] = [
    Transfer { event_id: "evt_at_once", amount: 100 },
    Transfer { event_id: "evt_fails", amount: 20 },
    Transfer { event_id: "evt_hung_up_on", amount: 3 },
];

impl WebhookEvent for Transfer {
    fn event_id(&self) -> &str {
        self.event_id
    }

    fn event_type(&self) -> Option<&str> {
        Some("transfer.created")
    }
}

struct App {
    log: PostgresLog,
    mishaps: Mishaps,
}

/// The part to copy. What is written through `tx` is committed together with the mark, or not at all.
#[idempotent_webhook(log = app.log, transaction(tx))]
async fn on_transfer(app: &App, event: &Transfer) -> Result<Outcome<i64>, AppError> {
    change_balance(tx, "shop", -event.amount).await?;
    app.mishaps.strike(event).await?;
    change_balance(tx, "supplier", event.amount).await?;
    sqlx::query("INSERT INTO entries (event_id, amount) VALUES ($1, $2)")
        .bind(event.event_id)
        .bind(event.amount)
        .execute(&mut *tx)
        .await?;
    Ok(Outcome::Processed(event.amount))
}

async fn change_balance(tx: &mut PgConnection, name: &str, by: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE accounts SET balance = balance + $2 WHERE name = $1")
        .bind(name)
        .bind(by)
        .execute(tx)
        .await
        .map(drop)
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the transfer could not be written down")]
    Database(#[from] sqlx::Error),
    #[error("failed on purpose")]
    OnPurpose,
}

/// What goes wrong between the two accounts. Each failure happens once.
#[derive(Default)]
struct Mishaps {
    struck: [AtomicUsize; 2],
    money_is_taken: Notify,
}

impl Mishaps {
    async fn strike(&self, event: &Transfer) -> Result<(), AppError> {
        let is_first = |mishap: usize| self.struck[mishap].fetch_add(1, Ordering::Relaxed) == 0;
        match event.event_id {
            // A body that takes its time, so that the other deliveries find it running.
            "evt_at_once" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(())
            }
            "evt_fails" if is_first(0) => Err(AppError::OnPurpose),
            "evt_hung_up_on" if is_first(1) => {
                self.money_is_taken.notify_one();
                pending().await
            }
            _ => Ok(()),
        }
    }
}

/// One delivery, again for as long as another one is running.
async fn deliver(app: &App, event: &Transfer) -> Result<(Outcome<i64>, usize), AppError> {
    let mut in_progress = 0;
    loop {
        match on_transfer(app, event).await {
            Err(AppError::Event(ferro_idem::Error::InProgress { retry_after, .. })) => {
                in_progress += 1;
                tokio::time::sleep(retry_after).await;
            }
            answer => return Ok((answer?, in_progress)),
        }
    }
}

async fn story(pool: &PgPool) -> Result<bool, Box<dyn Error>> {
    for migration in MIGRATIONS {
        sqlx::raw_sql(migration).execute(pool).await?;
    }
    let app = Arc::new(App { log: PostgresLog::new(pool.clone()), mishaps: Mishaps::default() });
    let [at_once, fails, hung_up_on] = &TRANSFERS;

    let answers = join_all((0..COPIES).map(|_| deliver(&app, at_once))).await;
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let ran = answers.iter().filter(|(outcome, _)| *outcome != Outcome::Duplicate).count();
    let waited = answers.iter().filter(|(_, in_progress)| *in_progress > 0).count();
    println!("{}: {COPIES} deliveries at once", at_once.event_id);
    println!("  {ran} ran, {} duplicates, {waited} of them told to come again", COPIES - ran);

    println!("{}: the body fails when it has taken the money", fails.event_id);
    match deliver(&app, fails).await {
        Err(error @ AppError::OnPurpose) => println!("  delivery 1: {error}"),
        answer => return Err(format!("expected a failure: {answer:?}").into()),
    }
    println!("  delivery 2: {:?}", deliver(&app, fails).await?.0);

    println!("{}: the sender hangs up when the body has taken the money", hung_up_on.event_id);
    let running = Arc::clone(&app);
    let delivery = tokio::spawn(async move { deliver(&running, hung_up_on).await });
    app.mishaps.money_is_taken.notified().await;
    delivery.abort();
    match delivery.await {
        Err(ended) if ended.is_cancelled() => println!("  delivery 1: dropped"),
        answer => return Err(format!("answered though it was dropped: {answer:?}").into()),
    }
    println!("  delivery 2: {:?}", deliver(&app, hung_up_on).await?.0);

    verdict(pool).await
}

/// Whether the database holds what three transfers leave behind, and nothing else.
async fn verdict(pool: &PgPool) -> Result<bool, Box<dyn Error>> {
    let balances: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, balance FROM accounts ORDER BY name").fetch_all(pool).await?;
    let entries: Vec<(String, i64)> =
        sqlx::query_as("SELECT event_id, amount FROM entries ORDER BY event_id").fetch_all(pool).await?;
    println!("\nbalances: {balances:?}\nentries:  {entries:?}");
    let moved: i64 = TRANSFERS.iter().map(|transfer| transfer.amount).sum();
    let expected = TRANSFERS.map(|transfer| (transfer.event_id.to_owned(), transfer.amount));
    let went_well = balances == [("shop".to_owned(), 1000 - moved), ("supplier".to_owned(), moved)]
        && entries == expected;
    println!("{}", if went_well { "each transfer took effect exactly once" } else { "WRONG" });
    Ok(went_well)
}

/// Drops the schema at the end, also after a failure.
async fn in_a_schema_of_its_own(url: &str) -> Result<bool, Box<dyn Error>> {
    let options: PgConnectOptions = url.parse()?;
    let schema = format!("ferro_idem_example_{:016x}", rand::random::<u64>());
    let mut database = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut database).await?;
    let pool = PgPoolOptions::new()
        .max_connections(COPIES.try_into()?)
        .connect_lazy_with(options.options([("search_path", &schema)]));
    let told = tokio::select! {
        told = story(&pool) => told,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    pool.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&mut database).await?;
    told
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match in_a_schema_of_its_own(&url).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
