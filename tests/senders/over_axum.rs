//! The extractors of all senders, and of a sender of one's own.

use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, State};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::sender::slack::{SlackEvent, SlackWebhook};
use ferro_idem::sender::standard::{StandardEvent, StandardWebhook};
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError, Verified};
use ferro_idem::{MemoryProcessedLog, idempotent_webhook};
use tower::ServiceExt;

const BODY: &str = r#"{"event_id":"e-1","id":"e-1","type":"paid","note":"canary"}"#;

/// A sender of one's own.
#[derive(Clone)]
struct Partner;

impl Sender for Partner {
    type Event = serde_json::Value;
    const NAME: &'static str = "partner";
    const ID: IdCoverage = IdCoverage::Unsigned;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<Self::Event, SignatureError> {
        if !ferro_idem::sender::is_equal("token", delivery.header("X-Token")?) {
            return Err(SignatureError::Mismatch);
        }
        Ok(self.decode(delivery)?)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Self::Event, PayloadError> {
        delivery.json()
    }
}

#[derive(Clone, FromRef)]
struct App {
    log: MemoryProcessedLog,
    github: GithubWebhook,
    slack: SlackWebhook,
    standard: StandardWebhook,
    partner: Partner,
}

macro_rules! handlers {
    ($($handler:ident($event:ty), $scope:literal;)*) => {$(
        #[idempotent_webhook(log = app.log, scope = $scope)]
        async fn $handler(State(app): State<App>, event: $event) -> StatusCode {
            StatusCode::CREATED
        }
    )*};
}

handlers! {
    github(GithubEvent), "github";
    slack(SlackEvent), "slack";
    standard(StandardEvent), "standard";
    partner(Verified<Partner>), "partner";
}

fn app() -> App {
    App {
        log: MemoryProcessedLog::new(),
        github: GithubWebhook::new("canary"),
        slack: SlackWebhook::new("canary"),
        standard: StandardWebhook::new("whsec_Y2FuYXJ5"),
        partner: Partner,
    }
}

async fn deliver(app: &App, path: &str, headers: &[(&str, String)], body: &str) -> (u16, String) {
    let router = Router::new()
        .route("/github", post(github))
        .route("/slack", post(slack))
        .route("/standard", post(standard))
        .route("/partner", post(partner))
        .with_state(app.clone());
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let text = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    (status, String::from_utf8(text.into()).unwrap())
}

/// The path and the headers of one delivery of each sender.
fn deliveries(app: &App, body: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let now = SystemTime::now();
    let bytes = body.as_bytes();
    let [slack_time, slack] = app.slack.sign(bytes, now).unwrap();
    let [id, time, standard] = app.standard.sign("msg_1", bytes, now).unwrap();
    vec![
        (
            "/github",
            vec![
                ("X-Hub-Signature-256", app.github.sign(bytes).unwrap()),
                ("X-GitHub-Delivery", "d-1".to_owned()),
                ("X-GitHub-Event", "push".to_owned()),
            ],
        ),
        ("/slack", vec![("X-Slack-Request-Timestamp", slack_time), ("X-Slack-Signature", slack)]),
        ("/standard", vec![("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", standard)]),
        ("/partner", vec![("X-Token", "token".to_owned())]),
    ]
}

#[tokio::test]
async fn a_signed_event_of_each_sender_runs_once() {
    let app = app();
    for (path, headers) in deliveries(&app, BODY) {
        for expected in [201, 200] {
            assert_eq!(deliver(&app, path, &headers, BODY).await.0, expected, "{path}");
        }
    }
    assert_eq!(app.log.len(), 4);
}

#[tokio::test]
async fn a_forgery_is_a_400_that_shows_nothing_and_takes_no_mark() {
    let app = app();
    for (path, headers) in deliveries(&app, BODY) {
        let forged = BODY.replace("e-1", "e-2");
        let mut cases =
            vec![("no headers", vec![], BODY), ("twice", [&headers[..], &headers[..]].concat(), BODY)];
        if path != "/partner" {
            cases.push(("another body", headers, forged.as_str()));
        }
        for (case, headers, body) in cases {
            let (status, text) = deliver(&app, path, &headers, body).await;
            assert_eq!(status, 400, "{path}, {case}: {text}");
            assert!(!text.contains("canary"), "{path}, {case}: {text}");
        }
    }
    assert!(app.log.is_empty());
}

#[tokio::test]
async fn slacks_handshakes_are_answered_without_the_handler() {
    let app = app();
    let challenge = r#"{"type":"url_verification","challenge":"3eZbrw1a","token":"canary"}"#;
    let headers = &deliveries(&app, challenge)[1].1;
    assert_eq!(deliver(&app, "/slack", headers, challenge).await, (200, "3eZbrw1a".to_owned()));
    let (status, text) = deliver(&app, "/slack", &[], challenge).await;
    assert_eq!(status, 400, "unsigned: {text}");
    assert!(!text.contains("3eZbrw1a"));
    assert_eq!(deliver(&app, "/slack", &[], "ssl_check=1&token=canary").await, (200, String::new()));
    assert!(app.log.is_empty());
}
