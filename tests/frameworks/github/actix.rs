//! GitHub on actix-web.

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig, post};
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

pub(super) struct App {
    pub(super) log: MemoryProcessedLog,
}

#[idempotent_webhook(log = app.log, claim)]
async fn on_event(app: Data<App>, event: GithubEvent) -> Result<HttpResponse, Error> {
    println!("{} in {:?}", event.event_type(), event.repository());
    Ok(HttpResponse::Ok().finish())
}

pub(super) fn configure(config: &mut ServiceConfig, app: Data<App>, github: GithubWebhook) {
    config.app_data(app).app_data(github).route("/github", post().to(on_event));
}
