//! The reply is kept while the event is settled: for axum it has to be `Send`.

use std::rc::Rc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

struct AppError(Rc<str>);

impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        Self(error.to_string().into())
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

#[idempotent_webhook(log = MemoryProcessedLog::new(), claim)]
#[axum::debug_handler]
async fn claimed(event: String) -> Result<(), AppError> {
    Ok(())
}

fn must_be_send(_: impl Send) {}

fn main() {
    must_be_send(claimed(String::new()));
}
