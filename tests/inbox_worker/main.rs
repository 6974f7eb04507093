//! The inbox from end to end: a signed delivery over axum, the database, the worker, the annotated handler.

mod bad_input;
mod guarantees;
mod handlers;
mod over_axum;
mod processes;
mod replay;
mod servers;
mod transactions;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use axum::{Router, response::Response};
use ferro_idem::inbox::{Backoff, Inbox, Reply, Worker};
use ferro_idem::sender::Sender;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{Error, SqliteLog};
use ferro_idem_tests::{create_effects, open_sqlite};
use sqlx::{AssertSqlSafe, Sqlite};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

type GithubInbox = Inbox<Sqlite, GithubWebhook>;

const SECRET: &str = "It's a Secret to Everybody";
const PATIENCE: Duration = Duration::from_mins(1);

/// An application with its database.
struct App {
    folder: Arc<TempDir>,
    log: SqliteLog,
    inbox: GithubInbox,
}

/// A pause that no test waits for long.
fn quick() -> Backoff {
    Backoff::exponential(Duration::from_millis(5)..Duration::from_millis(50))
}

impl App {
    async fn new() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let app = Self::in_folder(&folder).await;
        app.inbox.create_tables().await.unwrap();
        create_effects(&app.log).await;
        app
    }

    /// What another process over the same database has.
    async fn another(&self) -> Self {
        Self::in_folder(&self.folder).await
    }

    async fn in_folder(folder: &Arc<TempDir>) -> Self {
        let log = open_sqlite(folder.path(), 4).await;
        let inbox =
            Inbox::new(log.clone(), GithubWebhook::new(SECRET)).with_backoff(quick()).with_max_attempts(3);
        Self { folder: Arc::clone(folder), log, inbox }
    }

    async fn number(&self, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(self.log.pool()).await.unwrap()
    }

    /// The events that are not processed.
    async fn in_inbox(&self) -> i64 {
        self.number("SELECT count(*) FROM webhook_inbox").await
    }

    async fn parked(&self) -> i64 {
        self.number("SELECT count(*) FROM webhook_inbox WHERE state = 2").await
    }

    async fn last_error(&self) -> Option<String> {
        let query = "SELECT last_error FROM webhook_inbox WHERE last_error IS NOT NULL LIMIT 1";
        sqlx::query_scalar(query).fetch_optional(self.log.pool()).await.unwrap()
    }

    async fn until_empty(&self) {
        until(async || self.in_inbox().await == 0).await;
    }

    async fn until_parked(&self) {
        until(async || self.parked().await == 1).await;
    }

    async fn receive(&self, id: &str) -> u16 {
        deliver(&self.inbox, signed(id, br#"{"action": "opened"}"#)).await.status().as_u16()
    }
}

async fn until(holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn signed(id: &str, body: &[u8]) -> Request<Body> {
    let signature = GithubWebhook::new(SECRET).sign(body).unwrap();
    Request::post("/github")
        .header("X-Hub-Signature-256", signature)
        .header("X-GitHub-Delivery", id)
        .header("X-GitHub-Event", "issues")
        .body(Body::from(body.to_vec()))
        .unwrap()
}

async fn deliver<S: Sender>(inbox: &Inbox<Sqlite, S>, request: Request<Body>) -> Response {
    Router::new().route("/github", post(inbox.receive())).oneshot(request).await.unwrap()
}

/// A worker that runs until it is stopped.
struct Run {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

impl Run {
    async fn stop(self) {
        drop(self.stop);
        self.ended.await.unwrap().unwrap();
    }
}

fn run<S, F, Fut, R>(worker: Worker<S, F>) -> Run
where
    S: Sender,
    F: Fn(S::Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: Reply + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = worker.with_poll_interval(Duration::from_millis(20));
    Run { stop, ended: tokio::spawn(worker.run(async move { drop(stopped.await) })) }
}

fn id_of(event: &GithubEvent) -> String {
    event.id().to_owned()
}
