//! The recipe for AWS Lambda: `lambda_http` has a request and a response, and needs no feature of this crate.

use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::sender::{Delivery, Verified};
use ferro_idem::{MemoryProcessedLog, idempotent_webhook};
use lambda_http::http::{Request as HttpRequest, StatusCode};
use lambda_http::{Body, Request, Response};

struct App {
    log: MemoryProcessedLog,
    github: GithubWebhook,
}

/// What `lambda_http::run(service_fn(|request| receive(&app, request)))` calls.
async fn receive(app: &App, request: Request) -> Result<Response<Body>, lambda_http::http::Error> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let delivery = Delivery::new(request.body().as_ref()).with_headers(headers);
    let event = match Verified::read(&app.github, &delivery) {
        Ok(Verified(event)) => event,
        Err(rejection) => return reply(rejection.status(), None, rejection.body()),
    };
    match on_event(app, event).await {
        Ok(()) => reply(200, None, String::new()),
        Err(error) => {
            let seconds = error.retry_after().map(|wait| wait.as_secs_f64().ceil().max(1.0).to_string());
            reply(error.status(), seconds, String::new())
        }
    }
}

#[idempotent_webhook(log = app.log, claim)]
async fn on_event(app: &App, event: GithubEvent) -> Result<(), ferro_idem::Error> {
    if event.action() == Some("fails") {
        return Err(ferro_idem::Error::store("call the bank", "no answer"));
    }
    Ok(())
}

fn reply(
    status: u16,
    retry_after: Option<String>,
    body: String,
) -> Result<Response<Body>, lambda_http::http::Error> {
    let response = Response::builder().status(status);
    let response = match retry_after {
        Some(seconds) => response.header("Retry-After", seconds),
        None => response,
    };
    response.body(Body::from(body))
}

async fn deliver(app: &App, signature: &str, body: &str) -> StatusCode {
    let request = HttpRequest::post("https://example.com/github")
        .header("X-Hub-Signature-256", signature)
        .header("X-GitHub-Delivery", "d-1")
        .header("X-GitHub-Event", "issues");
    receive(app, request.body(Body::from(body)).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn the_recipe_for_lambda_works() {
    let app = App { log: MemoryProcessedLog::new(), github: GithubWebhook::new("canary") };
    let fails = r#"{"action":"fails"}"#;
    assert_eq!(deliver(&app, &app.github.sign(fails.as_bytes()).unwrap(), fails).await, 503);
    assert_eq!(deliver(&app, "sha256=00", fails).await, 400);
    for _ in 0..2 {
        assert_eq!(deliver(&app, &app.github.sign(b"{}").unwrap(), "{}").await, 200);
    }
    assert_eq!(app.log.len(), 1);
}
