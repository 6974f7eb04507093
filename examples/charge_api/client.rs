//! A client that retries, races itself, hangs up, and uses keys for other requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{StreamExt, iter};

const IN_FLIGHT: usize = 12;
/// Requests of one charge that are sent at once.
const MAX_COPIES: usize = 4;
const CUSTOMERS: usize = 3;
const MAX_ATTEMPTS: usize = 500;
const BACKOFF: Duration = Duration::from_millis(10);

/// The amount of a charge, by its number.
pub(crate) fn amount(number: usize) -> i64 {
    i64::try_from(number % 90).unwrap_or_default() + 10
}

/// A charge and the customer's key. Customers use the same keys.
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) request: String,
    pub(crate) amount: i64,
    key: String,
}

pub(crate) fn order(number: usize) -> Order {
    Order {
        customer: format!("customer-{}", number % CUSTOMERS),
        request: format!("charge-{number}"),
        amount: amount(number),
        key: format!("key-{}", number / CUSTOMERS),
    }
}

/// What the client has seen, one count for each request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) charges: usize,
    pub(crate) replays: usize,
    /// Retries whose status or bytes were not those of the first answer.
    pub(crate) differing: usize,
    pub(crate) mismatches: usize,
    /// Other requests under a used key that were not refused.
    pub(crate) not_refused: usize,
    /// Requests without an answer: the client hung up, or the server was killed.
    pub(crate) unanswered: usize,
    pub(crate) turned_away: usize,
    pub(crate) given_up: usize,
}

impl Answers {
    fn add(&mut self, other: &Self) {
        self.charges += other.charges;
        self.replays += other.replays;
        self.differing += other.differing;
        self.mismatches += other.mismatches;
        self.not_refused += other.not_refused;
        self.unanswered += other.unanswered;
        self.turned_away += other.turned_away;
        self.given_up += other.given_up;
    }
}

/// A status, whether the reply was replayed, and its bytes.
type Answer = (u16, bool, Vec<u8>);

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub(crate) fn new(url: String) -> reqwest::Result<Self> {
        // The server is on this machine, where a proxy from the environment could not reach it.
        Ok(Self { http: reqwest::Client::builder().no_proxy().build()?, url })
    }

    /// `done` counts the charges that have their answer.
    pub(crate) async fn charge_all(&self, charges: usize, done: &AtomicUsize) -> Answers {
        let charging = (0..charges).map(|number| async move {
            let answers = self.charge(number).await;
            done.fetch_add(1, Ordering::Relaxed);
            answers
        });
        let each: Vec<Answers> = iter(charging).buffer_unordered(IN_FLIGHT).collect().await;
        each.iter().fold(Answers::default(), |mut all, answers| {
            all.add(answers);
            all
        })
    }

    /// Sends one charge until it is answered, several times at once, and then again.
    async fn charge(&self, number: usize) -> Answers {
        let order = order(number);
        let mut answers = Answers::default();
        if number.is_multiple_of(4) {
            // Long enough for some of the charges to be committed.
            let patience = Duration::from_micros(500) * u32::try_from(number % 16).unwrap_or_default();
            if tokio::time::timeout(patience, self.send(&order, order.amount)).await.is_err() {
                answers.unanswered += 1;
            }
        }
        let copies = (0..=number % MAX_COPIES).map(|_| self.until_answered(&order));
        let mut seen: Vec<Answer> = Vec::new();
        for (answer, tried) in join_all(copies).await {
            answers.add(&tried);
            seen.extend(answer);
        }
        let (again, tried) = self.until_answered(&order).await;
        answers.add(&tried);
        seen.extend(again);
        let Some((first_status, _, first_bytes)) = seen.first().cloned() else { return answers };
        answers.charges += 1;
        for (status, is_replayed, bytes) in seen {
            answers.replays += usize::from(is_replayed);
            answers.differing += usize::from((status, &bytes) != (first_status, &first_bytes));
        }
        // The key is used, so another amount under it is a mistake.
        let (other, tried) = self.try_until_answered(&order, order.amount + 1).await;
        answers.add(&tried);
        match other {
            Some((422, ..)) => answers.mismatches += 1,
            _ => answers.not_refused += 1,
        }
        answers
    }

    async fn until_answered(&self, order: &Order) -> (Option<Answer>, Answers) {
        let (answer, mut answers) = self.try_until_answered(order, order.amount).await;
        let charged = answer.filter(|(status, ..)| *status == 201);
        answers.given_up += usize::from(charged.is_none());
        (charged, answers)
    }

    /// Retries while there is no answer, and while the answer is that a retry helps.
    async fn try_until_answered(&self, order: &Order, amount: i64) -> (Option<Answer>, Answers) {
        let mut answers = Answers::default();
        for _ in 0..MAX_ATTEMPTS {
            match self.send(order, amount).await {
                Ok((409 | 503, ..)) => answers.turned_away += 1,
                Ok(answer) => return (Some(answer), answers),
                Err(_) => answers.unanswered += 1,
            }
            tokio::time::sleep(BACKOFF).await;
        }
        (None, answers)
    }

    async fn send(&self, order: &Order, amount: i64) -> reqwest::Result<Answer> {
        let Order { customer, request, key, .. } = order;
        let charge = serde_json::json!({ "request": request, "amount": amount });
        let request = self.http.post(&self.url).header("X-Customer", customer);
        let request = request.header("Idempotency-Key", format!("\"{key}\"")).body(charge.to_string());
        let response = request.send().await?;
        let is_replayed = response.headers().contains_key("idempotent-replayed");
        Ok((response.status().as_u16(), is_replayed, response.bytes().await?.to_vec()))
    }
}
