//! A small storm, and the verdict's own tests.

use std::collections::HashSet;

use ferro_idem::ProcessedEventLog;
use sqlx::SqlitePool;

use super::*;
use crate::mishaps::Struck;

const EVENTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_takes_effect_once_and_its_repetition_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("storm.db");
    let exactly_once = Effects { found: EVENTS, ..Effects::default() };

    let first_run = storm(&database, EVENTS).await.unwrap();
    assert_eq!(first_run.effects, exactly_once);
    assert_eq!(first_run.answers.first + first_run.unanswered().unwrap(), EVENTS, "{first_run}");
    assert!(first_run.answers.duplicates > EVENTS / 2, "{first_run}");
    let Struck { errors, panics, hang_ups } = first_run.struck;
    assert!(errors > 0 && panics > 0 && hang_ups > 0, "{first_run}");
    assert!(first_run.answers.redeliveries >= errors + panics + hang_ups, "{first_run}");
    assert!(first_run.answers.refused >= 3, "one of each kind: {first_run}");
    assert!(first_run.balances(), "{first_run}");

    let second_run = storm(&database, EVENTS).await.unwrap();
    assert_eq!(second_run.effects, exactly_once);
    assert_eq!(second_run.answers.first, 0);
    assert_eq!(second_run.answers.duplicates, first_run.answers.first + first_run.answers.duplicates);
    assert_eq!(second_run.struck, Struck::default(), "no body ran, so none went wrong");
    assert_eq!(second_run.answers.refused, first_run.answers.refused);
    assert!(second_run.balances(), "{second_run}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_inbox_nothing_is_lost_though_senders_try_once_and_workers_die() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("inbox.db");
    let exactly_once = Effects { found: EVENTS, ..Effects::default() };

    let first_run = inbox_storm(&database, EVENTS).await.unwrap();
    assert_eq!((first_run.effects, first_run.answers.first), (exactly_once, EVENTS), "{first_run}");
    assert!(first_run.kills > 0 && first_run.runs > EVENTS, "{first_run}");
    assert!(first_run.balances(), "{first_run}");

    let second_run = inbox_storm(&database, EVENTS).await.unwrap();
    assert_eq!((second_run.effects, second_run.answers.first, second_run.runs), (exactly_once, 0, 0));
    assert!(second_run.balances(), "{second_run}");
}

/// Tampers with `payments` after a storm, and repeats the storm for its verdict.
async fn after(tampering: &'static str) -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("storm.db");
    storm(&database, EVENTS).await.unwrap();
    let pool = SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    assert_eq!(sqlx::query(tampering).execute(&pool).await.unwrap().rows_affected(), 1);
    pool.close().await;
    storm(&database, EVENTS).await.unwrap()
}

#[tokio::test]
async fn a_doubled_effect_is_found() {
    let ledger = after("INSERT INTO payments SELECT * FROM payments LIMIT 1").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS + 1, doubled: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[tokio::test]
async fn a_lost_effect_is_found() {
    let ledger = after("DELETE FROM payments WHERE rowid = (SELECT max(rowid) FROM payments)").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS - 1, lost: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[tokio::test]
async fn an_effect_of_a_forgery_is_found() {
    let ledger = after("UPDATE payments SET customer = 'cus_Forger00000000' WHERE rowid = 1").await;
    assert_eq!(ledger.effects, Effects { found: EVENTS, forged: 1, ..Effects::default() });
    assert!(!ledger.balances());
}

#[tokio::test]
async fn one_id_of_two_senders_is_two_events() {
    let folder = tempfile::tempdir().unwrap();
    let webhook = StripeWebhook::new("whsec_canary");
    let app = open(&folder.path().join("two.db"), webhook.clone(), Mishaps::default()).await.unwrap();
    let github = GithubWebhook::new("canary");
    let app = App { github: github.clone(), ..app };
    let pool = app.log.pool().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router(app)).into_future());

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"id":"evt_1","type":"invoice.paid"}"#;
    let stripe_signature = webhook.sign(body.as_bytes(), std::time::SystemTime::now()).unwrap();
    let github_signature = github.sign(body.as_bytes()).unwrap();
    for expected in [201, 200] {
        let stripe = client.post(format!("{url}/webhook")).header("Stripe-Signature", &stripe_signature);
        let github = client
            .post(format!("{url}/github"))
            .header("X-Hub-Signature-256", &github_signature)
            .header("X-GitHub-Delivery", "evt_1")
            .header("X-GitHub-Event", "push");
        for request in [stripe, github] {
            assert_eq!(request.body(body).send().await.unwrap().status(), expected);
        }
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 2, "one effect for each sender");
}

#[test]
fn events_are_the_same_in_every_run() {
    let events = events::events(EVENTS);
    let ids: HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), EVENTS);
    assert!(ids.iter().all(|id| id.len() == 28 && id.starts_with("evt_1")));
    assert_eq!(events[7].payload(), events::events(EVENTS)[7].payload());
}

#[test]
fn a_mistake_on_the_command_line_is_named() {
    let parse = |args: &[&str]| Args::parse(args.iter().map(Into::into));
    assert_eq!(
        parse(&["--database", "a.db", "--listen", "127.0.0.1:1"]),
        Ok(Args { database: "a.db".into(), mode: Mode::Listen("127.0.0.1:1".into()) })
    );
    assert_eq!(parse(&["--databse"]), Err("unknown argument `--databse`".into()));
    assert_eq!(parse(&["--database"]), Err("--database needs a file".into()));
}

#[tokio::test]
async fn the_page_shows_the_events_to_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let webhook = StripeWebhook::new("whsec_test");
    let app = open(&folder.path().join("page.db"), webhook, Mishaps::default()).await.unwrap();
    app.log.try_mark_processed("evt_of_the_page").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let router = with_page(router(app.clone()), &app).unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(axum::serve(listener, service).into_future());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(format!("{url}/events")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("evt_of_the_page") && page.contains("Read-only"), "{page}");
    // A name that another site had lead here.
    let foreign = client.get(&url).header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    server.abort();
}
