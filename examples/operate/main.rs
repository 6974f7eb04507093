//! The page for operators, over a database that has an event in every state.
//!
//! ```text
//! cargo run --example operate                                          # then open http://127.0.0.1:4243/events
//! cargo run --example operate -- --database other.db --listen 127.0.0.1:0
//! cargo test --example operate
//! ```
//!
//! It fills a new database with some deliveries of a shop and of GitHub: processed, running, stuck, released, waiting,
//! backing off and parked ones, and one whose id is an attack on the page. Then it serves the page until Ctrl-C. Delete
//! the file to start over.
//!
//! The page has no login of its own. Here it answers only this machine ([`Protection::loopback`]); an application nests
//! its router behind its own login and says so with [`Protection::by_application`].
//!
//! The command sees the same: `ferro-idem list --url sqlite:operate.db`.
//!
//! Copy `page`. `fill` only plays the deliveries.

mod fill;
#[cfg(test)]
mod tests;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use ferro_idem::console::Protection;
use ferro_idem::inbox::Inbox;
use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::{SqliteLog, console};
use sqlx::Sqlite;
use tokio::net::TcpListener;

const USAGE: &str = "\
usage: operate [--database FILE] [--listen ADDRESS]

  --database FILE     the database, which is filled if it is new [operate.db]
  --listen ADDRESS    where to serve the page [127.0.0.1:4243]";

/// Copy this part: the page over a log and an inbox.
fn page(log: &SqliteLog, inbox: &Inbox<Sqlite, GithubWebhook>) -> Result<Router, ferro_idem::Error> {
    let console = console(log.operations(), Protection::loopback())
        .with_inbox(inbox.operations())
        // Everybody who reaches the page may release, complete, forget, replay and discard.
        .with_actions();
    Ok(Router::new().route("/", get(Redirect::to("/events"))).nest("/events", console.into_router()?))
}

#[tokio::main]
async fn main() -> ExitCode {
    let (mut database, mut address) = (PathBuf::from("operate.db"), "127.0.0.1:4243".to_owned());
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--database", Some(file)) => database = file.into(),
            ("--listen", Some(given)) => address = given,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match serve(database, &address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the database, and fills it if it is new.
async fn open(database: PathBuf) -> Result<(SqliteLog, Inbox<Sqlite, GithubWebhook>), Box<dyn Error>> {
    let log = SqliteLog::open(database).await?;
    // Nothing is received over HTTP here, so there is no secret.
    let inbox = Inbox::new(log.clone(), GithubWebhook::new(""));
    inbox.create_tables().await?;
    if log.operations().counts().await?.total() == 0 {
        fill::log(&log).await?;
        fill::inbox(&log, &inbox).await?;
    }
    Ok((log, inbox))
}

async fn serve(database: PathBuf, address: &str) -> Result<(), Box<dyn Error>> {
    let (log, inbox) = open(database).await?;
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}/events, Ctrl-C ends it", listener.local_addr()?);
    println!("only this machine can reach it: Protection::loopback() refuses everybody else");
    // The page needs to know where a connection comes from.
    let service = page(&log, &inbox)?.into_make_service_with_connect_info::<SocketAddr>();
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, service).with_graceful_shutdown(interrupted).await?;
    log.pool().close().await;
    Ok(())
}
