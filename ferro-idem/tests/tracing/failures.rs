//! What is told about a body that fails, under each guarantee.

use std::error::Error as StdError;
use std::fmt;
use std::panic::AssertUnwindSafe;

use ferro_idem::{Error, MemoryProcessedLog, Outcome, Settle, async_trait, idempotent_webhook};
use futures_util::FutureExt;
use tracing::Level;

use super::AllFirst;
use super::lines::{Lines, assert_tells};

/// An error of an application. Its `Debug` shows what must not be logged.
#[derive(Debug)]
struct Declined(#[allow(dead_code, reason = "for `Debug`")] &'static str);

impl fmt::Display for Declined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the card was declined")
    }
}

impl StdError for Declined {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&fmt::Error)
    }
}

impl From<Error> for Declined {
    fn from(_: Error) -> Self {
        Self("a fence")
    }
}

/// An error without `Display`.
#[derive(Debug)]
struct Silent;

impl From<Error> for Silent {
    fn from(_: Error) -> Self {
        Self
    }
}

/// A reply of an application, which may be a failure in `Ok` too.
struct Ack(bool);

impl Settle for Ack {
    fn is_processed(&self) -> bool {
        self.0
    }
}

macro_rules! handlers {
    ($($module:ident, $log:ty, ($($guarantee:tt)*);)*) => {$(
        mod $module {
            use super::*;

            #[idempotent_webhook($($guarantee)*)]
            pub(super) async fn declined(log: &$log, event: &str) -> Result<(), Declined> {
                Err(Declined("canary"))?;
                Ok(())
            }

            #[idempotent_webhook($($guarantee)*)]
            pub(super) async fn boxed(log: &$log, event: &str) -> Result<Outcome<()>, Box<dyn StdError + Send + Sync>> {
                Err(Declined("canary").into())
            }

            #[idempotent_webhook($($guarantee)*)]
            pub(super) async fn silent(log: &$log, event: &str) -> Result<(), Silent> {
                return Err(Silent);
            }

            #[idempotent_webhook(on_duplicate = Ok(Ack(true)), $($guarantee)*)]
            pub(super) async fn in_ok(log: &$log, event: &str) -> Result<Ack, Error> {
                Ok(Ack(false))
            }

            #[idempotent_webhook($($guarantee)*)]
            pub(super) async fn ends(log: &$log, event: &str, how: &str) -> Result<(), Error> {
                match how {
                    "panic" => panic!("in the body"),
                    "hang" => std::future::pending().await,
                    _ => Ok(()),
                }
            }
        }
    )*};
}

handlers! {
    fenced, MemoryProcessedLog, ();
    claimed, MemoryProcessedLog, (claim);
    transacted, AllFirst, (transaction(_tx));
}

/// One line at WARN that stands alone: a filter may drop the span.
fn assert_one_warning(lines: &Lines, what: &[&str]) {
    let told = lines.take();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_tells(&told, &["WARN", "event_id=evt_1"]);
    assert_tells(&told, what);
}

const LOST: &str = "body failed, and does not run again";

macro_rules! assert_told {
    ($module:ident, $log:expr, $what:expr) => {{
        let lines = Lines::default();
        let _recording = lines.record_from(Level::WARN);
        let what: &str = $what;
        let handler = |name| format!("handler=tracing::failures::{}::{name}", stringify!($module));

        assert!($module::declined($log, "evt_1").await.is_err());
        let text = "error=\"the card was declined: an error occurred";
        assert_one_warning(&lines, &[what, "was not a success", text, &handler("declined")]);

        assert!($module::boxed($log, "evt_1").await.is_err());
        assert_one_warning(&lines, &[what, "was not a success", text]);

        assert!($module::silent($log, "evt_1").await.is_err());
        assert_one_warning(&lines, &[what, "was not a success", "duration_us="]);

        assert!(!$module::in_ok($log, "evt_1").await.unwrap().0);
        assert_one_warning(&lines, &[what, "was not a success"]);

        let panics = AssertUnwindSafe($module::ends($log, "evt_1", "panic")).catch_unwind();
        assert!(panics.await.is_err());
        assert_one_warning(&lines, &[what, "the handler panicked"]);

        let mut hung_up = Box::pin($module::ends($log, "evt_1", "hang"));
        assert!(futures_util::poll!(&mut hung_up).is_pending());
        assert_eq!(lines.take(), "");
        drop(hung_up);
        assert_one_warning(&lines, &[what, "the client hung up"]);

        let mut hung_up = Box::pin($module::ends($log, "evt_1", "hang"));
        assert!(futures_util::poll!(&mut hung_up).is_pending());
        let elsewhere = std::panic::catch_unwind(AssertUnwindSafe(move || {
            let _hung_up = hung_up;
            panic!("beside a body that waits");
        }));
        assert!(elsewhere.is_err());
        assert_one_warning(&lines, &[what, "the client hung up"]);

        $module::ends($log, "evt_1", "").await.unwrap();
        assert_eq!(lines.take(), "", "a success is no warning");
    }};
}

/// A log of its own for each delivery, because a fenced event never runs again.
fn fresh() -> &'static MemoryProcessedLog {
    Box::leak(Box::default())
}

#[tokio::test]
async fn a_fenced_body_that_fails_is_a_warning() {
    assert_told!(fenced, fresh(), LOST);
}

#[tokio::test]
async fn a_claimed_body_that_fails_is_a_warning() {
    assert_told!(claimed, fresh(), "released");
}

#[tokio::test]
async fn a_transaction_that_fails_is_a_warning() {
    assert_told!(transacted, &AllFirst, "released");
}

struct Shop(MemoryProcessedLog);

#[async_trait]
trait Handler {
    async fn handle(&self, event: String) -> Result<(), Declined>;
}

#[async_trait]
impl Handler for Shop {
    #[idempotent_webhook(log = self.0)]
    async fn handle(&self, event: String) -> Result<(), Declined> {
        Err(Declined("canary"))
    }
}

#[tokio::test]
async fn a_method_of_async_trait_is_told_as_well() {
    let lines = Lines::default();
    let _recording = lines.record_from(Level::WARN);
    let shop = Shop(MemoryProcessedLog::new());
    assert!(shop.handle("evt_1".to_owned()).await.is_err());
    assert_one_warning(&lines, &[LOST, "the card was declined", "handler=tracing::failures::handle"]);
    assert!(shop.handle("evt_1".to_owned()).await.is_ok(), "a duplicate");
    assert_eq!(lines.take(), "");
}

#[cfg(feature = "axum")]
mod statuses {
    //! Over axum, a failure may have no text.

    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Redirect, Response};

    use super::*;

    #[idempotent_webhook(claim)]
    async fn claimed(log: &MemoryProcessedLog, event: &str) -> StatusCode {
        StatusCode::BAD_GATEWAY
    }

    #[idempotent_webhook]
    async fn status(log: &MemoryProcessedLog, event: &str) -> StatusCode {
        StatusCode::BAD_GATEWAY
    }

    #[idempotent_webhook]
    async fn response(log: &MemoryProcessedLog, event: &str) -> Result<Response, Error> {
        Ok((StatusCode::BAD_GATEWAY, "canary").into_response())
    }

    #[idempotent_webhook(on_duplicate = Ok(()), on_error = |_| Ok(()))]
    async fn error(log: &MemoryProcessedLog, event: &str) -> Result<(), (StatusCode, String)> {
        Err((StatusCode::BAD_GATEWAY, "canary".to_owned()))
    }

    #[idempotent_webhook(on_duplicate = Redirect::to("/"), on_error = |_| Redirect::to("/"))]
    async fn redirect(log: &MemoryProcessedLog, event: &str) -> Redirect {
        Redirect::to("/")
    }

    #[idempotent_webhook]
    async fn success(log: &MemoryProcessedLog, event: &str) -> StatusCode {
        StatusCode::ACCEPTED
    }

    #[tokio::test]
    async fn a_status_that_is_no_success_is_a_warning() {
        let lines = Lines::default();
        let _recording = lines.record_from(Level::WARN);
        claimed(fresh(), "evt_1").await;
        assert_one_warning(&lines, &["released", "was not a success", "status=502"]);
        status(fresh(), "evt_1").await;
        assert_one_warning(&lines, &[LOST, "status=502"]);
        response(fresh(), "evt_1").await.unwrap();
        assert_one_warning(&lines, &[LOST, "status=502"]);
        error(fresh(), "evt_1").await.unwrap_err();
        assert_one_warning(&lines, &[LOST, "status=502"]);
        let _ = redirect(fresh(), "evt_1").await;
        assert_one_warning(&lines, &[LOST, "was not a success"]);
        success(fresh(), "evt_1").await;
        assert_eq!(lines.take(), "");
    }
}
