//! What the examples of the senders share: a sender that is played against the example's own endpoint over HTTP, and the
//! verdict. Leave it out of a copy.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use ferro_idem::sender::SignatureError;
use futures_util::future::join_all;
use futures_util::stream::{StreamExt, iter};
use reqwest::{Client, Response};
use sqlx::SqlitePool;

const EVENTS: usize = 200;
const EVENTS_IN_FLIGHT: usize = 16;
const MAX_COPIES: usize = 4;
/// One forged delivery for this many events.
const EVENTS_PER_FORGERY: usize = 10;
const MAX_ATTEMPTS: u32 = 200;
const BACKOFF: Duration = Duration::from_millis(20);

/// There is no unique key on `event_id`, so that a body whose effect happened twice would leave two rows.
/// `idempotency_key` is what another system looks at, if the effect is there.
pub(crate) const EFFECTS: &str = "\
CREATE TABLE effects (
  event_id        TEXT NOT NULL,
  idempotency_key TEXT UNIQUE
) STRICT;";

/// One signed request.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// The endpoint's answers, one count for each delivery.
#[derive(Clone, Copy, Default)]
struct Answers {
    first: usize,
    duplicates: usize,
    undelivered: usize,
    refused: usize,
    not_refused: usize,
    redeliveries: usize,
    slowest: Duration,
}

/// One body in ten fails after its effect, at its first attempt.
pub(crate) fn fails_on_purpose(event_id: &str, attempt: u64) -> bool {
    attempt == 1 && event_id.ends_with('7')
}

/// Stands for another system's API, which takes an idempotency key as Stripe's does.
#[allow(dead_code, reason = "under a transaction, the effect is in the log's own database")]
pub(crate) async fn send_message(
    pool: &SqlitePool,
    event_id: &str,
    idempotency_key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO effects (event_id, idempotency_key) VALUES (?, ?)
         ON CONFLICT (idempotency_key) DO NOTHING",
    )
    .bind(event_id)
    .bind(idempotency_key)
    .execute(pool)
    .await
    .map(drop)
}

/// Sends every event 1 to 4 times at once, each delivery until it is answered 2xx, and forgeries in between. Prints what
/// was answered, and whether the effects are exactly right.
pub(crate) async fn storm(
    url: &str,
    pool: &SqlitePool,
    sign: impl Fn(usize) -> Result<Request, SignatureError>,
) -> Result<bool, Box<dyn Error>> {
    let client = client()?;
    let requests = (0..EVENTS).map(&sign).collect::<Result<Vec<_>, _>>()?;
    let deliveries = requests.iter().enumerate().map(|(number, request)| {
        let (client, copies) = (&client, 1 + number % MAX_COPIES);
        async move {
            let mut answers = Answers::default();
            for answered in join_all((0..copies).map(|_| deliver(client, url, request))).await {
                answers.add(answered);
            }
            if number.is_multiple_of(EVENTS_PER_FORGERY) {
                let forged = Request { body: format!("{} ", request.body), ..request.clone() };
                match attempt(client, url, &forged).await {
                    Some(400) => answers.refused += 1,
                    _ => answers.not_refused += 1,
                }
            }
            answers
        }
    });
    let mut answers = Answers::default();
    for of_event in iter(deliveries).buffer_unordered(EVENTS_IN_FLIGHT).collect::<Vec<_>>().await {
        answers.add(of_event);
    }
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT event_id, count(*) FROM effects GROUP BY event_id").fetch_all(pool).await?;
    Ok(verdict(&answers, &rows.into_iter().collect()))
}

async fn deliver(client: &Client, url: &str, request: &Request) -> Answers {
    let mut answers = Answers::default();
    for number in 0..MAX_ATTEMPTS {
        if number > 0 {
            tokio::time::sleep(BACKOFF).await;
            answers.redeliveries += 1;
        }
        let start = Instant::now();
        let status = attempt(client, url, request).await;
        answers.slowest = answers.slowest.max(start.elapsed());
        match status {
            Some(201) => answers.first += 1,
            Some(200..=299) => answers.duplicates += 1,
            _ => continue,
        }
        return answers;
    }
    answers.undelivered += 1;
    answers
}

/// What one request is answered with.
#[allow(dead_code, reason = "only Slack's example has a handshake")]
pub(crate) async fn text(url: &str, request: &Request) -> Result<String, reqwest::Error> {
    send(&client()?, url, request).await?.text().await
}

async fn attempt(client: &Client, url: &str, request: &Request) -> Option<u16> {
    send(client, url, request).await.ok().map(|response| response.status().as_u16())
}

async fn send(client: &Client, url: &str, request: &Request) -> Result<Response, reqwest::Error> {
    let post = client.post(url).body(request.body.clone());
    request.headers.iter().fold(post, |post, (name, value)| post.header(*name, value)).send().await
}

/// The endpoint is on this machine, where a proxy from the environment could not reach it.
fn client() -> Result<Client, reqwest::Error> {
    Client::builder().no_proxy().build()
}

fn verdict(answers: &Answers, effects: &HashMap<String, i64>) -> bool {
    let lost = EVENTS.saturating_sub(effects.len());
    let doubled = effects.values().filter(|count| **count > 1).count();
    for (name, count) in [
        ("first", answers.first),
        ("duplicates", answers.duplicates),
        ("redeliveries", answers.redeliveries),
        ("never answered 2xx", answers.undelivered),
        ("forgeries refused", answers.refused),
        ("forgeries not refused", answers.not_refused),
        ("effects lost", lost),
        ("effects doubled", doubled),
    ] {
        println!("{name:<22}{count:>7}");
    }
    println!("{:<22}{:>7.0?}", "slowest answer", answers.slowest);
    let went_well = lost + doubled + answers.undelivered + answers.not_refused == 0
        && answers.first == EVENTS
        && effects.len() == EVENTS;
    println!("{}", if went_well { "nothing was lost, nothing was doubled" } else { "WRONG" });
    went_well
}

impl Answers {
    fn add(&mut self, more: Self) {
        self.first += more.first;
        self.duplicates += more.duplicates;
        self.undelivered += more.undelivered;
        self.refused += more.refused;
        self.not_refused += more.not_refused;
        self.redeliveries += more.redeliveries;
        self.slowest = self.slowest.max(more.slowest);
    }
}
