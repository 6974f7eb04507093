//! The cost of claim and transaction, under the attribute and written by hand: instructions, counted by callgrind, and
//! the size of the handler's future. Needs valgrind.
//!
//! The handlers by hand keep the same promises while the body runs (a guard that releases when it is
//! dropped, a lease that is renewed). They do not finish a claim or a commit that is dropped halfway.

mod callgrind;
mod report;
mod stripe_ids;

use std::env;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, MemoryProcessedLog, Owner, Ownership, SqliteLog,
    TransactionalLog, WebhookEvent, idempotent_webhook,
};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePoolOptions;

use callgrind::per_call;
use report::goal;
use stripe_ids::stripe_event_id;

const LEASE: Duration = Duration::from_mins(1);

struct Paid {
    id: String,
}

impl WebhookEvent for Paid {
    fn event_id(&self) -> &str {
        &self.id
    }

    fn event_type(&self) -> Option<&str> {
        Some("invoice.paid")
    }
}

#[idempotent_webhook(claim(_c, lease = LEASE))]
async fn claim_attribute(log: &MemoryProcessedLog, event: &Paid, ran: &AtomicU32) -> Result<(), Error> {
    ran.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

struct ReleasesOnDrop {
    log: MemoryProcessedLog,
    id: String,
    held: Ownership,
    settled: bool,
}

impl Drop for ReleasesOnDrop {
    fn drop(&mut self) {
        if !self.settled {
            let (log, id, held) = (self.log.clone(), self.id.clone(), self.held);
            tokio::spawn(async move { log.release(&id, held).await });
        }
    }
}

async fn claim_by_hand(log: &MemoryProcessedLog, event: &Paid, ran: &AtomicU32) -> Result<(), Error> {
    let owner = Owner::random()?;
    let token = match log.claim(EventRef::of(event)?, owner, LEASE).await? {
        ClaimOutcome::Processed => return Ok(()),
        ClaimOutcome::Acquired { token } => token,
        ClaimOutcome::InProgress { .. } => return Err(Error::store("claim", "another delivery is running")),
    };
    let held = Ownership { owner, token };
    let mut guard = ReleasesOnDrop { log: log.clone(), id: event.id.clone(), held, settled: false };
    let body = async {
        ran.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let renewing = async {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            if !log.renew(&event.id, held, LEASE).await.unwrap_or(true) {
                return;
            }
        }
    };
    let reply = tokio::select! {
        biased;
        reply = body => reply,
        () = renewing => Err(Error::store("renew the claim", "the lease was lost")),
    };
    if reply.is_ok() && log.complete(&guard.id, held).await? {
        guard.settled = true;
    }
    reply
}

async fn effect(tx: &mut SqliteConnection, event: &Paid, ran: &AtomicU32) -> Result<(), Error> {
    sqlx::query("INSERT INTO effects VALUES (?)")
        .bind(&event.id)
        .execute(tx)
        .await
        .map_err(|error| Error::store("write", error))?;
    ran.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn transaction_attribute(log: &SqliteLog, event: &Paid, ran: &AtomicU32) -> Result<(), Error> {
    effect(tx, event, ran).await
}

async fn transaction_by_hand(log: &SqliteLog, event: &Paid, ran: &AtomicU32) -> Result<(), Error> {
    let mut transaction = log.begin().await?;
    match log.try_mark_in(&mut transaction, EventRef::of(event)?).await? {
        MarkOutcome::First => {}
        MarkOutcome::Processed => return SqliteLog::rollback(transaction).await,
        MarkOutcome::InProgress { .. } => return Err(Error::store("mark", "another delivery is running")),
    }
    effect(&mut transaction, event, ran).await?;
    SqliteLog::commit(transaction).await
}

fn main() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", handler, calls] => run(handler, calls.parse()?),
        _ => compare(),
    }
}

fn run(handler: &str, calls: u32) -> Result<(), Box<dyn StdError>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (ran, memory) = (AtomicU32::new(0), MemoryProcessedLog::new());
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        let sqlite = SqliteLog::new(pool);
        sqlite.create_table().await?;
        sqlx::query("CREATE TABLE effects (event_id TEXT)").execute(sqlite.pool()).await?;
        for number in 0..calls {
            let event = Paid { id: stripe_event_id(number.into()) };
            match handler {
                "claim" => claim_attribute(&memory, &event, &ran).await?,
                "claim by hand" => claim_by_hand(&memory, &event, &ran).await?,
                "transaction" => transaction_attribute(&sqlite, &event, &ran).await?,
                _ => transaction_by_hand(&sqlite, &event, &ran).await?,
            }
        }
        assert_eq!(ran.into_inner(), calls);
        Ok(())
    })
}

fn compare() -> Result<(), Box<dyn StdError>> {
    let (ran, memory) = (AtomicU32::new(0), MemoryProcessedLog::new());
    let event = Paid { id: stripe_event_id(0) };
    let pool = SqlitePoolOptions::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sqlite = SqliteLog::new(runtime.block_on(pool.connect("sqlite::memory:"))?);
    println!("bytes of the handler's future      attribute   by hand    ratio");
    let sizes = [
        (
            "claim",
            size_of_val(&claim_attribute(&memory, &event, &ran)),
            size_of_val(&claim_by_hand(&memory, &event, &ran)),
        ),
        (
            "transaction",
            size_of_val(&transaction_attribute(&sqlite, &event, &ran)),
            size_of_val(&transaction_by_hand(&sqlite, &event, &ran)),
        ),
    ];
    for (guarantee, attribute, by_hand) in sizes {
        #[expect(clippy::cast_precision_loss, reason = "a ratio, to be read by people")]
        let ratio = attribute as f64 / by_hand as f64;
        println!("{guarantee:<34}{attribute:>10}{by_hand:>10}{ratio:>9.2}");
        goal("at most 1.1 times the future", ratio <= 1.1);
    }
    if !callgrind::is_installed()? {
        return Ok(());
    }
    println!("\ninstructions per first delivery    attribute   by hand    ratio");
    for (guarantee, by_hand, many) in
        [("claim", "claim by hand", 5_500), ("transaction", "transaction by hand", 1_100)]
    {
        let (attribute, by_hand) = (per_call(guarantee, 500, many)?, per_call(by_hand, 500, many)?);
        let ratio = attribute / by_hand;
        println!("{guarantee:<34}{attribute:>10.0}{by_hand:>10.0}{ratio:>9.2}");
        goal("at most 1.1 times the instructions", ratio <= 1.1);
    }
    Ok(())
}
