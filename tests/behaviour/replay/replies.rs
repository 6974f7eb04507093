//! Which replies are replayed, and how.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ferro_idem::replay::KeepSetCookie;
use ferro_idem::{Error, Outcome, idempotent_webhook};
use ferro_idem_tests::KeepingLog;
use futures_util::stream;

use super::settling::Receipt;

fn receipt(attempt: u32) -> Receipt {
    Receipt { charge: "ch_1".to_owned(), attempt }
}

/// The reply of three deliveries, of which only the first runs.
macro_rules! assert_replayed {
    ($name:ident: $reply:ty = |$attempt:ident| $body:expr) => {{
        #[idempotent_webhook(claim, replay, event = key)]
        async fn $name(log: &KeepingLog, key: &str, $attempt: u32) -> $reply {
            $body
        }

        let log = KeepingLog::default();
        let first = $name(&log, "key_1", 1).await;
        for attempt in 2..4 {
            assert_eq!($name(&log, "key_1", attempt).await, first, stringify!($name));
        }
        assert_eq!(log.keys(), ["key_1"], "it is kept");
    }};
}

#[tokio::test]
async fn every_kind_of_reply_is_replayed() {
    assert_replayed!(value: Result<Receipt, Failure> = |attempt| Ok(receipt(attempt)));
    assert_replayed!(text: Result<String, Failure> = |attempt| Ok(format!("{attempt}")));
    assert_replayed!(number: Result<u32, Failure> = |attempt| Ok(attempt));
    assert_replayed!(bytes: Result<Vec<u8>, Failure> = |attempt| Ok(vec![0, 255, u8::try_from(attempt).unwrap()]));
    assert_replayed!(unit: Result<(), Failure> = |_attempt| Ok(()));
    assert_replayed!(option: Result<Option<Receipt>, Failure> = |attempt| Ok(Some(receipt(attempt))));
    assert_replayed!(outcome: Result<Outcome<String>, Failure> = |attempt| Ok(Outcome::Processed(format!("{attempt}"))));
    assert_replayed!(status: Result<StatusCode, Failure> = |_attempt| Ok(StatusCode::CREATED));
}

#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Failure {
    Declined(u32),
    Store(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error.to_string())
    }
}

#[idempotent_webhook(claim, replay, event = key, processed = |reply| !matches!(reply, Err(Failure::Store(_))))]
async fn declines(log: &KeepingLog, key: &str, attempt: u32) -> Result<Receipt, Failure> {
    Err(Failure::Declined(attempt))
}

struct Opaque;

impl From<Error> for Opaque {
    fn from(error: Error) -> Self {
        assert!(error.to_string().contains("cannot be replayed: derive"), "{error}");
        Self
    }
}

#[idempotent_webhook(claim, replay, event = key, processed = |_| true)]
async fn declines_opaquely(log: &KeepingLog, key: &str) -> Result<Receipt, Opaque> {
    Err(Opaque)
}

#[tokio::test]
async fn an_err_that_counts_as_processed_is_replayed() {
    let log = KeepingLog::default();
    for attempt in 1..4 {
        assert_eq!(declines(&log, "key_1", attempt).await, Err(Failure::Declined(1)));
    }
    assert!(declines_opaquely(&log, "key_2").await.is_err());
    assert_eq!(log.keys(), ["key_1"]);
}

#[idempotent_webhook(transaction(tx), replay, event = key, processed = |reply| reply.as_ref().is_ok_and(|reply| !reply.status().is_server_error()))]
async fn response(log: &KeepingLog, key: &str, reply: Response) -> Result<Response, Error> {
    tx.push(key.to_owned());
    Ok(reply)
}

async fn seen(reply: Result<Response, Error>) -> (StatusCode, Vec<(String, String)>, Vec<u8>) {
    let (parts, body) = reply.unwrap().into_parts();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (parts.status, headers.collect(), axum::body::to_bytes(body, 100_000).await.unwrap().to_vec())
}

fn created() -> Response {
    let headers =
        [("location", "/charges/1"), ("etag", "\"1\""), ("x-charge", "ch_1"), ("set-cookie", "a=b")];
    (StatusCode::CREATED, headers, Json(receipt(1))).into_response()
}

#[tokio::test]
async fn a_response_is_replayed_with_its_status_headers_and_bytes() {
    let log = KeepingLog::default();
    let (status, mut headers, body) = seen(response(&log, "key_1", created()).await).await;
    assert_eq!(status, 201);
    headers.retain(|(name, _)| name != "set-cookie");
    headers.push(("idempotent-replayed".to_owned(), "true".to_owned()));
    headers.sort();
    for _ in 0..3 {
        let mut again = seen(response(&log, "key_1", StatusCode::OK.into_response()).await).await;
        again.1.sort();
        assert_eq!(again, (status, headers.clone(), body.clone()));
    }
    assert_eq!(log.effects(), ["key_1"]);
}

#[tokio::test]
async fn a_cookie_is_replayed_only_if_it_is_asked_for() {
    let log = KeepingLog::default();
    let mut asked = created();
    asked.extensions_mut().insert(KeepSetCookie);
    for (key, reply, expected) in [("key_1", created(), false), ("key_2", asked, true)] {
        assert!(response(&log, key, reply).await.unwrap().headers().contains_key("set-cookie"));
        let replayed = response(&log, key, created()).await.unwrap();
        assert_eq!(replayed.headers().contains_key("set-cookie"), expected, "{key}");
    }
}

#[tokio::test]
async fn a_4xx_by_choice_is_replayed_and_a_5xx_is_not() {
    let log = KeepingLog::default();
    let declined = || (StatusCode::PAYMENT_REQUIRED, "no money").into_response();
    assert_eq!(response(&log, "key_1", declined()).await.unwrap().status(), 402);
    assert_eq!(response(&log, "key_1", created()).await.unwrap().status(), 402);
    let fails = || StatusCode::BAD_GATEWAY.into_response();
    assert_eq!(response(&log, "key_2", fails()).await.unwrap().status(), 502);
    assert_eq!(response(&log, "key_2", created()).await.unwrap().status(), 201);
    assert_eq!(log.effects(), ["key_1", "key_2"]);
}

#[idempotent_webhook(claim, replay, event = key, processed = |_| true, on_duplicate = StatusCode::GONE.into_response())]
async fn always(log: &KeepingLog, key: &str, reply: Response) -> Response {
    reply
}

#[tokio::test]
async fn a_5xx_is_never_stored_whatever_counts_as_processed() {
    let log = KeepingLog::default();
    assert_eq!(always(&log, "key_1", StatusCode::BAD_GATEWAY.into_response()).await.status(), 502);
    assert_eq!(always(&log, "key_1", created()).await.status(), 410);
    assert!(log.keys().is_empty());
}

#[tokio::test]
async fn a_stream_or_a_broken_body_fails_before_the_commit() {
    let log = KeepingLog::default();
    let pending = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let broken = Body::from_stream(stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("gone"))]));
    let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1_000])));
    for (body, expected) in [(pending, "stream"), (broken, "ends with an error"), (endless, "larger than")] {
        let error = response(&log, "key_1", Response::new(body)).await.unwrap_err();
        assert!(matches!(error, Error::ReplyNotKept { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(log.effects().is_empty());
    response(&log, "key_1", created()).await.unwrap();
}

#[idempotent_webhook(transaction(tx), replay, event = key)]
async fn status_and_json(
    log: &KeepingLog,
    key: &str,
    attempt: u32,
) -> Result<(StatusCode, Json<Receipt>), Error> {
    tx.push(key.to_owned());
    Ok((StatusCode::CREATED, Json(receipt(attempt))))
}

#[idempotent_webhook(claim, replay, event = key)]
async fn hidden(log: &KeepingLog, key: &str, attempt: u32) -> Result<impl IntoResponse, Error> {
    Ok(Json(receipt(attempt)))
}

#[tokio::test]
async fn json_is_replayed_with_the_same_bytes() {
    let log = KeepingLog::default();
    let reply = async |attempt| {
        seen(status_and_json(&log, "key_1", attempt).await.map(IntoResponse::into_response)).await
    };
    let first = reply(1).await;
    assert_eq!((first.0, &first.2[..]), (StatusCode::CREATED, &br#"{"charge":"ch_1","attempt":1}"#[..]));
    assert_eq!(reply(2).await, first);
    let reply =
        async |attempt| seen(hidden(&log, "key_2", attempt).await.map(IntoResponse::into_response)).await;
    assert_eq!(reply(1).await, reply(2).await);
}
