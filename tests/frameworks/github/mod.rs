//! Everything that an application writes to receive GitHub's events, a file for each framework, and that it works.

mod actix;
mod axum;
mod poem;

use ferro_idem::MemoryProcessedLog;
use ferro_idem::sender::github::GithubWebhook;

use crate::servers::{Server, github_headers};

fn github() -> GithubWebhook {
    GithubWebhook::new("canary")
}

async fn assert_runs_once(server: Server, log: &MemoryProcessedLog) {
    for _ in 0..2 {
        let body = r#"{"action":"opened"}"#;
        let reply = server.post("/github", &github_headers(&github(), "delivery-1", body), body).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(log.len(), 1);
    let forged = server.post("/github", &[], "{}").await;
    assert_eq!((forged.status, forged.text.as_str()), (400, ""));
}

#[tokio::test]
async fn what_a_user_writes_on_axum_works() {
    let app = axum::App { log: MemoryProcessedLog::new(), github: github() };
    let log = app.log.clone();
    assert_runs_once(Server::axum(axum::router(app)).await, &log).await;
}

#[tokio::test]
async fn what_a_user_writes_on_actix_works() {
    let log = MemoryProcessedLog::new();
    let app = actix_web::web::Data::new(actix::App { log: log.clone() });
    let server = Server::actix(move |config| actix::configure(config, app.clone(), github()));
    assert_runs_once(server, &log).await;
}

#[tokio::test]
async fn what_a_user_writes_on_poem_works() {
    let app = poem::App { log: MemoryProcessedLog::new() };
    let log = app.log.clone();
    assert_runs_once(Server::poem(poem::endpoint(app, github())).await, &log).await;
}
