//! An axum endpoint for Stripe's webhooks: deliveries are verified, and their effects are committed together with
//! the event's mark. A storm of deliveries tries to make it lose an event or run one twice.
//!
//! ```text
//! cargo run --example stripe_webhook
//! cargo run --example stripe_webhook                             # a second run: every event is a duplicate
//! cargo run --example stripe_webhook -- --database other.db
//! cargo run --example stripe_webhook -- --inbox                  # 202 at once, workers run the handler
//! cargo test --example stripe_webhook
//! ```
//!
//! Without arguments it serves on a free port and plays Stripe against itself over HTTP. It sends 1,000 events, each
//! 1 to 4 times, some copies at the same moment, in random order, with forged and stale deliveries in between. One
//! body in 20 writes its row and then fails: it answers an error, panics, or its sender hangs up. Every delivery that
//! is not answered 2xx is repeated. At the end it counts the rows in `payments`. The exit code is 0 if every event took
//! effect exactly once and every forgery was refused, and 1 otherwise.
//!
//! Kill it half-way and run it again on the same file: no effect is lost or doubled, because mark and effect are
//! committed together or not at all. Delete the file to start over.
//!
//! With `--inbox`, the endpoint stores each event and answers 202, and workers deliver it to the same handler. Senders
//! try once, handlers fail, and workers are killed. It ends when the inbox is empty.
//!
//! To serve the real Stripe:
//!
//! ```text
//! stripe listen --forward-to localhost:4242/webhook              # prints the secret
//! STRIPE_WEBHOOK_SECRET=whsec_... cargo run --example stripe_webhook -- --listen 127.0.0.1:4242
//! stripe trigger payment_intent.succeeded
//! ```
//!
//! The dashboard's "Send test webhook" always sends the same event id, so its second test is a duplicate; see
//! `StripeEvent::is_dashboard_test`. `stripe trigger` sends a new id each time.
//!
//! Meanwhile `http://localhost:4242/events` shows the events to this machine, and to nobody else.
//!
//! A second sender, GitHub, has the same log at `/github`, with a `scope` and the secret from `GITHUB_WEBHOOK_SECRET`.
//!
//! Copy `server`. `events`, `deliveries` and `storm` play Stripe, `mishaps` makes bodies fail on purpose, and `ledger`
//! compares the answers with the database.

mod args;
mod deliveries;
mod events;
mod inbox;
mod ledger;
mod mishaps;
mod server;
mod storm;
#[cfg(test)]
mod tests;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use axum::Router;
use ferro_idem::console::Protection;
use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::stripe::StripeWebhook;
use ferro_idem::{SqliteLog, console};
use rand::distr::{Alphanumeric, SampleString};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::{Args, Mode, USAGE};
use crate::ledger::{Effects, Ledger};
use crate::mishaps::Mishaps;
use crate::server::{App, PAYMENTS, causes, router};
use crate::storm::Stripe;

const EVENTS: usize = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse(env::args_os().skip(1)) {
        Ok(args) => args,
        Err(mistake) => {
            eprintln!("{mistake}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let ended = match args.mode {
        Mode::Help => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Mode::Listen(address) => listen(&args.database, &address).await.map(|()| ExitCode::SUCCESS),
        Mode::Inbox => inbox_storm(&args.database, EVENTS).await.map(|ledger| {
            println!("{ledger}");
            if ledger.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }),
        Mode::Storm => storm(&args.database, EVENTS).await.map(|ledger| {
            println!("{ledger}");
            if ledger.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {}", causes(&*error));
        ExitCode::FAILURE
    })
}

async fn open(database: &Path, webhook: StripeWebhook, mishaps: Mishaps) -> Result<App, Box<dyn Error>> {
    let log = SqliteLog::open(database).await?;
    sqlx::raw_sql(PAYMENTS).execute(log.pool()).await?;
    // Without a secret, deliveries to /github are refused.
    let github = GithubWebhook::new(env::var("GITHUB_WEBHOOK_SECRET").unwrap_or_default());
    Ok(App { log, webhook, github, mishaps })
}

/// Serves the real Stripe until Ctrl-C. Deliveries that have arrived by then are answered.
async fn listen(database: &Path, address: &str) -> Result<(), Box<dyn Error>> {
    let secret = env::var("STRIPE_WEBHOOK_SECRET").unwrap_or_default();
    if secret.trim().is_empty() {
        return Err(
            "STRIPE_WEBHOOK_SECRET is not set: use the `whsec_...` that `stripe listen` prints".into()
        );
    }
    let webhook = StripeWebhook::try_new(secret).map_err(|flaw| {
        format!("STRIPE_WEBHOOK_SECRET is not a signing secret: {flaw}; use the `whsec_...` that `stripe listen` prints")
    })?;
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let app = open(database, webhook, Mishaps::default()).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/webhook, Ctrl-C ends it");
    println!("this machine can look at the events on http://localhost:{}/events", address.port());
    let pool = app.log.pool().clone();
    let service = with_page(router(app.clone()), &app)?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(interrupted()).await?;
    pool.close().await;
    println!("ended");
    Ok(())
}

/// Adds the page for operators, read-only. It answers only this machine: a deployment puts it behind its own login, and
/// says so by `Protection::by_application`.
fn with_page(router: Router, app: &App) -> Result<Router, ferro_idem::Error> {
    let page = console(app.log.operations(), Protection::loopback());
    Ok(router.nest("/events", page.into_router()?))
}

/// The first Ctrl-C lets running deliveries finish, a second one does not.
async fn interrupted() {
    // If no handler can be installed, Ctrl-C ends the process by itself.
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// The same with an inbox, whose senders try once.
async fn inbox_storm(database: &Path, count: usize) -> Result<inbox::Ledger, Box<dyn Error>> {
    let secret = format!("whsec_{}", Alphanumeric.sample_string(&mut rand::rng(), 32));
    inbox::storm(database, &events::events(count), StripeWebhook::new(secret)).await
}

/// Serves on a free port, plays Stripe against it, and compares the answers with the database.
async fn storm(database: &Path, count: usize) -> Result<Ledger, Box<dyn Error>> {
    let secret = format!("whsec_{}", Alphanumeric.sample_string(&mut rand::rng(), 32));
    let webhook = StripeWebhook::new(secret);
    let events = events::events(count);
    let mishaps = Mishaps::planned(&events);
    let app = open(database, webhook.clone(), mishaps.clone()).await?;
    let pool = app.log.pool().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    let stripe = Stripe::new(url, webhook, mishaps.clone())?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let before = Effects::of(&events, &pool).await?;
    let volleys = deliveries::volleys(&events);
    let start = Instant::now();
    let answers = stripe.deliver(&volleys).await?;
    let elapsed = start.elapsed();

    // The client's idle connections are closed first, because the server waits for them.
    drop(stripe);
    drop(stop);
    server.await??;
    let effects = Effects::of(&events, &pool).await?;
    pool.close().await;
    Ok(Ledger { answers, struck: mishaps.struck(), before, effects, elapsed })
}
