//! Which replies settle an event, and which give it back.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};
use ferro_idem_tests::broken;

use super::sqlite::{effects, sqlite, write_effect};

const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

#[idempotent_webhook(claim)]
async fn claimed_status(log: &MemoryProcessedLog, event: &str, status: StatusCode) -> StatusCode {
    status
}

#[idempotent_webhook(claim)]
async fn claimed_response(log: &MemoryProcessedLog, event: &str, status: StatusCode) -> Response {
    status.into_response()
}

#[idempotent_webhook(claim)]
async fn claimed_result(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<StatusCode, Error> {
    Ok(status)
}

#[idempotent_webhook(claim)]
async fn claimed_result_of_response(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<Response, Error> {
    Ok(status.into_response())
}

#[idempotent_webhook(transaction(tx))]
async fn transacted_status(log: &SqliteLog, event: &str, status: StatusCode) -> StatusCode {
    write_effect(tx, event).await.map_or(StatusCode::SERVICE_UNAVAILABLE, |()| status)
}

#[idempotent_webhook(transaction(tx))]
async fn transacted_response(log: &SqliteLog, event: &str, status: StatusCode) -> Response {
    write_effect(tx, event).await.map_or_else(IntoResponse::into_response, |()| status.into_response())
}

#[idempotent_webhook(transaction(tx))]
async fn transacted_result(log: &SqliteLog, event: &str, status: StatusCode) -> Result<StatusCode, Error> {
    write_effect(tx, event).await?;
    Ok(status)
}

/// The status of each of four deliveries: two fail inside of an `Ok`, one succeeds, one is a
/// duplicate.
macro_rules! deliver {
    ($handler:ident, $log:expr, $event:literal, |$reply:ident| $status:expr) => {{
        let mut answered = Vec::new();
        for status in [FAILED, StatusCode::FOUND, StatusCode::CREATED, StatusCode::CREATED] {
            let $reply = $handler($log, $event, status).await;
            answered.push($status);
        }
        assert_eq!(answered, [FAILED, StatusCode::FOUND, StatusCode::CREATED, StatusCode::OK]);
    }};
}

#[tokio::test]
async fn a_reply_that_is_no_success_releases_the_claim_like_an_err() {
    let log = MemoryProcessedLog::new();
    deliver!(claimed_status, &log, "evt_1", |reply| reply);
    deliver!(claimed_response, &log, "evt_2", |reply| reply.status());
    deliver!(claimed_result, &log, "evt_3", |reply| reply.unwrap());
    deliver!(claimed_result_of_response, &log, "evt_4", |reply| reply.unwrap().status());
    assert_eq!(log.len(), 4);
}

#[tokio::test]
async fn a_reply_that_is_no_success_rolls_back_like_an_err() {
    let (log, _folder) = sqlite().await;
    deliver!(transacted_status, &log, "evt_1", |reply| reply);
    deliver!(transacted_response, &log, "evt_2", |reply| reply.status());
    deliver!(transacted_result, &log, "evt_3", |reply| reply.unwrap());
    assert_eq!(effects(&log).await, 3, "one effect for each event, of the delivery that succeeded");
}

/// `u32` has no `Settle`: the `Result` counts by `is_ok()`.
#[idempotent_webhook(on_duplicate = Ok(0), claim)]
async fn claimed_number(log: &MemoryProcessedLog, event: &str, fails: bool) -> Result<u32, Error> {
    if fails { Err(broken()) } else { Ok(1) }
}

#[idempotent_webhook(on_duplicate = Ok(0), transaction(tx))]
async fn transacted_number(log: &SqliteLog, event: &str, fails: bool) -> Result<u32, Error> {
    write_effect(tx, event).await?;
    if fails { Err(broken()) } else { Ok(1) }
}

/// Nor has a `T` of the caller's.
#[idempotent_webhook(on_duplicate = Ok(None), claim)]
async fn claimed_generic<T>(
    log: &MemoryProcessedLog,
    event: &str,
    reply: Result<T, Error>,
) -> Result<Option<T>, Error> {
    reply.map(Some)
}

#[tokio::test]
async fn a_result_of_what_has_no_settle_counts_by_is_ok() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for (fails, answered) in [(true, None), (false, Some(1)), (true, Some(0))] {
        assert_eq!(claimed_number(&memory, "evt_1", fails).await.ok(), answered);
        assert_eq!(transacted_number(&sqlite, "evt_1", fails).await.ok(), answered);
    }
    assert_eq!(effects(&sqlite).await, 1);
    assert!(claimed_generic::<&str>(&memory, "evt_2", Err(broken())).await.is_err());
    assert_eq!(claimed_generic(&memory, "evt_2", Ok("first")).await.unwrap(), Some("first"));
    assert_eq!(claimed_generic(&memory, "evt_2", Ok("again")).await.unwrap(), None);
}

/// The body moves what it uses, so `on_error` reads what was lent or is not used there.
#[idempotent_webhook(
    event = payload["order"],
    on_duplicate = Ok(format!("again {payload}")),
    on_error = |error| Err(format!("{unused}: {error}: {payload}")),
    claim,
)]
async fn replies(
    log: &MemoryProcessedLog,
    payload: &serde_json::Value,
    unused: String,
) -> Result<String, String> {
    Ok(format!("first {payload}"))
}

#[tokio::test]
async fn replies_may_use_the_parameters() {
    let log = MemoryProcessedLog::new();
    let payload = serde_json::json!({"order": {"id": "1"}});
    let deliver = |payload| replies(&log, payload, "late".to_owned());
    assert_eq!(deliver(&payload).await.unwrap(), r#"first {"order":{"id":"1"}}"#);
    assert_eq!(deliver(&payload).await.unwrap(), r#"again {"order":{"id":"1"}}"#);
    let error = deliver(&serde_json::json!({"order": {"id": ""}})).await.unwrap_err();
    assert!(error.starts_with("late: ") && error.ends_with(r#"{"order":{"id":""}}"#), "{error}");
}

#[idempotent_webhook(claim)]
async fn outcome_of_a_status(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<Outcome<StatusCode>, Error> {
    Ok(Outcome::Processed(status))
}

#[tokio::test]
async fn a_status_within_an_outcome_is_looked_at_too() {
    let log = MemoryProcessedLog::new();
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_REQUEST, StatusCode::CREATED] {
        let reply = outcome_of_a_status(&log, "evt_1", status).await.unwrap();
        assert_eq!(reply, Outcome::Processed(status), "each failure is given back");
    }
    let duplicate = outcome_of_a_status(&log, "evt_1", StatusCode::CREATED).await.unwrap();
    assert_eq!(duplicate, Outcome::Duplicate);
}

#[idempotent_webhook(claim, on_error = |_| Outcome::Duplicate)]
async fn outcome_of_anything(log: &MemoryProcessedLog, event: &str) -> Outcome<u8> {
    Outcome::Processed(7)
}

#[tokio::test]
async fn an_outcome_of_what_has_no_settle_is_a_success() {
    let log = MemoryProcessedLog::new();
    assert_eq!(outcome_of_anything(&log, "evt_1").await, Outcome::Processed(7));
    assert_eq!(outcome_of_anything(&log, "evt_1").await, Outcome::Duplicate);
}

#[idempotent_webhook(claim, on_duplicate = Ok((StatusCode::OK, "")))]
async fn status_and_body(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<(StatusCode, &'static str), Error> {
    Ok((status, "body"))
}

#[tokio::test]
async fn a_status_beside_a_body_is_looked_at_too() {
    let log = MemoryProcessedLog::new();
    deliver!(status_and_body, &log, "evt_1", |reply| reply.unwrap().0);
}
