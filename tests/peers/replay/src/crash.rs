//! What happens to a charge whose handler is dropped before it replies, to two requests at once, and to another request
//! under the same key.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use ferro_idem::SqliteLog;
use sqlx::SqlitePool;
use tempfile::TempDir;

use crate::handlers::{self, Shop, Subject};

/// How long `idempotent` keeps a claim that is never completed. A client does not retry for longer than that.
const TTL: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn print() {
    println!(
        "| | killed between the charge and its reply, then retried | two at once | another body under the key |"
    );
    println!("|---|---|---|---|");
    for which in 0..3 {
        let (subject, killed) = killed_and_retried(which).await;
        let at_once = two_at_once(which).await;
        let other = another_body(which).await;
        println!("| {} | {killed} | {at_once} | {other} |", subject.name);
    }
    println!();
}

struct World {
    subject: Subject,
    shop: Shop,
    pool: SqlitePool,
    _folder: TempDir,
}

impl World {
    async fn new(which: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let log = SqliteLog::open(folder.path().join("charges.db")).await.expect("a database");
        let pool = log.pool().clone();
        sqlx::query("CREATE TABLE charges (charge INTEGER)").execute(&pool).await.expect("a table");
        let shop = Shop::new(Some(pool.clone()));
        let subject = match which {
            0 => handlers::ours_in_sqlite(log, shop.clone()),
            1 => handlers::axum_idempotent(shop.clone()).await,
            _ => handlers::idempotent(shop.clone(), TTL),
        };
        Self { subject, shop, pool, _folder: folder }
    }

    async fn charges(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM charges").fetch_one(&self.pool).await.expect("a table")
    }

    /// A request whose handler has charged and not replied yet.
    async fn begin(&self) -> tokio::task::JoinHandle<StatusCode> {
        let subject = self.subject.clone();
        let request = tokio::spawn(async move { subject.post(1, "waits").await.status() });
        self.shop.charged.acquire().await.expect("never closed").forget();
        request
    }

    async fn verdict(&self) -> String {
        match self.charges().await {
            1 => "charged once".to_owned(),
            charges => format!("**charged {charges} times**"),
        }
    }
}

async fn killed_and_retried(which: usize) -> (Subject, String) {
    let world = World::new(which).await;
    let request = world.begin().await;
    request.abort();
    drop(request.await);
    world.shop.may_reply.add_permits(8);
    let begin = Instant::now();
    while world.subject.post(1, "waits").await.status() != StatusCode::CREATED {
        assert!(begin.elapsed() < PATIENCE, "{}: never answered", world.subject.name);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (world.subject.clone(), world.verdict().await)
}

async fn two_at_once(which: usize) -> String {
    let world = World::new(which).await;
    let first = world.begin().await;
    let subject = world.subject.clone();
    let second = tokio::spawn(async move { subject.post(1, "waits").await.status() });
    // Either the second one runs as well, or it is answered while the first one runs.
    let meanwhile = tokio::select! {
        charged = world.shop.charged.acquire() => { charged.expect("never closed").forget(); false }
        () = async { while !second.is_finished() { tokio::task::yield_now().await } } => true,
    };
    world.shop.may_reply.add_permits(8);
    first.await.expect("it is answered");
    let status = second.await.expect("it is answered").as_u16();
    let when = if meanwhile { "meanwhile" } else { "after it ran" };
    format!("{}; the second got {status} {when}", world.verdict().await)
}

async fn another_body(which: usize) -> String {
    let world = World::new(which).await;
    world.subject.post(1, "pay 1").await;
    let status = world.subject.post(1, "pay 2").await.status().as_u16();
    if status == 422 { "422".to_owned() } else { format!("**{status}, the first receipt**") }
}
