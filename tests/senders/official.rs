//! Deliveries that the senders' own libraries have signed are verified. Deliveries that differ by a byte are
//! refused.
//!
//! `tests/senders/run` signs anew; `signed.json` is what it made last, with the library and its version.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferro_idem::WebhookEvent;
use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::sender::paddle::PaddleWebhook;
use ferro_idem::sender::shopify::ShopifyWebhook;
use ferro_idem::sender::slack::SlackWebhook;
use ferro_idem::sender::square::SquareWebhook;
use ferro_idem::sender::standard::StandardWebhook;
use ferro_idem::sender::{Delivery, Sender, SignatureError};
use ferro_idem::stripe::StripeWebhook;

#[derive(serde::Deserialize)]
struct Signed {
    sender: String,
    library: String,
    secret: String,
    body: String,
    headers: BTreeMap<String, String>,
    /// When it was signed, in Unix seconds, if the scheme has a time.
    at: u64,
}

impl Signed {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("signed.json")).unwrap()
    }

    fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.at)
    }

    fn verify(&self) -> Result<String, SignatureError> {
        self.verify_as(self.body.as_bytes(), &self.headers, &self.secret, self.at())
    }

    fn verify_as(
        &self,
        body: &[u8],
        headers: &BTreeMap<String, String>,
        secret: &str,
        now: SystemTime,
    ) -> Result<String, SignatureError> {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let delivery = Delivery::new(body).with_headers(headers);
        match self.sender.as_str() {
            "github" => id(GithubWebhook::new(secret).verify(&delivery)),
            "paddle" => id(PaddleWebhook::new(secret).verify_at(&delivery, now)),
            "shopify" => id(ShopifyWebhook::new(secret).verify(&delivery)),
            "slack" => id(SlackWebhook::new(secret).verify_at(&delivery, now)),
            "square" => id(SquareWebhook::new(secret, "https://example.com/webhook").verify(&delivery)),
            "standard" => id(StandardWebhook::new(secret).verify_at(&delivery, now)),
            "stripe" => {
                let header = delivery.header("Stripe-Signature").unwrap();
                id(StripeWebhook::new(secret).verify_at(body, header, now))
            }
            other => panic!("{other} is no sender"),
        }
    }
}

fn id<E: WebhookEvent>(event: Result<E, SignatureError>) -> Result<String, SignatureError> {
    event.map(|event| event.event_id().to_owned())
}

#[test]
fn what_a_senders_own_library_signs_is_verified() {
    let mut verified: BTreeMap<String, usize> = BTreeMap::new();
    for signed in Signed::all() {
        let id = signed.verify().unwrap_or_else(|error| panic!("{}: {error}", signed.library));
        assert!(
            ["e-1", "é", "e-2", "msg_1", "d-1", "w-1"].contains(&id.as_str()),
            "{}: {id}",
            signed.library
        );
        *verified.entry(format!("{} by {}", signed.sender, signed.library)).or_default() += 1;
    }
    println!("{verified:#?}");
    assert_eq!(verified.len(), 8, "{verified:?}");
}

/// One byte of the body, one character of a signed header, or the secret is another.
#[test]
fn what_differs_by_a_byte_is_refused() {
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for signed in Signed::all() {
        let count = refused.entry(signed.sender.clone()).or_default();
        let mut assert_refused = |case: &str, verdict: Result<String, SignatureError>| {
            assert!(verdict.is_err(), "{}, {case}: {verdict:?}", signed.library);
            *count += 1;
        };
        for index in 0..signed.body.len() {
            let mut body = signed.body.clone().into_bytes();
            body[index] ^= 1;
            assert_refused("body", signed.verify_as(&body, &signed.headers, &signed.secret, signed.at()));
        }
        for (name, value) in signed.headers.iter().filter(|(name, _)| is_signed(name)) {
            for index in 0..value.len() {
                let mut forged = value.clone().into_bytes();
                forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
                let mut headers = signed.headers.clone();
                headers.insert(name.clone(), String::from_utf8(forged).unwrap());
                let body = signed.body.as_bytes();
                assert_refused(name, signed.verify_as(body, &headers, &signed.secret, signed.at()));
            }
        }
        // No `A`: zero bytes at the end of a key change no HMAC.
        let other = format!("{}BBBB", signed.secret);
        assert_refused(
            "secret",
            signed.verify_as(signed.body.as_bytes(), &signed.headers, &other, signed.at()),
        );
    }
    println!("{refused:#?}");
    assert!(refused.values().all(|count| *count > 200), "{refused:?}");
}

/// The other headers are not covered by the signature: an id that is not signed can be replaced.
fn is_signed(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    let is_named = |word: &str| header.contains(word);
    ["signature", "hmac", "timestamp", "svix", "webhook-id"].into_iter().any(is_named)
        && header != "x-shopify-webhook-id"
}
