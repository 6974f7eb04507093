//! The endpoint, and what becomes of an event.

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use ferro_idem::inbox::{Receipt, ReceiveError};
use ferro_idem::sender::Delivery;
use ferro_idem::sender::slack::SlackWebhook;

use super::*;

#[tokio::test]
async fn a_delivery_is_answered_202_and_again_200() {
    let app = App::new().await;
    assert_eq!((app.receive("evt_1").await, app.receive("evt_1").await), (202, 200));
    let run = run(app.inbox.worker(|_| async {}));
    app.until_empty().await;
    assert_eq!(app.receive("evt_1").await, 200, "also after it is processed");
    run.stop().await;
    assert_eq!(app.number("SELECT count(*) FROM webhook_inbox_body").await, 0, "bodies are personal data");
}

#[tokio::test]
async fn the_handler_gets_the_event_as_it_was_delivered() {
    let app = App::new().await;
    let (seen, mut saw) = tokio::sync::mpsc::unbounded_channel();
    let run = run(app.inbox.worker(move |event: GithubEvent| {
        seen.send((id_of(&event), event.event_type().to_owned(), event.payload().to_vec())).unwrap();
        async {}
    }));
    let body = b"{\"repository\": {\"full_name\": \"octo/h\xc3\xa9llo\"}, \"n\": 1.0}".as_slice();
    assert_eq!(deliver(&app.inbox, signed("evt_1", body)).await.status(), 202);
    assert_eq!(saw.recv().await.unwrap(), ("evt_1".to_owned(), "issues".to_owned(), body.to_vec()));
    run.stop().await;
}

#[tokio::test]
async fn a_forgery_is_answered_400_and_not_stored() {
    let app = App::new().await;
    let mut request = signed("evt_1", b"{}");
    request.headers_mut().insert("X-Hub-Signature-256", "sha256=00".parse().unwrap());
    assert_eq!(deliver(&app.inbox, request).await.status(), 400);
    let unsigned = Request::post("/github").body(Body::from("{}")).unwrap();
    assert_eq!(deliver(&app.inbox, unsigned).await.status(), 400);
    let not_an_event = signed("evt_1", b"not json");
    assert_eq!(deliver(&app.inbox, not_an_event).await.status(), 400);
    let without_id = signed("", b"{}");
    assert_eq!(deliver(&app.inbox, without_id).await.status(), 400);
    let long_id = signed(&"x".repeat(256), b"{}");
    assert_eq!(deliver(&app.inbox, long_id).await.status(), 400);
    assert_eq!(app.in_inbox().await, 0);
}

#[tokio::test]
async fn a_server_without_a_secret_answers_500() {
    let app = App::new().await;
    let inbox = Inbox::new(app.log.clone(), GithubWebhook::new(""));
    assert_eq!(deliver(&inbox, signed("evt_1", b"{}")).await.status(), 500);
}

#[tokio::test]
async fn a_body_over_a_limit_is_answered_413() {
    let app = App::new().await;
    let inbox = app.inbox.clone().with_max_body(10);
    assert_eq!(deliver(&inbox, signed("evt_1", br#"{"a": 1234567}"#)).await.status(), 413);
    let body = vec![b' '; 3 * 1024 * 1024];
    assert_eq!(deliver(&app.inbox, signed("evt_1", &body)).await.status(), 413, "axum's own limit is 2 MB");
    let router = Router::new()
        .route("/github", post(app.inbox.receive()))
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024));
    let mut large = b"{}".to_vec();
    large.resize(3 * 1024 * 1024, b' ');
    assert_eq!(router.oneshot(signed("evt_2", &large)).await.unwrap().status(), 202);
    let delivery = Delivery::new(&large);
    assert!(matches!(inbox.add(&delivery).await, Err(error) if error.status() == 413));
}

#[tokio::test]
async fn a_store_that_is_away_is_answered_503_without_its_name() {
    let app = App::new().await;
    sqlx::query("DROP TABLE webhook_inbox_seen").execute(app.log.pool()).await.unwrap();
    let response = deliver(&app.inbox, signed("evt_1", b"{}")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    assert!(body.is_empty(), "{body:?}");
}

#[tokio::test]
async fn a_handshake_is_answered_and_not_stored() {
    let app = App::new().await;
    let slack = SlackWebhook::new("8f742231b10e8888abcd99yyyzzz85a5");
    let inbox = Inbox::new(app.log.clone(), slack.clone());
    let body = br#"{"type": "url_verification", "challenge": "3eZbrw1a"}"#;
    let [timestamp, signature] = slack.sign(body, std::time::SystemTime::now()).unwrap();
    let request = Request::post("/github")
        .header("X-Slack-Request-Timestamp", &timestamp)
        .header("X-Slack-Signature", &signature)
        .body(Body::from(&body[..]))
        .unwrap();
    let response = deliver(&inbox, request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "3eZbrw1a");
    assert_eq!(app.in_inbox().await, 0);
}

#[tokio::test]
async fn without_a_framework_the_answers_are_the_same() {
    let app = App::new().await;
    let body = b"{}";
    let signature = GithubWebhook::new(SECRET).sign(body).unwrap();
    let delivery = Delivery::new(body)
        .with_header("x-hub-signature-256", &signature)
        .with_header("x-github-delivery", "evt_1")
        .with_header("x-github-event", "push");
    assert_eq!(app.inbox.receive_delivery(&delivery).await.unwrap(), Receipt::Stored);
    assert_eq!(app.inbox.receive_delivery(&delivery).await.unwrap(), Receipt::Duplicate);
    let forged = Delivery::new(body);
    let error = app.inbox.receive_delivery(&forged).await.unwrap_err();
    assert!(matches!(error, ReceiveError::Rejected(_)) && error.status() == 400, "{error:?}");
}

#[tokio::test]
async fn two_senders_share_the_tables_and_no_events() {
    let app = App::new().await;
    let stripe = ferro_idem::stripe::StripeWebhook::new("whsec_test");
    let other = Inbox::new(app.log.clone(), stripe);
    // The same id at both, and no signature: the application has it from the sender's API.
    assert_eq!(app.receive("evt_1").await, 202);
    let event = br#"{"id": "evt_1", "type": "invoice.paid", "data": {"object": {}}}"#;
    assert_eq!(other.add(&Delivery::new(event)).await.unwrap(), Receipt::Stored);
    let (seen, mut saw) = tokio::sync::mpsc::unbounded_channel();
    let (of_github, of_stripe) = (seen.clone(), seen);
    let github = run(app.inbox.worker(move |event: GithubEvent| {
        of_github.send(format!("github {}", event.id())).unwrap();
        async {}
    }));
    let stripe = run(other.worker(move |event: ferro_idem::stripe::StripeEvent| {
        of_stripe.send(format!("stripe {}", event.id())).unwrap();
        async {}
    }));
    app.until_empty().await;
    let mut both = [saw.recv().await.unwrap(), saw.recv().await.unwrap()];
    both.sort();
    assert_eq!(both, ["github evt_1", "stripe evt_1"]);
    github.stop().await;
    stripe.stop().await;
}
