//! After an outage: lists the events that Stripe could not deliver, and puts them into the inbox, beside the live
//! deliveries that go on.
//!
//! ```text
//! cargo run --example stripe_catch_up
//! ```
//!
//! Stripe lists undelivered events of the last 30 days. With `ending_before`, its pages lead from the last event before
//! the outage to the newest one (<https://docs.stripe.com/webhooks/process-undelivered-events>). Stripe also delivers
//! these events again by itself, for up to 3 days. The inbox stores each event once, wherever it comes from.
//!
//! The API of this example is a stub on a free port. For the real one, use `https://api.stripe.com` and the secret key
//! of your account. It ends with 0 if every event took effect once.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use ferro_idem::inbox::{Inbox, Receipt};
use ferro_idem::sender::Delivery;
use ferro_idem::stripe::{SIGNATURE_HEADER, StripeEvent, StripeWebhook};
use ferro_idem::{SqliteLog, idempotent_webhook};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use sqlx::Sqlite;
use tokio::net::TcpListener;

type StripeInbox = Inbox<Sqlite, StripeWebhook>;

/// Stripe's largest page.
const PAGE: usize = 100;

/// Copy this part. Returns how many of the events were not in the inbox before.
///
/// If it fails half-way, run it again: what it has stored is a duplicate then.
async fn catch_up(
    client: &Client,
    api: &Url,
    key: &str,
    last_before_outage: &str,
    inbox: &StripeInbox,
) -> Result<usize, Box<dyn Error>> {
    let mut cursor = last_before_outage.to_owned();
    let mut new = 0;
    loop {
        let mut url = api.join("/v1/events")?;
        let limit = PAGE.to_string();
        url.query_pairs_mut()
            .append_pair("delivery_success", "false")
            .append_pair("limit", &limit)
            .append_pair("ending_before", &cursor);
        let response = client.get(url).bearer_auth(key).send().await?.error_for_status()?;
        let page: Value = serde_json::from_slice(&response.bytes().await?)?;
        let events = page["data"].as_array().ok_or("the list has no `data`")?;
        // Within a page the newest event comes first.
        for event in events.iter().rev() {
            let receipt = inbox.add(&Delivery::new(event.to_string().as_bytes())).await?;
            new += usize::from(receipt == Receipt::Stored);
        }
        match events.first().and_then(|newest| newest["id"].as_str()) {
            Some(newest) if page["has_more"] == true => newest.clone_into(&mut cursor),
            _ => return Ok(new),
        }
    }
}

#[idempotent_webhook(log = log, transaction(tx))]
async fn on_event(log: SqliteLog, event: StripeEvent) -> Result<(), ferro_idem::Error> {
    let insert = sqlx::query("INSERT INTO effects (event_id) VALUES (?)").bind(event.id());
    insert.execute(&mut *tx).await.map_err(|error| ferro_idem::Error::store("write the effect", error))?;
    Ok(())
}

const EVENTS: usize = 250;
const KEY: &str = "sk_test_stub";

fn event(number: usize) -> Value {
    json!({
        "id": format!("evt_{number}"),
        "object": "event",
        "type": "invoice.paid",
        "created": 1_759_276_800 + number,
        "data": {"object": {"id": format!("in_{number}"), "object": "invoice"}},
    })
}

/// The stub of the API: the events after `ending_before`, the page's newest first.
async fn list(
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, StatusCode> {
    let given = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let is_authorized = headers.get("authorization").is_some_and(|key| key == &format!("Bearer {KEY}"));
    if !is_authorized || given("delivery_success") != Some("false") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let cursor =
        given("ending_before").and_then(|id| id.strip_prefix("evt_")).and_then(|number| number.parse().ok());
    let first: usize = cursor.map_or(0, |cursor: usize| cursor + 1);
    let limit = given("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10_usize).min(PAGE);
    let end = (first + limit).min(EVENTS);
    let data: Vec<Value> = (first..end).rev().map(event).collect();
    Ok(Json(json!({"object": "list", "url": "/v1/events", "has_more": end < EVENTS, "data": data})))
}

/// Stripe goes on delivering meanwhile: new events, and some of those that it lists.
async fn deliver_live(client: &Client, url: &Url, webhook: &StripeWebhook) -> Result<(), Box<dyn Error>> {
    for number in (0..EVENTS + 50).step_by(5) {
        let body = event(number).to_string();
        let signature = webhook.sign(body.as_bytes(), SystemTime::now())?;
        let request = client.post(url.clone()).header(SIGNATURE_HEADER, signature).body(body);
        request.send().await?.error_for_status()?;
    }
    Ok(())
}

async fn story() -> Result<bool, Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("ferro-idem-catch-up-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let log = SqliteLog::open(folder.join("catch_up.db")).await?;
    sqlx::query("CREATE TABLE effects (event_id TEXT NOT NULL)").execute(log.pool()).await?;
    let webhook = StripeWebhook::new("whsec_stub");
    let inbox = Inbox::new(log.clone(), webhook.clone());
    inbox.create_tables().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = Url::parse(&format!("http://{}", listener.local_addr()?))?;
    let router = Router::new().route("/v1/events", get(list)).route("/webhook", post(inbox.receive()));
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let client = Client::builder().no_proxy().build()?;
    let (handler_log, pool) = (log.clone(), log.pool().clone());
    let done = async {
        // Every listed event, and the live ones among the 50 that are newer.
        while !matches!(count(&pool).await, Ok((effects, _)) if effects >= EVENTS + 10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let worker = inbox.worker(move |event: StripeEvent| on_event(handler_log.clone(), event)).run(done);
    let (webhook_url, live) = (here.join("/webhook")?, webhook);
    let (listed, live_deliveries, ended) = tokio::join!(
        catch_up(&client, &here, KEY, "evt_none", &inbox),
        deliver_live(&client, &webhook_url, &live),
        worker,
    );
    live_deliveries?;
    ended?;
    let listed = listed?;
    let again = catch_up(&client, &here, KEY, "evt_none", &inbox).await?;
    server.abort();
    let (effects, distinct) = count(log.pool()).await?;
    println!("{listed} of {EVENTS} listed events were new, {again} at a second catch-up");
    println!("{effects} effects of {distinct} events");
    log.pool().close().await;
    std::fs::remove_dir_all(folder)?;
    let went_well = effects == EVENTS + 10 && distinct == effects && again == 0 && listed > 0;
    println!("{}", if went_well { "nothing was lost, nothing was doubled" } else { "WRONG" });
    Ok(went_well)
}

/// The effects, and the events that have one.
async fn count(pool: &sqlx::SqlitePool) -> Result<(usize, usize), Box<dyn Error>> {
    let query = "SELECT count(*), count(DISTINCT event_id) FROM effects";
    let (effects, distinct): (i64, i64) = sqlx::query_as(query).fetch_one(pool).await?;
    Ok((usize::try_from(effects)?, usize::try_from(distinct)?))
}

#[tokio::main]
async fn main() -> ExitCode {
    match story().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[tokio::test]
async fn every_undelivered_event_takes_effect_once() {
    assert!(story().await.unwrap());
}
