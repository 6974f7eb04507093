//! A payout over another system's API, claimed in Redis. The worker that makes it dies in the middle, another
//! worker waits until its lease ends, and the next attempt does not pay twice.
//!
//! ```text
//! docker run --rm -p 6379:6379 redis redis-server --appendonly yes --appendfsync always
//! cargo run --example redis_claim --features redis -- redis://localhost
//! cargo run --example redis_claim --features redis -- redis://node-1,redis://node-2    # a cluster
//! ```
//!
//! The worker that dies is a process of its own. It ends with 0 if there is exactly one payout, though
//! the API was called twice. Its keys are gone at the end. Deliveries are not signed here:
//! `stripe_webhook` shows that.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use ferro_idem::{Outcome, RedisLog, WebhookEvent, idempotent_webhook};
use redis::aio::ConnectionLike;
use redis::{AsyncCommands, Client, RedisError, cluster::ClusterClient};

const USAGE: &str = "usage: redis_claim redis://HOST[,redis://HOST..] (or in REDIS_URL); to start one: \
     docker run --rm -p 6379:6379 redis redis-server --appendonly yes --appendfsync always";

/// How long the event waits after a crash. It is short, so that this example is fast.
const LEASE: Duration = Duration::from_secs(2);

const DAY: i64 = 24 * 60 * 60;

/// The exit code of the worker that dies.
const DIED: u8 = 70;

struct PayoutDue {
    event_id: &'static str,
}

const EVENT: PayoutDue = PayoutDue { event_id: "evt_payout_1" };

impl WebhookEvent for PayoutDue {
    fn event_id(&self) -> &str {
        self.event_id
    }

    fn event_type(&self) -> Option<&str> {
        Some("payout.due")
    }
}

/// The connection to a node or to a cluster.
trait Connection: ConnectionLike + Clone + Send + Sync + 'static {}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {}

struct App<C> {
    log: RedisLog<C>,
    payouts: PayoutApi<C>,
    dies: bool,
}

/// The part to copy. The API may be called again by the next attempt, always with the same key.
#[idempotent_webhook(log = app.log, claim(c, lease = LEASE))]
async fn on_payout_due<C: Connection>(app: &App<C>, event: &PayoutDue) -> Result<Outcome<()>, AppError> {
    let key = c.idempotency_key("payout");
    let payout = app.payouts.pay(&key).await?;
    println!(
        "  attempt {}, fencing token {}, key {key:.16}..: paid as {payout}",
        c.attempt(),
        c.fencing_token()
    );
    if app.dies {
        println!("  the worker dies before it can say so");
        std::process::exit(DIED.into());
    }
    Ok(Outcome::Processed(()))
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the payout could not be made")]
    Payout(#[from] RedisError),
}

/// The pretend API makes one payout per key, however often it is called. It stands for another system, and
/// keeps its data in the same Redis only so that both processes reach it.
struct PayoutApi<C> {
    connection: C,
    calls: String,
    payouts: String,
}

impl<C: Connection> PayoutApi<C> {
    async fn pay(&self, key: &str) -> Result<String, RedisError> {
        let mut connection = self.connection.clone();
        let call: u64 = connection.incr(&self.calls, 1).await?;
        let _is_new: bool = connection.hset_nx(&self.payouts, key, format!("po_{call}")).await?;
        connection.hget(&self.payouts, key).await
    }
}

impl<C: Connection> App<C> {
    fn new(connection: C, prefix: &str, dies: bool) -> Self {
        Self {
            log: RedisLog::new(connection.clone()).with_key_prefix(prefix),
            payouts: PayoutApi {
                connection,
                calls: format!("{prefix}calls"),
                payouts: format!("{prefix}payouts"),
            },
            dies,
        }
    }
}

async fn story<C: Connection>(mut connection: C, url: &str, prefix: &str) -> Result<bool, Box<dyn Error>> {
    println!("delivery 1, to the first worker");
    let ended = Command::new(std::env::current_exe()?).args([url, prefix]).status()?;
    if ended.code() != Some(DIED.into()) {
        return Err(format!("the first worker did not die as it should: {ended}").into());
    }

    let app = App::new(connection.clone(), prefix, false);
    let mut delivery = 2;
    let mut in_progress = 0;
    loop {
        println!("delivery {delivery}, to the second worker");
        match on_payout_due(&app, &EVENT).await {
            Err(AppError::Event(error @ ferro_idem::Error::InProgress { retry_after, .. })) => {
                println!("  {error}");
                in_progress += 1;
                tokio::time::sleep(retry_after).await;
            }
            Err(error) => return Err(error.into()),
            Ok(outcome) => {
                println!("  {outcome:?}");
                if outcome == Outcome::Duplicate {
                    break;
                }
            }
        }
        delivery += 1;
    }

    let key = format!("{prefix}{}", EVENT.event_id);
    let mut fields: BTreeMap<String, Vec<u8>> = connection.hgetall(&key).await?;
    let seconds: i64 = connection.ttl(&key).await?;
    fields.remove("owner");
    let fields: BTreeMap<_, _> =
        fields.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value))).collect();
    println!(
        "\nthe event in Redis: {fields:?}, and its owner; expires in {} days",
        (seconds + DAY / 2) / DAY
    );
    let calls: u64 = connection.get(&app.payouts.calls).await?;
    let payouts: u64 = connection.hlen(&app.payouts.payouts).await?;
    println!("calls of the API: {calls}, payouts: {payouts}");
    Ok(calls == 2
        && payouts == 1
        && in_progress > 0
        && fields.get("fencing_token").is_some_and(|token| token == "2"))
}

/// Deletes the keys at the end, also after a failure.
async fn with_keys_of_its_own<C: Connection>(mut connection: C, url: &str) -> Result<bool, Box<dyn Error>> {
    let prefix = format!("ferro-idem-example:{:016x}:", rand::random::<u64>());
    let told = tokio::select! {
        told = story(connection.clone(), url, &prefix) => told,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    // One by one, because in a cluster they are on different nodes.
    for key in [EVENT.event_id, "calls", "payouts"] {
        let _was_there: bool = connection.del(format!("{prefix}{key}")).await?;
    }
    told
}

/// The worker that dies.
async fn work<C: Connection>(connection: C, prefix: &str) -> Result<bool, Box<dyn Error>> {
    on_payout_due(&App::new(connection, prefix, true), &EVENT).await?;
    Ok(false)
}

async fn run<C: Connection>(connection: C, url: &str, prefix: Option<&str>) -> Result<bool, Box<dyn Error>> {
    match prefix {
        Some(prefix) => work(connection, prefix).await,
        None => with_keys_of_its_own(connection, url).await,
    }
}

async fn connect_and_run(url: &str, prefix: Option<&str>) -> Result<bool, Box<dyn Error>> {
    if url.contains(',') {
        run(ClusterClient::new(url.split(','))?.get_async_connection().await?, url, prefix).await
    } else {
        run(Client::open(url)?.get_connection_manager().await?, url, prefix).await
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(url) = args.next().or_else(|| std::env::var("REDIS_URL").ok()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match connect_and_run(&url, args.next().as_deref()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
