//! A refund over another system's API. The worker that makes it is killed in the middle, and the next attempt
//! does not refund twice.
//!
//! ```text
//! cargo run --example refund_claim
//! ```
//!
//! The effect is not in our database, so a transaction cannot cover it. `claim` runs the body again after a
//! crash, and `c.idempotency_key("refund")` is the same on every attempt, so that the API recognises the
//! second call.
//!
//! This process is the sender and the pretend API, and starts itself twice more as workers on one SQLite
//! file. The exit code is 0 if there is exactly one refund although the API was called twice. Deliveries are
//! not signed here; `stripe_webhook` shows that.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::{SqliteLog, idempotent_webhook};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How long the event waits after a crash. It is short, so that this example is fast.
const LEASE: Duration = Duration::from_secs(1);

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

#[derive(Clone)]
struct App {
    log: SqliteLog,
    client: Client,
    /// The API's address.
    refunds: String,
}

/// The part to copy. The API may be called again by the next attempt, always with the same key.
#[idempotent_webhook(log = app.log, claim(c, lease = LEASE))]
async fn on_dispute(State(app): State<App>, Json(event): Json<Value>) -> Result<StatusCode, AppError> {
    let refund =
        json!({ "charge": event["charge"], "attempt": c.attempt(), "fencing_token": c.fencing_token() });
    app.client
        .post(&app.refunds)
        .header(IDEMPOTENCY_KEY, c.idempotency_key("refund"))
        .header(CONTENT_TYPE, "application/json")
        .body(refund.to_string())
        .send()
        .await?
        .error_for_status()?;
    Ok(StatusCode::CREATED)
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the event could not be claimed")]
    Event(#[from] ferro_idem::Error),
    #[error("the refund could not be made")]
    Refund(#[from] reqwest::Error),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Event(error) => error.into_response(),
            Self::Refund(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

/// Serves the webhook on a free port, and prints the port.
async fn work(refunds: String, database: &str) -> Result<(), Box<dyn Error>> {
    let app = App { log: SqliteLog::open(database).await?, client: client()?, refunds };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/webhook", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/webhook", post(on_dispute)).with_state(app)).await?;
    Ok(())
}

/// A worker in a process of its own.
struct Worker {
    process: Child,
    url: String,
}

impl Worker {
    fn start(refunds: &str, database: &Path) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--worker", refunds])
            .arg(database)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        Ok(Self { process, url: url.trim_end().to_owned() })
    }
}

/// SIGKILL: the worker finishes nothing and releases nothing.
impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The pretend API makes one refund per key, however often it is called.
#[derive(Default)]
struct RefundApi {
    calls: Mutex<Vec<Call>>,
    refunded: Notify,
}

#[derive(Clone, Debug)]
struct Call {
    key: String,
    refund: String,
    body: Value,
}

impl RefundApi {
    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refund(&self, key: &str, body: Value) -> String {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let known = calls.iter().find(|call| call.key == key);
        let refund = known.map_or_else(|| format!("re_{}", calls.len() + 1), |call| call.refund.clone());
        calls.push(Call { key: key.to_owned(), refund: refund.clone(), body });
        refund
    }
}

async fn create_refund(
    State(api): State<Arc<RefundApi>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let refund = api.refund(key.ok_or(StatusCode::BAD_REQUEST)?, body);
    if api.calls().len() == 1 {
        // The refund is made, and the worker is killed before it gets the answer.
        api.refunded.notify_one();
        std::future::pending::<()>().await;
    }
    Ok(Json(json!({ "id": refund })))
}

/// The answer that the sender of the event gets.
async fn deliver(client: &Client, worker: String) -> reqwest::Result<(StatusCode, Option<u64>)> {
    let event = json!({ "id": "evt_dispute_1", "type": "charge.dispute.created", "charge": "ch_1" });
    let request = client.post(worker).header(CONTENT_TYPE, "application/json").body(event.to_string());
    let reply = request.send().await?;
    let retry_after = reply.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    Ok((reply.status(), retry_after))
}

/// Runs the example. Returns the API's calls and the answer to a last delivery.
async fn story() -> Result<(Vec<Call>, StatusCode), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("events.db");
    let api = Arc::new(RefundApi::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let refunds = format!("http://{}/refunds", listener.local_addr()?);
    let routes = Router::new().route("/refunds", post(create_refund)).with_state(Arc::clone(&api));
    tokio::spawn(axum::serve(listener, routes).into_future());
    let client = client()?;
    let first = Worker::start(&refunds, &database)?;
    let second = Worker::start(&refunds, &database)?;

    println!("delivery 1, to the first worker");
    let mut answer = pin!(deliver(&client, first.url.clone()));
    tokio::select! {
        answer = &mut answer => return Err(format!("answered too early: {answer:?}").into()),
        () = api.refunded.notified() => {}
    }
    tell(&api);
    drop(first);
    println!("  the worker is killed before it hears of it");
    // The sender waits until here, because hanging up earlier would release the claim.
    if let Ok(answer) = answer.await {
        return Err(format!("answered by the dead: {answer:?}").into());
    }

    let mut delivery = 2;
    loop {
        println!("delivery {delivery}, to the second worker");
        let (status, retry_after) = deliver(&client, second.url.clone()).await?;
        if status != StatusCode::CONFLICT {
            tell(&api);
            println!("  {status}");
            break;
        }
        let seconds = retry_after.ok_or("a 409 without Retry-After")?;
        println!("  {status}, Retry-After: {seconds}: the lease of the dead worker is not over");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        delivery += 1;
    }

    println!("delivery {}, to the second worker", delivery + 1);
    let (status, _) = deliver(&client, second.url.clone()).await?;
    println!("  {status}: a duplicate");
    Ok((api.calls(), status))
}

/// The API's last call.
fn tell(api: &RefundApi) {
    if let Some(Call { key, refund, body }) = api.calls().last() {
        println!("  attempt {}, fencing token {}, key {key:.16}..", body["attempt"], body["fencing_token"]);
        println!("  the API answers to this key with the refund {refund}");
    }
}

fn client() -> reqwest::Result<Client> {
    // Everything is on this machine: a proxy from the environment would not find it.
    Client::builder().no_proxy().build()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    if let (Some("--worker"), Some(refunds), Some(database)) =
        (args.next().as_deref(), args.next(), args.next())
    {
        work(refunds, &database).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (calls, last) = story().await?;
    let refunds: HashSet<&str> = calls.iter().map(|call| call.refund.as_str()).collect();
    println!("\ncalls of the API: {}, refunds: {}", calls.len(), refunds.len());
    let went_well = calls.len() == 2 && refunds.len() == 1 && last == StatusCode::OK;
    Ok(if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
