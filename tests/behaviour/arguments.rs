//! The effect of each argument.

use ferro_idem::{Error, InvalidEventId, MemoryProcessedLog, Outcome, ProcessedEventLog, idempotent_webhook};
use ferro_idem_tests::Broken;

type Handled = Result<Outcome<&'static str>, Error>;

#[idempotent_webhook(scope = "billing")]
async fn bill(log: &impl ProcessedEventLog, event: &str) -> Handled {
    Ok(Outcome::Processed("billed"))
}

#[idempotent_webhook(scope = "mail")]
async fn mail(log: &impl ProcessedEventLog, event: &str) -> Handled {
    Ok(Outcome::Processed("mailed"))
}

#[tokio::test]
async fn scopes_give_handlers_of_one_event_a_fence_each() {
    let log = MemoryProcessedLog::new();
    assert_eq!(bill(&log, "evt_1").await.unwrap(), Outcome::Processed("billed"));
    assert_eq!(mail(&log, "evt_1").await.unwrap(), Outcome::Processed("mailed"));
    assert_eq!(bill(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(mail(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert!(!log.try_mark_processed("billing:evt_1").await.unwrap(), "the key is the scope and the id");
    assert!(log.try_mark_processed("evt_1").await.unwrap(), "the bare id is free");
}

#[tokio::test]
async fn the_key_with_its_scope_has_to_fit() {
    let log = MemoryProcessedLog::new();
    let longest = "x".repeat(255 - "billing:".len());
    assert_eq!(bill(&log, &longest).await.unwrap(), Outcome::Processed("billed"));
    let error = bill(&log, &format!("{longest}x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the event cannot be fenced: its key is 256 bytes long, more than 255");
    assert_eq!(log.len(), 1, "what is refused is not marked");
}

#[tokio::test]
async fn an_event_without_an_id_runs_no_body_and_takes_no_mark() {
    let log = MemoryProcessedLog::new();
    for event in ["", "evt\0"] {
        let error = bill(&log, event).await.unwrap_err();
        assert!(matches!(error, Error::InvalidEventId { .. }), "{error}");
    }
    assert!(log.is_empty());
    let error = bill(&Broken, "").await.unwrap_err();
    assert!(
        matches!(error, Error::InvalidEventId { reason: InvalidEventId::Empty, .. }),
        "no log is asked about an id that it could not keep: {error}"
    );
}

fn id_of(headers: &[(&str, &str)]) -> Result<String, Error> {
    let id = headers.iter().find(|(name, _)| *name == "x-shopify-event-id");
    id.map(|(_, id)| (*id).to_owned()).ok_or_else(ferro_idem_tests::broken)
}

#[idempotent_webhook(event_id = id_of(headers)?)]
async fn shopify(log: &MemoryProcessedLog, headers: &[(&str, &str)]) -> Handled {
    Ok(Outcome::Processed("sold"))
}

#[tokio::test]
async fn event_id_may_be_any_expression_with_a_question_mark() {
    let log = MemoryProcessedLog::new();
    let headers = [("x-shopify-event-id", "1")];
    assert_eq!(shopify(&log, &headers).await.unwrap(), Outcome::Processed("sold"));
    assert_eq!(shopify(&log, &headers).await.unwrap(), Outcome::Duplicate);
    assert!(shopify(&log, &[]).await.is_err());
    assert_eq!(log.len(), 1);
}

#[idempotent_webhook(
    event = payload["order"],
    on_duplicate = { format!("again {payload}") },
    on_error = |error| error.to_string(),
)]
async fn replies(log: &impl ProcessedEventLog, payload: serde_json::Value) -> String {
    format!("first {payload}")
}

#[tokio::test]
async fn replies_may_use_the_parameters() {
    let log = MemoryProcessedLog::new();
    let payload = serde_json::json!({"order": {"id": "1"}});
    assert_eq!(replies(&log, payload.clone()).await, r#"first {"order":{"id":"1"}}"#);
    assert_eq!(replies(&log, payload.clone()).await, r#"again {"order":{"id":"1"}}"#);
    assert_eq!(
        replies(&Broken, payload).await,
        "could not mark the event as processed: the store failed, answer with an error so that the \
         sender delivers again"
    );
}

fn to_text(error: Error) -> Result<u8, String> {
    match error {
        Error::Store { operation, .. } => Err(format!("could not {operation}")),
        other => Err(other.to_string()),
    }
}

#[idempotent_webhook(on_error = to_text, on_duplicate = return Ok(2))]
async fn functions_and_returns(log: &impl ProcessedEventLog, event: &str) -> Result<u8, String> {
    Ok(1)
}

#[tokio::test]
async fn on_error_may_be_a_function_and_on_duplicate_may_return() {
    let log = MemoryProcessedLog::new();
    assert_eq!(functions_and_returns(&log, "evt_1").await, Ok(1));
    assert_eq!(functions_and_returns(&log, "evt_1").await, Ok(2));
    assert!(functions_and_returns(&Broken, "evt_1").await.unwrap_err().starts_with("could not mark"));
}

mod braces {
    //! Row 25.
    #![deny(warnings)]

    use super::{Error, MemoryProcessedLog, idempotent_webhook};

    #[idempotent_webhook(log = { log }, on_duplicate = { Ok(1) }, on_error = { |_| Ok(2) })]
    pub(crate) async fn braced(log: &MemoryProcessedLog, event: &str) -> Result<u8, Error> {
        Ok(0)
    }
}

#[tokio::test]
async fn row_25_braces_around_a_value_raise_no_warning() {
    let log = MemoryProcessedLog::new();
    assert_eq!(braces::braced(&log, "evt_1").await.unwrap(), 0);
    assert_eq!(braces::braced(&log, "evt_1").await.unwrap(), 1);
}

#[idempotent_webhook(log = *lock.lock().await, on_duplicate = Ok(lock.lock().await.len()))]
async fn guarded(lock: &tokio::sync::Mutex<MemoryProcessedLog>, event: &str) -> Result<usize, Error> {
    Ok(lock.lock().await.len())
}

#[tokio::test]
async fn locks_of_the_log_expression_are_released_before_the_body() {
    let lock = tokio::sync::Mutex::new(MemoryProcessedLog::new());
    assert_eq!(guarded(&lock, "evt_1").await.unwrap(), 1);
    assert_eq!(guarded(&lock, "evt_1").await.unwrap(), 1);
}
