//! Each refused delivery is one line at WARN that names the rule, and never the payload, the header or a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderValue;
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError, Verified};
use ferro_idem::stripe::{SIGNATURE_HEADER, StripeEvent, StripeWebhook};

const CANARY: &str = "c4n4ry";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

async fn deliver(webhook: &StripeWebhook, headers: &[String], payload: &str) -> bool {
    let mut request = Request::new(Body::from(payload.to_owned()));
    for header in headers {
        let header = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        request.headers_mut().append(SIGNATURE_HEADER, header);
    }
    StripeEvent::from_request(request, webhook).await.is_ok()
}

fn record() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_refused_signature_is_logged_with_its_rule() {
    let (lines, _recording) = record();

    let webhook = StripeWebhook::new(format!("whsec_{CANARY}"));
    let now = SystemTime::now();
    let payload = format!(r#"{{"id":"evt_1","type":"invoice.paid","note":"{CANARY}"}}"#);
    let no_id = format!(r#"{{"type":"{CANARY}"}}"#);
    let signed = |payload: &str, at| webhook.sign(payload.as_bytes(), at).unwrap();
    let hour = Duration::from_hours(1);
    for (rule, headers, payload) in [
        ("missing_header", vec![], &payload),
        ("repeated_header", vec![CANARY.to_owned(), CANARY.to_owned()], &payload),
        ("malformed_header", vec![CANARY.to_owned()], &payload),
        ("malformed_header", vec![format!("é{CANARY}")], &payload),
        ("mismatch", vec![format!("t=1,v1={CANARY}")], &payload),
        ("stale", vec![signed(&payload, now - hour)], &payload),
        ("in_future", vec![signed(&payload, now + hour)], &payload),
        ("payload", vec![signed(&no_id, now)], &no_id),
    ] {
        assert!(!deliver(&webhook, &headers, payload).await, "{rule}");
        assert_logged(&lines.take(), rule);
    }

    for (rule, secret) in [("no_secret", String::new()), ("invalid_secret", format!("sk_live_{CANARY}"))] {
        assert!(!deliver(&StripeWebhook::new(secret), &["t=1,v1=00".to_owned()], &payload).await);
        assert_logged(&lines.take(), rule);
    }

    assert!(deliver(&webhook, &[signed(&payload, now)], &payload).await);
    assert_eq!(lines.take(), "", "a verified delivery is no news");
}

fn assert_logged(lines: &str, rule: &str) {
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let beginning = format!(" WARN ferro_idem: signature refused sender=\"stripe\" rule=\"{rule}\" error=");
    assert!(lines.starts_with(&beginning), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
}

/// It does not log by itself, as the senders of the crate do.
struct Partner;

impl Sender for Partner {
    type Event = serde_json::Value;
    const NAME: &'static str = "partner";
    const ID: IdCoverage = IdCoverage::Unsigned;

    fn verify(&self, _: &Delivery<'_>) -> Result<Self::Event, SignatureError> {
        Err(SignatureError::Mismatch)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Self::Event, PayloadError> {
        delivery.json()
    }
}

#[test]
fn a_delivery_refused_by_a_sender_of_ones_own_is_logged_once() {
    let (lines, _recording) = record();
    Verified::read(&Partner, &Delivery::new(CANARY.as_bytes())).unwrap_err();
    let logged = lines.take();
    assert!(logged.contains("signature refused sender=\"partner\" rule=\"mismatch\" error="), "{logged}");
    assert_eq!(logged.lines().count(), 1, "{logged}");
    assert!(!logged.contains(CANARY), "{logged}");

    let webhook = StripeWebhook::new(CANARY);
    Verified::read(&webhook, &Delivery::new(CANARY.as_bytes())).unwrap_err();
    assert_eq!(lines.take().lines().count(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_logged() {
    let (lines, _recording) = record();
    let webhook = StripeWebhook::new(CANARY);
    assert!(!deliver(&webhook, &[], &CANARY.repeat(2 * 1024 * 1024)).await);
    let logged = lines.take();
    assert!(logged.contains("request refused sender=\"stripe\" rule=\"body_too_large\" error="), "{logged}");
    assert!(!logged.contains(CANARY), "{logged}");
}
