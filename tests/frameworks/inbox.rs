//! The endpoint of an inbox over a real server of each framework.

use std::time::SystemTime;

use actix_web::web;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::sender::slack::SlackWebhook;
use ferro_idem::{Inbox, SqliteLog};
use poem::Route;
use sqlx::Sqlite;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::servers::{Reply, Server, github_headers};

/// The endpoints of a server.
#[derive(Clone)]
struct Inboxes {
    github: Inbox<Sqlite, GithubWebhook>,
    /// Takes no more than 100 bytes.
    small: Inbox<Sqlite, GithubWebhook>,
    without_secret: Inbox<Sqlite, GithubWebhook>,
    slack: Inbox<Sqlite, SlackWebhook>,
    away: Inbox<Sqlite, GithubWebhook>,
}

struct App {
    inboxes: Inboxes,
    log: SqliteLog,
    _folder: TempDir,
}

const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

fn github() -> GithubWebhook {
    GithubWebhook::new("canary")
}

impl App {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::open(folder.path().join("app.db")).await.unwrap();
        let github_inbox = Inbox::new(log.clone(), github());
        github_inbox.create_tables().await.unwrap();
        let inboxes = Inboxes {
            github: github_inbox,
            small: Inbox::new(log.clone(), github()).with_max_body(100),
            without_secret: Inbox::new(log.clone(), GithubWebhook::new("")),
            slack: Inbox::new(log.clone(), SlackWebhook::new(SLACK_SECRET)),
            // It has no tables.
            away: Inbox::new(log.clone(), github()).with_table("nowhere").unwrap(),
        };
        Self { inboxes, log, _folder: folder }
    }

    async fn stored(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM webhook_inbox").fetch_one(self.log.pool()).await.unwrap()
    }
}

async fn on_axum(Inboxes { github, small, without_secret, slack, away }: Inboxes) -> Server {
    use axum::routing::post;

    let router = axum::Router::new()
        .route("/github", post(github.receive()))
        .route("/small", post(small.receive()))
        .route("/without_secret", post(without_secret.receive()))
        .route("/slack", post(slack.receive()))
        .route("/away", post(away.receive()));
    Server::axum(router).await
}

async fn on_actix(inboxes: Inboxes) -> Server {
    Server::actix(move |config| {
        let Inboxes { github, small, without_secret, slack, away } = &inboxes;
        config
            .route("/github", web::post().to(github.receive()))
            .route("/small", web::post().to(small.receive()))
            .route("/without_secret", web::post().to(without_secret.receive()))
            .route("/slack", web::post().to(slack.receive()))
            .route("/away", web::post().to(away.receive()));
    })
}

async fn on_poem(Inboxes { github, small, without_secret, slack, away }: Inboxes) -> Server {
    use poem::post;

    let route = Route::new()
        .at("/github", post(github.receive()))
        .at("/small", post(small.receive()))
        .at("/without_secret", post(without_secret.receive()))
        .at("/slack", post(slack.receive()))
        .at("/away", post(away.receive()));
    Server::poem(route).await
}

/// One test for each framework: `promise(app, server)`.
macro_rules! on_each_framework {
    ($($framework:ident: $serve:ident,)* => $promises:tt) => {$(
        on_each_framework! { @ $framework $serve $promises }
    )*};
    (@ $framework:ident $serve:ident { $($promise:ident),* $(,)? }) => {
        mod $framework {
            $(#[tokio::test]
            async fn $promise() {
                let app = super::App::new().await;
                let server = super::$serve(app.inboxes.clone()).await;
                super::$promise(&app, &server).await;
            })*
        }
    };
}

on_each_framework! {
    over_axum: on_axum,
    over_actix: on_actix,
    over_poem: on_poem,
    => {
        a_delivery_is_answered_202_and_again_200,
        the_handler_gets_the_event_as_it_was_delivered,
        a_forgery_is_a_400_without_a_reason_and_not_stored,
        a_body_of_2_mb_is_received_and_a_larger_one_is_413,
        a_body_over_the_inboxs_own_limit_is_413,
        slacks_handshakes_are_answered_and_not_stored,
        a_server_without_a_secret_answers_500,
        a_store_that_is_away_is_503_and_not_named,
    }
}

async fn deliver(server: &Server, path: &str, id: &str, body: &str) -> Reply {
    server.post(path, &github_headers(&github(), id, body), body).await
}

async fn a_delivery_is_answered_202_and_again_200(app: &App, server: &Server) {
    for status in [202, 200, 200] {
        let reply = deliver(server, "/github", "d-1", "{}").await;
        assert_eq!((reply.status, reply.text.as_str()), (status, ""));
    }
    assert_eq!(app.stored().await, 1);
}

async fn the_handler_gets_the_event_as_it_was_delivered(app: &App, server: &Server) {
    let (seen, mut saw) = mpsc::unbounded_channel();
    let worker = app.inboxes.github.worker(move |event: GithubEvent| {
        seen.send((event.id().to_owned(), event.event_type().to_owned(), event.payload().to_vec())).unwrap();
        async {}
    });
    let running = tokio::spawn(worker.run(std::future::pending()));
    let body = r#"{"repository": {"full_name": "octo/héllo"}, "n": 1.0}"#;
    assert_eq!(deliver(server, "/github", "d-1", body).await.status, 202);
    let expected = ("d-1".to_owned(), "issues".to_owned(), body.as_bytes().to_vec());
    assert_eq!(saw.recv().await.unwrap(), expected);
    running.abort();
}

async fn a_forgery_is_a_400_without_a_reason_and_not_stored(app: &App, server: &Server) {
    let right = github_headers(&github(), "d-1", "{}");
    let other_secret = github_headers(&GithubWebhook::new("guessed"), "d-1", "{}");
    let cases = [
        ("no headers", vec![], "{}"),
        ("another secret", other_secret.to_vec(), "{}"),
        ("another body", right.to_vec(), "[]"),
        ("headers twice", [right.clone(), right.clone()].concat(), "{}"),
        ("no id", right[..1].to_vec(), "{}"),
    ];
    for (case, headers, body) in cases {
        let reply = server.post("/github", &headers, body).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, ""), "{case}");
    }
    assert_eq!(deliver(server, "/github", &"x".repeat(256), "{}").await.status, 400);
    assert_eq!(app.stored().await, 0);
}

async fn a_body_of_2_mb_is_received_and_a_larger_one_is_413(app: &App, server: &Server) {
    const MAX: usize = 2 * 1024 * 1024;
    for (length, status) in [(MAX + 1, 413), (MAX, 202)] {
        let body = format!("{}{{}}", " ".repeat(length - 2));
        let reply = deliver(server, "/github", "d-1", &body).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, ""), "{length} bytes");
    }
    assert_eq!(app.stored().await, 1);
}

async fn a_body_over_the_inboxs_own_limit_is_413(app: &App, server: &Server) {
    for (length, status) in [(101, 413), (100, 202)] {
        let body = format!("{}{{}}", " ".repeat(length - 2));
        assert_eq!(deliver(server, "/small", "d-1", &body).await.status, status, "{length} bytes");
    }
    assert_eq!(app.stored().await, 1);
}

async fn slacks_handshakes_are_answered_and_not_stored(app: &App, server: &Server) {
    let challenge = r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let slack = SlackWebhook::new(SLACK_SECRET);
    let [time, signature] = slack.sign(challenge.as_bytes(), SystemTime::now()).unwrap();
    let headers = [("X-Slack-Request-Timestamp", time), ("X-Slack-Signature", signature)];
    let reply = server.post("/slack", &headers, challenge).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "3eZbrw1a"));
    let forged = server.post("/slack", &[], challenge).await;
    assert_eq!((forged.status, forged.text.as_str()), (400, ""));
    assert_eq!(app.stored().await, 0);
}

async fn a_server_without_a_secret_answers_500(app: &App, server: &Server) {
    let reply = deliver(server, "/without_secret", "d-1", "{}").await;
    assert_eq!((reply.status, reply.text.as_str()), (500, ""));
    assert_eq!(app.stored().await, 0);
}

async fn a_store_that_is_away_is_503_and_not_named(app: &App, server: &Server) {
    let reply = deliver(server, "/away", "d-1", "{}").await;
    assert_eq!((reply.status, reply.text.as_str()), (503, ""));
    assert_eq!(app.stored().await, 0);
}
