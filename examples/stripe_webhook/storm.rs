//! Stripe, played against the endpoint over real HTTP.

use std::error::Error;
use std::ops::AddAssign;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use ferro_idem::stripe::{SIGNATURE_HEADER, SignatureError, StripeWebhook};
use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;

use crate::deliveries::Delivery;
use crate::mishaps::Mishaps;

const VOLLEYS_IN_FLIGHT: usize = 32;

/// Stripe itself repeats a delivery for three days.
const MAX_ATTEMPTS: u32 = 8;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Long enough for a slow disk: a client that times out would drop the handler.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The endpoint's answers, one count for each delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// 201: the body ran. 202: the inbox has it.
    pub(crate) first: usize,
    /// Any other 2xx.
    pub(crate) duplicates: usize,
    /// Genuine deliveries that were never answered 2xx.
    pub(crate) undelivered: usize,
    /// Forged or stale deliveries that were answered 400.
    pub(crate) refused: usize,
    /// Forged or stale deliveries that were answered otherwise.
    pub(crate) not_refused: usize,
    /// Attempts beyond the first.
    pub(crate) redeliveries: usize,
    /// Attempts answered 409: another delivery of the event was running.
    pub(crate) in_progress: usize,
}

/// The sender: the endpoint's address, and the secret that both share.
pub(crate) struct Stripe {
    client: Client,
    url: String,
    endpoint: StripeWebhook,
    mishaps: Mishaps,
    max_attempts: u32,
}

impl Stripe {
    pub(crate) fn new(url: String, endpoint: StripeWebhook, mishaps: Mishaps) -> reqwest::Result<Self> {
        // The endpoint is on this machine, where a proxy from the environment could not reach it.
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { client, url, endpoint, mishaps, max_attempts: MAX_ATTEMPTS })
    }

    /// Attempts each delivery this often.
    pub(crate) fn with_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts, ..self }
    }

    /// Sends all volleys, and waits for the last answer.
    pub(crate) async fn deliver(&self, volleys: &[Vec<Delivery<'_>>]) -> Result<Answers, Box<dyn Error>> {
        let progress = progress(volleys.iter().map(Vec::len).sum());
        let answers = iter(volleys)
            .map(|volley| async {
                let answers = try_join_all(volley.iter().map(|delivery| self.deliver_one(delivery))).await;
                progress.inc(volley.len() as u64);
                answers
            })
            .buffer_unordered(VOLLEYS_IN_FLIGHT)
            .try_fold(Answers::default(), |mut total, volley| async move {
                for answers in volley {
                    total += answers;
                }
                Ok(total)
            })
            .await;
        progress.finish_and_clear();
        Ok(answers?)
    }

    /// Repeats one delivery until its answer is final.
    async fn deliver_one(&self, delivery: &Delivery<'_>) -> Result<Answers, SignatureError> {
        let mut status = self.attempt(delivery).await?;
        let mut redeliveries = 0;
        let mut answers = Answers::default();
        while !is_final(delivery, status) && redeliveries + 1 < self.max_attempts {
            answers.in_progress += usize::from(status == Some(StatusCode::CONFLICT));
            tokio::time::sleep(FIRST_BACKOFF * 2_u32.pow(redeliveries)).await;
            redeliveries += 1;
            status = self.attempt(delivery).await?;
        }
        answers.redeliveries = redeliveries as usize;
        let count = match (delivery.is_genuine(), status) {
            (true, Some(StatusCode::CREATED | StatusCode::ACCEPTED)) => &mut answers.first,
            (true, Some(status)) if status.is_success() => &mut answers.duplicates,
            (true, _) => &mut answers.undelivered,
            (false, Some(StatusCode::BAD_REQUEST)) => &mut answers.refused,
            (false, _) => &mut answers.not_refused,
        };
        *count += 1;
        Ok(answers)
    }

    /// The status, or `None` without an answer: the handler panicked, or the sender hung up.
    async fn attempt(&self, delivery: &Delivery<'_>) -> Result<Option<StatusCode>, SignatureError> {
        let (body, signature) = delivery.signed(&self.endpoint)?;
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(SIGNATURE_HEADER, signature)
            .body(body);
        // The hang-up comes first, so that an answer at the same moment is dropped.
        tokio::select! {
            biased;
            () = self.mishaps.hang_up(delivery.event_id()) => Ok(None),
            answered = request.send() => Ok(answered.ok().map(|response| response.status())),
        }
    }
}

/// Stripe repeats a delivery until it is answered 2xx. A forger stops at a refusal too.
fn is_final(delivery: &Delivery<'_>, status: Option<StatusCode>) -> bool {
    status.is_some_and(|status| status.is_success() || (!delivery.is_genuine() && status.is_client_error()))
}

impl AddAssign for Answers {
    fn add_assign(&mut self, more: Self) {
        self.first += more.first;
        self.duplicates += more.duplicates;
        self.undelivered += more.undelivered;
        self.refused += more.refused;
        self.not_refused += more.not_refused;
        self.redeliveries += more.redeliveries;
        self.in_progress += more.in_progress;
    }
}

/// Draws nothing if the output is not a terminal.
fn progress(deliveries: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} deliveries, {elapsed}");
    ProgressBar::new(deliveries as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
