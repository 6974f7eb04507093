//! GitHub on poem.

use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
use poem::http::StatusCode;
use poem::web::Data;
use poem::{EndpointExt, IntoEndpoint, Route, handler, post};

#[derive(Clone)]
pub(super) struct App {
    pub(super) log: MemoryProcessedLog,
}

#[handler]
#[idempotent_webhook(log = app.log, claim)]
async fn on_event(Data(app): Data<&App>, event: GithubEvent) -> Result<StatusCode, Error> {
    println!("{} in {:?}", event.event_type(), event.repository());
    Ok(StatusCode::OK)
}

pub(super) fn endpoint(app: App, github: GithubWebhook) -> impl IntoEndpoint {
    Route::new().at("/github", post(on_event)).data(app).data(github)
}
