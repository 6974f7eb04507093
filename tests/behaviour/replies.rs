//! The replies to a duplicate and to a failed fence, for each return type.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, Settle, idempotent_webhook};
use ferro_idem_tests::{Broken, broken};

#[idempotent_webhook]
async fn status(log: &impl ProcessedEventLog, event: &str) -> StatusCode {
    StatusCode::CREATED
}

#[idempotent_webhook]
async fn response(log: &impl ProcessedEventLog, event: &str) -> Response {
    StatusCode::CREATED.into_response()
}

#[idempotent_webhook]
async fn result_of_unit(log: &impl ProcessedEventLog, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook]
async fn result_of_response(log: &impl ProcessedEventLog, event: &str) -> Result<Response, Error> {
    Ok(StatusCode::CREATED.into_response())
}

#[tokio::test]
async fn a_duplicate_gets_a_success_that_claims_nothing() {
    let log = MemoryProcessedLog::new();
    assert_eq!(status(&log, "evt_1").await, StatusCode::CREATED);
    assert_eq!(status(&log, "evt_1").await, StatusCode::OK);
    assert_eq!(response(&log, "evt_1").await.status(), StatusCode::OK);
    assert_eq!(result_of_response(&log, "evt_1").await.unwrap().status(), StatusCode::OK);
    result_of_unit(&log, "evt_1").await.unwrap();
    let outcome: Outcome<StatusCode> = Outcome::Duplicate;
    assert_eq!(outcome.into_response().status(), StatusCode::OK);
    assert_eq!(Outcome::Processed(StatusCode::CREATED).into_response().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn if_the_store_fails_no_body_runs_and_the_sender_tries_again() {
    assert_eq!(status(&Broken, "evt_1").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response(&Broken, "evt_1").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(result_of_unit(&Broken, "evt_1").await, Err(Error::Store { .. })));
}

#[tokio::test]
async fn an_event_without_an_id_is_a_bad_request() {
    let log = MemoryProcessedLog::new();
    assert_eq!(status(&log, "").await, StatusCode::BAD_REQUEST);
    assert_eq!(response(&log, "evt\0").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_sender_is_not_told_about_the_store() {
    let response = broken().into_response();
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    assert_eq!(body, "the event could not be recorded, deliver it again later");
}

#[test]
fn an_error_tells_its_whole_story_through_its_sources() {
    let error = broken();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "canary: connection refused");
}

#[test]
fn only_a_success_settles_an_event() {
    let server_error = StatusCode::INTERNAL_SERVER_ERROR;
    assert!(().is_processed());
    assert!(Outcome::<()>::Duplicate.is_processed());
    assert!(Outcome::Processed(()).is_processed());
    assert!(!Outcome::Processed(server_error).is_processed());
    assert!(StatusCode::CREATED.is_processed());
    assert!(!StatusCode::FOUND.is_processed(), "Stripe takes a redirect for a failure");
    assert!(!server_error.is_processed());
    assert!(!server_error.into_response().is_processed());
    assert!(Ok::<_, Error>(StatusCode::OK).is_processed());
    assert!(!Ok::<_, Error>(server_error).is_processed());
    assert!(!Err::<StatusCode, _>(broken()).is_processed());
}
