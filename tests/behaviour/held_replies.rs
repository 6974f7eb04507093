//! The value inside a `Result` decides whether the event is processed, and a failure never counts as a
//! success.

#![allow(clippy::trivially_copy_pass_by_ref, clippy::unused_self)]

use std::borrow::Cow;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ferro_idem::{Error, MemoryProcessedLog, Outcome, Settle, SqliteLog, idempotent_webhook};
use ferro_idem_tests::broken;

use super::sqlite::{effects, sqlite, write_effect};

/// How often the body runs in two deliveries. It runs twice if the first reply is a failure.
macro_rules! runs {
    ($handler:ident, $reply:expr) => {{
        let log = MemoryProcessedLog::new();
        let runs = Cell::new(0);
        for _ in 0..2 {
            let reply = || {
                runs.set(runs.get() + 1);
                $reply
            };
            let duplicate = || $reply;
            let _ = $handler(&log, "evt_1", reply, duplicate).await;
        }
        runs.get()
    }};
}

macro_rules! claimed {
    ($($name:ident -> $reply:ty;)*) => {$(
        #[idempotent_webhook(event = id, claim, on_duplicate = duplicate(), on_error = |error| panic!("{error}"))]
        async fn $name(
            log: &MemoryProcessedLog,
            id: &str,
            reply: impl FnOnce() -> $reply,
            duplicate: impl FnOnce() -> $reply,
        ) -> $reply {
            reply()
        }
    )*};
}

/// A response of an unknown framework. Its status decides.
struct ForeignResponse(u16);
#[derive(Clone, Copy)]
struct ForeignStatus(u16);

impl ForeignResponse {
    fn status(&self) -> ForeignStatus {
        ForeignStatus(self.0)
    }
}

impl ForeignStatus {
    fn is_success(&self) -> bool {
        self.0 / 100 == 2
    }
}

/// Values of the application with methods of these names.
struct Order;
impl Order {
    fn status(&self) -> &'static str {
        "shipped"
    }
}

struct Parcel;
#[allow(dead_code, reason = "that nothing calls them is the point")]
impl Parcel {
    fn status(self) -> ForeignStatus {
        ForeignStatus(500)
    }
    fn is_success(&mut self) -> bool {
        false
    }
}

/// A response of the application, with `Settle`.
enum Reply {
    Done,
    Later,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Done => StatusCode::OK.into_response(),
            Self::Later => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

impl Settle for Reply {
    fn is_processed(&self) -> bool {
        matches!(self, Self::Done)
    }
}

claimed! {
    shared -> Result<Arc<Result<u32, StatusCode>>, Error>;
    counted -> Result<Rc<Result<u32, StatusCode>>, Error>;
    borrowed -> Result<&'static Result<u32, StatusCode>, Error>;
    perhaps_borrowed -> Result<Cow<'static, Result<u32, StatusCode>>, Error>;
    pinned -> Result<Pin<Box<Result<u32, StatusCode>>>, Error>;
    shared_response -> Result<Arc<ForeignResponse>, Error>;
    foreign_status -> Result<ForeignStatus, Error>;
    optional_status -> Result<Option<ForeignStatus>, Error>;
    foreign_tuple -> Result<(ForeignStatus, &'static str, u32), Error>;
    response_in_a_tuple -> Result<(ForeignResponse, u32), Error>;
    redirect -> Result<Redirect, Error>;
    nested -> Result<Result<Json<u32>, StatusCode>, Error>;
    nested_plain -> Result<Result<u32, StatusCode>, Error>;
    optional_plain -> Result<Option<Result<u32, StatusCode>>, Error>;
    boxed -> Result<Box<Result<u32, StatusCode>>, Error>;
    outcome -> Outcome<Result<u32, StatusCode>>;
    own -> Result<Reply, Error>;
    foreign -> Result<ForeignResponse, Error>;
    foreign_in_two -> Result<Option<ForeignResponse>, Error>;
    plain -> Result<u32, Error>;
    order -> Result<Order, Error>;
    parcel -> Result<Parcel, Error>;
    tuple -> Result<(u32, Order), Error>;
}

#[tokio::test]
async fn a_failure_in_ok_gives_the_event_back() {
    assert_eq!(runs!(redirect, Ok(Redirect::to("/"))), 2);
    assert_eq!(runs!(nested, Ok(Err(StatusCode::BAD_GATEWAY))), 2);
    assert_eq!(runs!(nested_plain, Ok(Err(StatusCode::BAD_GATEWAY))), 2);
    assert_eq!(runs!(optional_plain, Ok(Some(Err(StatusCode::BAD_GATEWAY)))), 2);
    assert_eq!(runs!(boxed, Ok(Box::new(Err(StatusCode::BAD_GATEWAY)))), 2);
    assert_eq!(runs!(outcome, Outcome::Processed(Err(StatusCode::BAD_GATEWAY))), 2);
    assert_eq!(runs!(own, Ok(Reply::Later)), 2);
    assert_eq!(runs!(foreign, Ok(ForeignResponse(500))), 2);
    assert_eq!(runs!(foreign_in_two, Ok(Some(ForeignResponse(303)))), 2);
    assert_eq!(runs!(plain, Err(broken())), 2);
    assert_eq!(runs!(order, Err(broken())), 2);
}

static FAILED: Result<u32, StatusCode> = Err(StatusCode::BAD_GATEWAY);
static DONE: Result<u32, StatusCode> = Ok(1);

#[tokio::test]
async fn a_pointer_in_ok_counts_by_its_target() {
    assert_eq!(runs!(shared, Ok(Arc::new(FAILED))), 2);
    assert_eq!(runs!(counted, Ok(Rc::new(FAILED))), 2);
    assert_eq!(runs!(borrowed, Ok(&FAILED)), 2);
    assert_eq!(runs!(perhaps_borrowed, Ok(Cow::Borrowed(&FAILED))), 2);
    assert_eq!(runs!(pinned, Ok(Box::pin(FAILED))), 2);
    assert_eq!(runs!(shared_response, Ok(Arc::new(ForeignResponse(500)))), 2);

    assert_eq!(runs!(shared, Ok(Arc::new(DONE))), 1);
    assert_eq!(runs!(counted, Ok(Rc::new(DONE))), 1);
    assert_eq!(runs!(borrowed, Ok(&DONE)), 1);
    assert_eq!(runs!(perhaps_borrowed, Ok(Cow::Borrowed(&DONE))), 1);
    assert_eq!(runs!(pinned, Ok(Box::pin(DONE))), 1);
    assert_eq!(runs!(shared_response, Ok(Arc::new(ForeignResponse(200)))), 1);
}

/// For a framework whose feature is off, or that this crate does not know.
#[tokio::test]
async fn a_foreign_status_counts_alone_and_in_a_tuple() {
    for (status, expected) in [(500, 2), (303, 2), (204, 1)] {
        assert_eq!(runs!(foreign_status, Ok(ForeignStatus(status))), expected);
        assert_eq!(runs!(optional_status, Ok(Some(ForeignStatus(status)))), expected);
        assert_eq!(runs!(foreign_tuple, Ok((ForeignStatus(status), "text", 1))), expected);
        assert_eq!(runs!(response_in_a_tuple, Ok((ForeignResponse(status), 1))), expected);
    }
    assert_eq!(runs!(optional_status, Ok(None)), 1);
}

#[tokio::test]
async fn a_success_in_ok_is_processed() {
    assert_eq!(runs!(nested, Ok(Ok(Json(1)))), 1);
    assert_eq!(runs!(nested_plain, Ok(Ok(1))), 1);
    assert_eq!(runs!(optional_plain, Ok(None)), 1);
    assert_eq!(runs!(optional_plain, Ok(Some(Ok(1)))), 1);
    assert_eq!(runs!(boxed, Ok(Box::new(Ok(1)))), 1);
    assert_eq!(runs!(outcome, Outcome::Duplicate), 1);
    assert_eq!(runs!(outcome, Outcome::Processed(Ok(1))), 1);
    assert_eq!(runs!(own, Ok(Reply::Done)), 1);
    assert_eq!(runs!(foreign, Ok(ForeignResponse(204))), 1);
    assert_eq!(runs!(foreign_in_two, Ok(None)), 1);
    assert_eq!(runs!(plain, Ok(0)), 1);
    assert_eq!(runs!(order, Ok(Order)), 1);
    assert_eq!(runs!(parcel, Ok(Parcel)), 1, "by value, so it is no status of a reply");
    assert_eq!(runs!(tuple, Ok((1, Order))), 1);
}

/// A value of an `impl Trait` type counts by its concrete type.
#[idempotent_webhook(claim, on_duplicate = Ok((StatusCode::OK, "again")))]
async fn behind_impl(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<impl IntoResponse + use<>, Error> {
    Ok((status, "first"))
}

#[tokio::test]
async fn a_reply_behind_impl_counts_by_its_status() {
    let log = MemoryProcessedLog::new();
    let status = async |status| behind_impl(&log, "evt_1", status).await.unwrap().into_response().status();
    for (sent, answered) in [(500, 500), (303, 303), (201, 201), (201, 200)] {
        assert_eq!(status(StatusCode::from_u16(sent).unwrap()).await, answered);
    }
}

#[idempotent_webhook(
    claim,
    on_duplicate = Ok(Response::default()),
    processed = |reply| reply.as_ref().is_ok_and(|reply| reply.status() == 500),
)]
async fn claimed_by_closure(
    log: &MemoryProcessedLog,
    event: &str,
    status: StatusCode,
) -> Result<Response, Error> {
    Ok(status.into_response())
}

fn is_seven(reply: &u8) -> bool {
    *reply == 7
}

#[idempotent_webhook(transaction(tx), on_duplicate = 0, on_error = |_| 1, processed = is_seven)]
async fn transacted_by_function(log: &SqliteLog, event: &str, reply: u8) -> u8 {
    if write_effect(tx, event).await.is_err() { 1 } else { reply }
}

#[tokio::test]
async fn processed_decides_for_any_reply() {
    let memory = MemoryProcessedLog::new();
    for (sent, answered) in [(200, 200), (500, 500), (500, 200)] {
        let reply = claimed_by_closure(&memory, "evt_1", StatusCode::from_u16(sent).unwrap()).await;
        assert_eq!(reply.unwrap().status(), answered);
    }
    let (sqlite, _folder) = sqlite().await;
    for (sent, answered) in [(6, 6), (7, 7), (7, 0)] {
        assert_eq!(transacted_by_function(&sqlite, "evt_1", sent).await, answered);
    }
    assert_eq!(effects(&sqlite).await, 1);
}

#[idempotent_webhook(
    claim,
    on_duplicate = Ok(Vec::new()),
    processed = |reply| reply.as_ref().is_ok_and(|parts| parts.iter().all(Result::is_ok)),
)]
async fn in_parts(
    log: &MemoryProcessedLog,
    event: &str,
    part: Result<u8, u8>,
) -> Result<Vec<Result<u8, u8>>, Error> {
    Ok(vec![Ok(1), part])
}

/// A list of options holds no failure, and needs no `processed`.
#[idempotent_webhook(claim, on_duplicate = Ok(Vec::new()))]
async fn with_gaps(log: &MemoryProcessedLog, event: &str) -> Result<Vec<Option<u8>>, Error> {
    Ok(vec![None])
}

#[tokio::test]
async fn a_list_of_results_counts_as_its_handler_says() {
    let log = MemoryProcessedLog::new();
    for (part, length) in [(Err(2), 2), (Ok(2), 2), (Ok(2), 0)] {
        assert_eq!(in_parts(&log, "evt_1", part).await.unwrap().len(), length);
    }
    assert_eq!(with_gaps(&log, "evt_2").await.unwrap(), [None]);
    assert_eq!(with_gaps(&log, "evt_2").await.unwrap(), []);
}
