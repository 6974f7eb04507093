//! Which replies of poem mean that the event is processed: those that the sender sees as 2xx.

use poem::http::HeaderValue;
use poem::http::header::RETRY_AFTER;
use poem::web::{Html, Json, Redirect};
use poem::{Body, IntoResponse, Response};

use crate::edge::settle_as_success;
use crate::processed::{Probe, kinds};
use crate::reply::{HttpFailure, Settle};

// `do_not_recommend` keeps these impls out of the compiler's suggestions, which should list what people choose from.

/// What poem answers may be a failure, so it does not compile without `Settle`.
///
/// ```compile_fail
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// # use poem::http::StatusCode;
/// # use poem::{IntoResponse, Response};
/// # struct Receipt;
/// impl IntoResponse for Receipt {
///     // ..
/// #   fn into_response(self) -> Response { StatusCode::BAD_GATEWAY.into_response() }
/// }
///
/// #[idempotent_webhook(claim, on_duplicate = Ok(Receipt))]
/// async fn on_event(log: &MemoryProcessedLog, event: &str) -> Result<Receipt, Error> {
///     Ok(Receipt)
/// }
/// ```
///
/// It compiles if the handler says when its reply means success:
///
/// ```
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// # use poem::http::StatusCode;
/// # use poem::{IntoResponse, Response};
/// # struct Receipt;
/// impl IntoResponse for Receipt {
///     // ..
/// #   fn into_response(self) -> Response { StatusCode::BAD_GATEWAY.into_response() }
/// }
///
/// #[idempotent_webhook(claim, on_duplicate = Ok(Receipt), processed = |reply| reply.is_ok())]
/// async fn on_event(log: &MemoryProcessedLog, event: &str) -> Result<Receipt, Error> {
///     Ok(Receipt)
/// }
/// ```
impl<T: IntoResponse> kinds::OfResponse for &&Probe<'_, T> {}

/// Processed if the status is 2xx.
impl Settle for Response {
    fn is_processed(&self) -> bool {
        self.status().is_processed()
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        let header = self.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes);
        Some(HttpFailure::of(self.status().as_u16()).with_retry_after(header))
    }
}

/// Never processed: senders treat a redirect as a failure.
#[diagnostic::do_not_recommend]
impl Settle for Redirect {
    fn is_processed(&self) -> bool {
        false
    }
}

settle_as_success! {
    [T] Json<T>,
    [T] Html<T>,
    [] Body,
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderMap, StatusCode};

    use super::*;
    use crate::reply::Outcome;

    /// A reply counts as poem would answer it.
    fn assert_counts_by_its_status<R: Settle + IntoResponse>(name: &str, reply: R) {
        let is_processed = reply.is_processed();
        let status = reply.into_response().status();
        assert_eq!(is_processed, status.is_success(), "{name} is answered {status}");
    }

    macro_rules! assert_counts_by_its_status {
        ($($reply:expr),* $(,)?) => {$(
            assert_counts_by_its_status(stringify!($reply), $reply);
        )*};
    }

    #[test]
    fn every_reply_of_poem_counts_by_its_status() {
        assert_counts_by_its_status!(
            (),
            "text",
            "text".to_owned(),
            &b"bytes"[..],
            b"bytes".to_vec(),
            bytes::Bytes::from_static(b"bytes"),
            Body::empty(),
            Json(7),
            Html("text"),
            Redirect::see_other("/"),
            Redirect::permanent("/"),
            (HeaderMap::new(), Redirect::see_other("/")),
            (HeaderMap::new(), "text"),
            Outcome::Processed(StatusCode::BAD_GATEWAY),
            Outcome::<StatusCode>::Duplicate,
        );
    }

    #[test]
    fn every_status_counts_in_every_place_that_sets_it() {
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).unwrap();
            assert_counts_by_its_status!(
                status,
                Response::builder().status(status).body("text"),
                (status, "text"),
                (status, Redirect::see_other("/")),
                (status, HeaderMap::new(), "text"),
                (HeaderMap::new(), status),
            );
        }
    }
}
