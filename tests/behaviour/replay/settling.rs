//! When a reply is kept, and when it is not.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::replay::{KEEP, MAX_REPLY_BYTES};
use ferro_idem::{Error, Outcome, idempotent_webhook};
use ferro_idem_tests::{KeepingLog, broken, drop_after_polls, redeliver};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) charge: String,
    pub(crate) attempt: u32,
}

fn receipt(log: &KeepingLog) -> Receipt {
    Receipt { charge: "ch_1".to_owned(), attempt: u32::try_from(log.effects().len()).unwrap() }
}

#[idempotent_webhook(claim(c), replay, fingerprint = body, event = key)]
async fn claimed(log: &KeepingLog, key: &str, body: &str) -> Result<Receipt, Error> {
    if body == "fails" {
        return Err(broken());
    }
    Ok(Receipt { charge: c.event_id().to_owned(), attempt: u32::try_from(c.attempt()).unwrap() })
}

#[idempotent_webhook(transaction(tx), replay, fingerprint = &body, event = key, keep = Duration::from_mins(5))]
async fn charged(log: &KeepingLog, key: &str, body: Vec<u8>) -> Result<Receipt, Error> {
    tx.push(format!("{key} {}", String::from_utf8_lossy(&body)));
    match &body[..] {
        b"fails" => Err(broken()),
        b"large" => Ok(Receipt { charge: "x".repeat(MAX_REPLY_BYTES), attempt: 0 }),
        b"panics" => panic!("the body panics"),
        _ => Ok(receipt(log)),
    }
}

#[tokio::test]
async fn a_claimed_retry_gets_the_first_reply_again() {
    let log = KeepingLog::default();
    let first = claimed(&log, "key_1", "pay").await.unwrap();
    assert_eq!(first, Receipt { charge: "key_1".to_owned(), attempt: 1 });
    for _ in 0..3 {
        assert_eq!(claimed(&log, "key_1", "pay").await.unwrap(), first);
    }
    assert_eq!(log.last_keep(), Some(KEEP));
}

#[tokio::test]
async fn a_transacted_retry_gets_the_first_reply_again() {
    let log = KeepingLog::default();
    let first = charged(&log, "key_1", b"pay".to_vec()).await.unwrap();
    charged(&log, "key_2", b"pay".to_vec()).await.unwrap();
    assert_eq!(charged(&log, "key_1", b"pay".to_vec()).await.unwrap(), first);
    assert_eq!(log.effects(), ["key_1 pay", "key_2 pay"]);
    assert_eq!(log.last_keep(), Some(Duration::from_mins(5)));
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_mismatch() {
    let log = KeepingLog::default();
    claimed(&log, "key_1", "pay").await.unwrap();
    charged(&log, "key_2", b"pay".to_vec()).await.unwrap();
    for error in [
        claimed(&log, "key_1", "pay more").await.unwrap_err(),
        charged(&log, "key_2", b"pay more".to_vec()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Mismatch { .. }), "{error:?}");
        assert_eq!((error.status(), error.is_retryable()), (422, false));
    }
    claimed(&log, "key_1", "pay").await.unwrap();
}

#[tokio::test]
async fn only_a_hash_of_the_request_is_stored() {
    let log = KeepingLog::default();
    claimed(&log, "key_1", "the card number").await.unwrap();
    let stored = log.stored("key_1").unwrap();
    assert!(!String::from_utf8_lossy(&stored).contains("card"));
}

#[tokio::test]
async fn a_failure_is_not_kept_and_the_retry_runs() {
    let log = KeepingLog::default();
    claimed(&log, "key_1", "fails").await.unwrap_err();
    charged(&log, "key_2", b"fails".to_vec()).await.unwrap_err();
    assert!(log.keys().is_empty() && log.effects().is_empty());
    assert_eq!(claimed(&log, "key_1", "pay").await.unwrap().attempt, 2);
    charged(&log, "key_2", b"pay".to_vec()).await.unwrap();
}

#[tokio::test]
async fn a_reply_that_is_too_large_fails_before_the_commit() {
    let log = KeepingLog::default();
    let error = charged(&log, "key_1", b"large".to_vec()).await.unwrap_err();
    assert!(matches!(error, Error::ReplyNotKept { .. }), "{error:?}");
    assert!(error.to_string().contains("larger than 65536 bytes"), "{error}");
    assert!(log.keys().is_empty() && log.effects().is_empty());
    charged(&log, "key_1", b"pay".to_vec()).await.unwrap();
}

#[tokio::test]
async fn a_reply_that_the_log_does_not_keep_rolls_back() {
    let log = KeepingLog::default();
    log.keep_nothing(true);
    let error = charged(&log, "key_1", b"pay".to_vec()).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
    assert!(log.effects().is_empty());
    log.keep_nothing(false);
    charged(&log, "key_1", b"pay".to_vec()).await.unwrap();
    assert_eq!(log.effects().len(), 1);
}

#[tokio::test]
async fn a_panic_keeps_nothing_and_the_retry_runs() {
    let log = KeepingLog::default();
    let panics = tokio::spawn({
        let log = log.clone();
        async move { charged(&log, "key_1", b"panics".to_vec()).await }
    });
    assert!(panics.await.unwrap_err().is_panic());
    redeliver(|| charged(&log, "key_1", b"pay".to_vec())).await.unwrap();
    assert_eq!(log.effects(), ["key_1 pay"]);
}

#[tokio::test]
async fn an_expired_reply_is_a_clear_error_and_never_runs_again() {
    let log = KeepingLog::default();
    charged(&log, "key_1", b"pay".to_vec()).await.unwrap();
    log.expire("key_1");
    let error = charged(&log, "key_1", b"pay".to_vec()).await.unwrap_err();
    assert!(matches!(error, Error::ReplyGone { .. }), "{error:?}");
    assert_eq!((error.status(), error.is_retryable()), (410, false));
    assert_eq!(log.effects().len(), 1);
}

#[tokio::test]
async fn a_reply_in_another_form_is_a_clear_error() {
    let log = KeepingLog::default();
    claimed(&log, "key_1", "pay").await.unwrap();
    let kept = log.stored("key_1").unwrap();
    for (bytes, expected) in [
        (&b"\x02\x00"[..], "newer version of ferro-idem"),
        (&b"\x01\x80"[..], "newer version of ferro-idem"),
        (&b""[..], "not the whole form"),
        (&kept[..9], "not the whole form"),
        (&b"\x01\x00{}"[..], "is not read back as"),
        (&b"\x01\x02{}"[..], "`Err`"),
    ] {
        log.store("key_1", bytes);
        let error = claimed(&log, "key_1", "pay").await.unwrap_err();
        assert!(matches!(error, Error::ReplyUnreadable { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[idempotent_webhook(claim, replay, event = key, on_duplicate = Ok(7))]
async fn written_duplicate(log: &KeepingLog, key: &str) -> Result<u32, Error> {
    Ok(1)
}

#[idempotent_webhook(claim, replay, event = key)]
async fn status(log: &KeepingLog, key: &str) -> Result<StatusCode, Error> {
    Ok(StatusCode::CREATED)
}

#[idempotent_webhook(transaction(_tx), replay, event = key)]
async fn response(log: &KeepingLog, key: &str) -> Response {
    StatusCode::CREATED.into_response()
}

#[idempotent_webhook(claim, replay, event = key)]
async fn nothing(log: &KeepingLog, key: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim, replay, event = key)]
async fn outcome(log: &KeepingLog, key: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(claim, replay, event = key, on_error = |error| error.status(), processed = |_| true)]
async fn mapped(log: &KeepingLog, key: &str) -> u16 {
    201
}

#[idempotent_webhook(claim, event = key)]
async fn without_replay(log: &KeepingLog, key: &str) -> Result<(), Error> {
    Ok(())
}

#[tokio::test]
async fn a_duplicate_without_a_reply_gets_what_on_duplicate_says() {
    let log = KeepingLog::default();
    for expected in [1, 1] {
        assert_eq!(written_duplicate(&log, "key_1").await.unwrap(), expected);
    }
    log.expire("key_1");
    assert_eq!(written_duplicate(&log, "key_1").await.unwrap(), 7);
}

#[tokio::test]
async fn an_expired_reply_is_never_an_empty_success() {
    let log = KeepingLog::default();
    for is_expired in [false, true] {
        let of = |status: u16| if is_expired { 410 } else { status };
        let gone = |error: Error| error.status();
        assert_eq!(status(&log, "key_1").await.map_or_else(gone, |status| status.as_u16()), of(201));
        assert_eq!(response(&log, "key_2").await.status(), of(201));
        assert_eq!(nothing(&log, "key_3").await.map_or_else(gone, |()| 200), of(200));
        assert_eq!(outcome(&log, "key_4").await.map_or_else(gone, |_| 200), of(200));
        assert_eq!(mapped(&log, "key_5").await, of(201));
        for key in log.keys() {
            log.expire(&key);
        }
    }
}

#[tokio::test]
async fn an_event_that_was_processed_without_replay_has_no_reply() {
    let log = KeepingLog::default();
    without_replay(&log, "key_1").await.unwrap();
    assert_eq!(response(&log, "key_1").await.status(), 410);
    assert!(matches!(nothing(&log, "key_1").await, Err(Error::ReplyGone { .. })));
}

/// Which reply a key gets after its first delivery was dropped at each of its awaits.
#[tokio::test]
async fn a_client_that_hangs_up_at_any_await_gets_one_effect_and_one_reply() {
    for polls in 0..20 {
        let log = KeepingLog::default().yields();
        let dropped = drop_after_polls(charged(&log, "key_1", b"pay".to_vec()), polls).await;
        let retry = || charged(&log, "key_1", b"pay".to_vec());
        let replies = [redeliver(retry).await.unwrap(), retry().await.unwrap()];
        assert_eq!(replies[0], replies[1], "{polls} polls");
        assert_eq!(log.effects(), ["key_1 pay"], "{polls} polls, dropped: {dropped:?}");
    }
}

#[tokio::test]
async fn a_claim_that_is_dropped_at_any_await_has_one_reply() {
    for polls in 0..20 {
        let log = KeepingLog::default().yields();
        drop_after_polls(claimed(&log, "key_1", "pay"), polls).await;
        let retry = || claimed(&log, "key_1", "pay");
        let first = redeliver(retry).await.unwrap();
        assert_eq!(retry().await.unwrap(), first, "{polls} polls");
    }
}
