//! Deliveries to an axum router, by Stripe and by a forger.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::routing::post;
use ferro_idem::stripe::{SIGNATURE_HEADER, StripeEvent, StripeWebhook};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
use tower::ServiceExt;

const EVENT: &str =
    r#"{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"note":"canary"}}}"#;
const SECRET: &str = "whsec_canary";

#[derive(Clone, FromRef)]
struct App {
    log: MemoryProcessedLog,
    stripe: StripeWebhook,
    ran: Arc<AtomicUsize>,
}

#[idempotent_webhook(log = app.log)]
async fn on_event(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, Error> {
    assert_eq!(event.event_type(), "invoice.paid");
    app.ran.fetch_add(1, Ordering::SeqCst);
    Ok(StatusCode::CREATED)
}

fn app() -> App {
    App {
        log: MemoryProcessedLog::new(),
        stripe: StripeWebhook::new(SECRET),
        ran: Arc::new(AtomicUsize::new(0)),
    }
}

struct Reply {
    status: StatusCode,
    text: String,
}

async fn deliver(app: &App, headers: &[HeaderValue], body: impl Into<Body>) -> Reply {
    let mut request = Request::post("/webhook").body(body.into()).unwrap();
    for header in headers {
        request.headers_mut().append(SIGNATURE_HEADER, header.clone());
    }
    let router = Router::new()
        .route("/webhook", post(on_event))
        .layer(DefaultBodyLimit::max(1024))
        .with_state(app.clone());
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    Reply { status, text: String::from_utf8(bytes.into()).unwrap() }
}

fn signed(payload: &str, at: SystemTime) -> HeaderValue {
    let header = StripeWebhook::new(SECRET).sign(payload.as_bytes(), at).unwrap();
    HeaderValue::from_str(&header).unwrap()
}

fn ran(app: &App) -> usize {
    app.ran.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_signed_event_runs_once_and_its_duplicate_gets_200() {
    let app = app();
    let header = signed(EVENT, SystemTime::now());
    assert_eq!(deliver(&app, std::slice::from_ref(&header), EVENT).await.status, StatusCode::CREATED);
    assert_eq!(deliver(&app, &[header], EVENT).await.status, StatusCode::OK);
    assert_eq!(ran(&app), 1);
}

#[tokio::test]
async fn a_forgery_is_a_400_that_says_why_and_takes_no_mark() {
    let now = SystemTime::now();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let right = signed(EVENT, now);
    let not_json = "{\"id\": \"evt_1\", canary";
    let no_id = r#"{"type":"invoice.paid","note":"canary"}"#;
    let two_ids = r#"{"id":"evt_1","type":"canary","id":"evt_2"}"#;
    let empty_id = r#"{"id":"","type":"invoice.paid"}"#;
    let nul_id = r#"{"id":"evt\u0000","type":"invoice.paid"}"#;
    let long_id = format!(r#"{{"id":"{}","type":"invoice.paid"}}"#, "x".repeat(256));
    let invisible = HeaderValue::from_bytes(b"t=1,v1=\xff").unwrap();
    let cases: &[(&str, Vec<HeaderValue>, &str, &str)] = &[
        ("missing header", vec![], EVENT, "has no Stripe-Signature header"),
        ("repeated header", vec![right.clone(), right.clone()], EVENT, "more than one"),
        ("malformed header", vec![HeaderValue::from_static("v1")], EVENT, "an element has no `=`"),
        ("invisible header", vec![invisible], EVENT, "not visible ASCII"),
        ("wrong signature", vec![HeaderValue::from_static("t=1,v1=00")], EVENT, "no signature"),
        ("another body", vec![right], "{}", "no signature"),
        ("stale", vec![signed(EVENT, now - minutes(6))], EVENT, "more than the tolerance of 300s"),
        ("in the future", vec![signed(EVENT, now + minutes(6))], EVENT, "in the future"),
        ("not JSON", vec![signed(not_json, now)], not_json, "not JSON from line 1, column 17"),
        ("no id", vec![signed(no_id, now)], no_id, "a field is missing"),
        ("two ids", vec![signed(two_ids, now)], two_ids, "it has `id` more than once"),
        ("empty id", vec![signed(empty_id, now)], empty_id, "lacks a non-empty `id`"),
        ("NUL in the id", vec![signed(nul_id, now)], nul_id, "its id holds a NUL byte"),
        ("over-long id", vec![signed(&long_id, now)], &long_id, "its key is 256 bytes long"),
    ];
    let app = app();
    for (case, headers, body, reason) in cases {
        let reply = deliver(&app, headers, (*body).to_owned()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{case}: {}", reply.text);
        assert!(reply.text.contains(reason), "{case}: {}", reply.text);
        assert!(!reply.text.contains("canary"), "{case} shows a secret or the payload: {}", reply.text);
    }
    assert_eq!(ran(&app), 0);
    assert!(app.log.is_empty(), "a forger who names a real id cannot make it look like a duplicate");

    let header = signed(EVENT, now);
    assert_eq!(deliver(&app, &[header], EVENT).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let app = app();
    let large = format!(r#"{{"id":"evt_1","type":"{}"}}"#, "x".repeat(1024));
    let reply = deliver(&app, &[signed(&large, SystemTime::now())], large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(app.log.is_empty());
}

#[tokio::test]
async fn a_server_without_a_signing_secret_is_500_and_says_why() {
    for (secret, reason) in [
        ("", "the webhook's signing secret is empty"),
        ("sk_live_canary", "it is an API key"),
        ("'whsec_canary'", "it is in quotation marks"),
    ] {
        let app = App { stripe: StripeWebhook::new(secret), ..app() };
        let reply = deliver(&app, &[signed(EVENT, SystemTime::now())], EVENT).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{secret}");
        assert!(reply.text.contains(reason) && !reply.text.contains("canary"), "{}", reply.text);
        assert!(app.log.is_empty());
    }
}

/// Only `id` and `type` are strict: an event that is signed and refused comes back for three days.
#[tokio::test]
async fn a_signed_event_of_any_shape_runs() {
    let odd = [
        r#""created":1493884202.8321862"#,
        r#""created":"2025-01-01T00:00:00Z""#,
        r#""created":null"#,
        r#""livemode":"yes","account":7,"context":[],"api_version":{}"#,
        r#""data":[]"#,
        r#""data":null,"related_object":"none","request":"req_1""#,
        r#""account":"acct_1","account":"acct_2""#,
        r#""data":{"object":{"amount":1e999}},"\ud800":"\ud800""#,
    ];
    let app = app();
    for (index, fields) in odd.iter().enumerate() {
        let event = format!(r#"{{"id":"evt_{index}","type":"invoice.paid",{fields}}}"#);
        let reply = deliver(&app, &[signed(&event, SystemTime::now())], event.clone()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{event}: {}", reply.text);
    }
    assert_eq!(ran(&app), odd.len());
}

/// As long as the handler names `event`, the dashboard's tests share one id.
#[tokio::test]
async fn with_a_testable_key_each_dashboard_test_runs() {
    #[idempotent_webhook(log = app.log, event = event.testable(), scope = "testable")]
    async fn on_testable(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, Error> {
        assert!(event.is_dashboard_test());
        app.ran.fetch_add(1, Ordering::SeqCst);
        Ok(StatusCode::CREATED)
    }
    let test = r#"{"id":"evt_00000000000000","type":"invoice.paid","livemode":false}"#;
    let app = app();
    let router = Router::new().route("/", post(on_testable)).with_state(app.clone());
    let now = SystemTime::now();
    let second = Duration::from_secs(1);
    let mut answered = Vec::new();
    for signed_at in [now - second, now, now] {
        let request = Request::post("/").header(SIGNATURE_HEADER, signed(test, signed_at));
        let response = router.clone().oneshot(request.body(Body::from(test)).unwrap()).await.unwrap();
        answered.push(response.status().as_u16());
    }
    assert_eq!(answered, [201, 201, 200], "a replay of one delivery is a duplicate");

    let plain = [now - second, now].map(|signed_at| signed(test, signed_at));
    assert_eq!(deliver(&app, &plain[..1], test).await.status, StatusCode::CREATED);
    assert_eq!(deliver(&app, &plain[1..], test).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_nothing_runs() {
    #[idempotent_webhook]
    async fn on_broken(
        State(log): State<Arc<ferro_idem_tests::Broken>>,
        event: String,
    ) -> Result<StatusCode, Error> {
        unreachable!("{event}")
    }
    let router = Router::new().route("/", post(on_broken)).with_state(Arc::new(ferro_idem_tests::Broken));
    let response = router.oneshot(Request::post("/").body(Body::from("evt_1")).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
