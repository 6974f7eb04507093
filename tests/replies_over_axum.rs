//! A reply that is a failure to the sender never completes its event. Tests every kind of reply of an axum
//! handler, over a real router, under claim and transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, Request, Response as HttpResponse, StatusCode};
use axum::response::{Html, IntoResponse, NoContent, Redirect, Response};
use axum::routing::post;
use axum::{Json, Router};
use ferro_idem::{DuplicateReply, Error, MemoryProcessedLog, Settle, SqliteLog, idempotent_webhook};
use tower::ServiceExt;

const FAILED: StatusCode = StatusCode::BAD_GATEWAY;

#[derive(Clone, FromRef)]
struct App {
    memory: MemoryProcessedLog,
    sqlite: Option<SqliteLog>,
    ran: Arc<AtomicUsize>,
}

impl App {
    /// The status of this run: the first one fails.
    fn next(&self) -> StatusCode {
        if self.ran.fetch_add(1, Ordering::SeqCst) == 0 { FAILED } else { StatusCode::OK }
    }

    fn sqlite(&self) -> &SqliteLog {
        self.sqlite.as_ref().expect("the test has one")
    }
}

async fn app() -> (App, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteLog::open(folder.path().join("log.db")).await.unwrap();
    (App { memory: MemoryProcessedLog::new(), sqlite: Some(sqlite), ran: Arc::default() }, folder)
}

/// The statuses of three deliveries of one event, and how often the body ran.
async fn deliver<H: Handler<T, App>, T: 'static>(handler: H) -> ([u16; 3], usize) {
    let (app, _folder) = app().await;
    let router = Router::new().route("/", post(handler)).with_state(app.clone());
    let mut answered = [0; 3];
    for status in &mut answered {
        let request = Request::post("/").body(Body::from("evt_1")).unwrap();
        *status = router.clone().oneshot(request).await.unwrap().status().as_u16();
    }
    (answered, app.ran.load(Ordering::SeqCst))
}

/// The failure gives the event back, the success completes it, and the third delivery is a duplicate.
macro_rules! assert_runs_again {
    ($($handler:ident: $failure:expr),* $(,)?) => {$(
        let (answered, ran) = deliver($handler).await;
        assert_eq!(ran, 2, "{}: {answered:?}", stringify!($handler));
        assert_eq!(answered[0], $failure, "{}", stringify!($handler));
        assert!((200..300).contains(&answered[1]), "{}: {answered:?}", stringify!($handler));
        assert!((200..300).contains(&answered[2]), "{}: {answered:?}", stringify!($handler));
    )*};
}

/// A handler under claim and one under transaction, with the same reply.
macro_rules! handlers {
    ($($claimed:ident, $transacted:ident: $reply:ty = |$status:ident| $body:expr, duplicate = $duplicate:expr;)*) => {$(
        #[idempotent_webhook(log = app.memory, on_duplicate = $duplicate, claim)]
        async fn $claimed(State(app): State<App>, event: String) -> Result<$reply, Error> {
            let $status = app.next();
            $body
        }

        #[idempotent_webhook(log = app.sqlite(), on_duplicate = $duplicate, transaction(tx))]
        async fn $transacted(State(app): State<App>, event: String) -> Result<$reply, Error> {
            let _ = tx;
            let $status = app.next();
            $body
        }
    )*};
}

/// Success or failure of an application's own, which knows its status only when it is turned into a response.
enum Mine {
    Done,
    Failed,
}

impl IntoResponse for Mine {
    fn into_response(self) -> Response {
        match self {
            Self::Done => StatusCode::OK.into_response(),
            Self::Failed => FAILED.into_response(),
        }
    }
}

impl Settle for Mine {
    fn is_processed(&self) -> bool {
        matches!(self, Self::Done)
    }
}

impl DuplicateReply for Mine {
    fn duplicate_reply() -> Self {
        Self::Done
    }
}

fn nested(status: StatusCode) -> Result<Json<u32>, StatusCode> {
    if status.is_success() { Ok(Json(1)) } else { Err(status) }
}

handlers! {
    claimed_nested, transacted_nested: Result<Json<u32>, StatusCode> =
        |status| Ok(nested(status)), duplicate = Ok(Ok(Json(0)));
    claimed_mine, transacted_mine: Mine =
        |status| Ok(if status.is_success() { Mine::Done } else { Mine::Failed }), duplicate = Ok(Mine::Done);
    claimed_http, transacted_http: HttpResponse<Body> =
        |status| Ok(HttpResponse::builder().status(status).body(Body::from("text")).unwrap()),
        duplicate = Ok(HttpResponse::new(Body::empty()));
    claimed_pair, transacted_pair: (StatusCode, Json<u32>) =
        |status| Ok((status, Json(1))), duplicate = Ok((StatusCode::OK, Json(0)));
    claimed_last, transacted_last: (HeaderMap, [(&'static str, HeaderValue); 1], StatusCode) =
        |status| Ok((HeaderMap::new(), [("x-a", HeaderValue::from_static("1"))], status)),
        duplicate = Ok((HeaderMap::new(), [("x-a", HeaderValue::from_static("0"))], StatusCode::OK));
    claimed_bytes, transacted_bytes: Result<(StatusCode, Bytes), Html<&'static str>> =
        |status| Ok(Ok((status, Bytes::new()))),
        duplicate = Ok(Ok((StatusCode::OK, Bytes::new())));
}

#[tokio::test]
async fn a_failure_inside_an_ok_gives_the_event_back() {
    let failed = FAILED.as_u16();
    assert_runs_again!(
        claimed_nested: failed, transacted_nested: failed,
        claimed_mine: failed, transacted_mine: failed,
        claimed_http: failed, transacted_http: failed,
        claimed_pair: failed, transacted_pair: failed,
        claimed_last: failed, transacted_last: failed,
        claimed_bytes: failed, transacted_bytes: failed,
    );
}

#[idempotent_webhook(log = app.memory, on_duplicate = Ok(Redirect::to("/seen")), claim)]
async fn claimed_redirect(State(app): State<App>, event: String) -> Result<Redirect, Error> {
    app.next();
    Ok(Redirect::to("/elsewhere"))
}

#[idempotent_webhook(log = app.sqlite(), on_duplicate = Ok(Redirect::to("/seen")), transaction(tx))]
async fn transacted_redirect(State(app): State<App>, event: String) -> Result<Redirect, Error> {
    let _ = tx;
    app.next();
    Ok(Redirect::to("/elsewhere"))
}

#[tokio::test]
async fn a_redirect_is_a_failure() {
    assert_eq!(deliver(claimed_redirect).await, ([303; 3], 3));
    assert_eq!(deliver(transacted_redirect).await, ([303; 3], 3));
}

/// Every kind of success completes the event at once.
#[tokio::test]
async fn a_success_completes_the_event() {
    #[idempotent_webhook(log = app.memory, claim)]
    async fn no_content(State(app): State<App>, event: String) -> Result<NoContent, Error> {
        app.next();
        Ok(NoContent)
    }

    #[idempotent_webhook(log = app.memory, on_duplicate = Ok(Html("seen")), claim)]
    async fn html(State(app): State<App>, event: String) -> Result<Html<&'static str>, StatusCode> {
        app.next();
        Ok(Html("done"))
    }

    #[idempotent_webhook(log = app.memory, on_duplicate = Ok("seen"), claim)]
    async fn text(State(app): State<App>, event: String) -> Result<&'static str, (StatusCode, String)> {
        app.next();
        Ok("done")
    }

    #[idempotent_webhook(log = app.memory, claim)]
    async fn response(State(app): State<App>, event: String) -> Result<Response, Response> {
        app.next();
        Ok(StatusCode::CREATED.into_response())
    }
    assert_eq!(deliver(no_content).await, ([204; 3], 1));
    assert_eq!(deliver(html).await, ([200; 3], 1));
    assert_eq!(deliver(text).await, ([200; 3], 1));
    assert_eq!(deliver(response).await, ([201, 200, 200], 1));
}

/// The types that handlers return as errors take the status of the guarantee's own errors.
#[tokio::test]
async fn an_event_without_an_id_is_a_400_for_every_error_type() {
    #[idempotent_webhook(log = app.memory, claim)]
    async fn status(State(app): State<App>, event: String) -> Result<StatusCode, StatusCode> {
        Ok(app.next())
    }

    #[idempotent_webhook(log = app.memory, claim)]
    async fn pair(State(app): State<App>, event: String) -> Result<StatusCode, (StatusCode, String)> {
        Ok(app.next())
    }

    #[idempotent_webhook(log = app.memory, claim)]
    async fn erased(State(app): State<App>, event: String) -> axum::response::Result<StatusCode> {
        Ok(app.next())
    }
    let (app, _folder) = app().await;
    for router in [post(status), post(pair), post(erased)] {
        let router = Router::new().route("/", router).with_state(app.clone());
        let response = router.oneshot(Request::post("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(app.ran.load(Ordering::SeqCst), 0);
}
