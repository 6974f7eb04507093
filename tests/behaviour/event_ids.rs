//! The types that `event_id` takes: text, bytes that are text, and types that may hold one of them.

#![allow(clippy::ref_option)]

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue};
use ferro_idem::{Error, InvalidEventId, MemoryProcessedLog, Outcome, idempotent_webhook};

type Handled = Result<Outcome<()>, Error>;

macro_rules! handlers {
    ($($name:ident: $ty:ty = $id:expr;)*) => {
        $(
            #[idempotent_webhook(event_id = id, scope = "ids")]
            async fn $name(log: &MemoryProcessedLog, id: $ty) -> Handled {
                Ok(Outcome::Processed(()))
            }
        )*

        #[tokio::test]
        async fn every_kind_of_text_is_an_id() {
            $({
                let log = MemoryProcessedLog::new();
                assert_eq!($name(&log, $id).await.unwrap(), Outcome::Processed(()), stringify!($ty));
                assert_eq!(text(&log, "evt_1").await.unwrap(), Outcome::Duplicate, stringify!($ty));
            })*
        }
    };
}

handlers! {
    text: &str = "evt_1";
    owned: String = "evt_1".into();
    by_reference: &String = &"evt_1".to_owned();
    boxed: Box<str> = "evt_1".into();
    shared: Arc<str> = "evt_1".into();
    cow: Cow<'_, str> = "evt_1".into();
    header: HeaderValue = HeaderValue::from_static("evt_1");
    header_by_reference: &HeaderValue = &HeaderValue::from_static("evt_1");
    bytes: Bytes = Bytes::from_static(b"evt_1");
    slice: &[u8] = b"evt_1";
    vector: Vec<u8> = b"evt_1".to_vec();
    option: Option<String> = Some("evt_1".into());
    option_of_reference: Option<&str> = Some("evt_1");
    reference_to_option: &Option<String> = &Some("evt_1".into());
    option_of_header: Option<HeaderValue> = Some(HeaderValue::from_static("evt_1"));
    option_of_header_reference: Option<&HeaderValue> = Some(&HeaderValue::from_static("evt_1"));
    option_of_bytes: Option<Bytes> = Some(Bytes::from_static(b"evt_1"));
    result: Result<&str, std::str::Utf8Error> = Ok("evt_1");
    option_of_result: Option<Result<&str, std::str::Utf8Error>> = Some(Ok("evt_1"));
}

#[idempotent_webhook(event_id = headers.get("x-id"))]
async fn by_header(log: &MemoryProcessedLog, headers: HeaderMap) -> Handled {
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(event_id = headers.get("x-id").map(|id| id.to_str()), claim)]
async fn by_text_of_a_header(log: &MemoryProcessedLog, headers: HeaderMap) -> Handled {
    drop(headers);
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(event_id = headers["x-id"], scope = "index")]
async fn by_index(log: &MemoryProcessedLog, headers: HeaderMap) -> Handled {
    drop(headers);
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(event_id = &ids.1.0, scope = "field")]
async fn by_reference_to_a_field(log: &MemoryProcessedLog, ids: (u8, (String,))) -> Handled {
    drop(ids);
    Ok(Outcome::Processed(()))
}

/// Its own type, and its own trait in scope.
struct Id(String);

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[idempotent_webhook(event_id = id, claim)]
async fn generic<I: AsRef<str>>(log: &MemoryProcessedLog, id: I) -> Handled {
    drop(id);
    Ok(Outcome::Processed(()))
}

fn headers(value: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([("x-id".parse().unwrap(), HeaderValue::from_bytes(value).unwrap())])
}

#[tokio::test]
async fn a_header_is_an_id() {
    let log = MemoryProcessedLog::new();
    assert_eq!(by_header(&log, headers(b"evt_1")).await.unwrap(), Outcome::Processed(()));
    assert_eq!(by_text_of_a_header(&log, headers(b"evt_1")).await.unwrap(), Outcome::Duplicate);
    for outcome in [Outcome::Processed(()), Outcome::Duplicate] {
        assert_eq!(by_index(&log, headers(b"evt_2")).await.unwrap(), outcome);
        assert_eq!(by_reference_to_a_field(&log, (0, ("evt_2".into(),))).await.unwrap(), outcome);
        assert_eq!(generic(&log, Id("evt_3".into())).await.unwrap(), outcome);
    }
}

#[tokio::test]
async fn no_id_and_no_text_are_a_400_without_a_mark() {
    let log = MemoryProcessedLog::new();
    let reason = |handled: Handled| match handled {
        Err(Error::InvalidEventId { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(by_header(&log, HeaderMap::new()).await), InvalidEventId::Empty);
    assert_eq!(reason(by_header(&log, headers(b"")).await), InvalidEventId::Empty);
    assert_eq!(reason(by_header(&log, headers(b"\xff")).await), InvalidEventId::NotText);
    assert_eq!(reason(by_text_of_a_header(&log, headers(b"\xff")).await), InvalidEventId::Empty);
    assert_eq!(reason(option(&log, None).await), InvalidEventId::Empty);
    assert_eq!(reason(slice(&log, b"\xff").await), InvalidEventId::NotText);
    assert_eq!(axum::http::StatusCode::from(Error::from(InvalidEventId::NotText)), 400);
    assert!(log.is_empty());
}
