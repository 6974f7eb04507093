//! Which replies of actix-web mean that the event is processed: those that the sender sees as 2xx.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Bytes, Form, Html, Json, Redirect};
use actix_web::{Either, HttpResponse, Responder};

use crate::edge::{is_success, settle_as_success};
use crate::processed::{Probe, kinds};
use crate::reply::{HttpFailure, Settle};

// `do_not_recommend` keeps these impls out of the compiler's suggestions, which should list what people choose from.

/// What actix-web answers may be a failure, so it does not compile without `Settle`.
///
/// ```compile_fail
/// # use actix_web::body::BoxBody;
/// # use actix_web::{HttpRequest, HttpResponse, Responder};
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// # struct Receipt;
/// impl Responder for Receipt {
///     // ..
/// #   type Body = BoxBody;
/// #   fn respond_to(self, _: &HttpRequest) -> HttpResponse { HttpResponse::BadGateway().finish() }
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
/// # use actix_web::body::BoxBody;
/// # use actix_web::{HttpRequest, HttpResponse, Responder};
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// # struct Receipt;
/// impl Responder for Receipt {
///     // ..
/// #   type Body = BoxBody;
/// #   fn respond_to(self, _: &HttpRequest) -> HttpResponse { HttpResponse::BadGateway().finish() }
/// }
///
/// #[idempotent_webhook(claim, on_duplicate = Ok(Receipt), processed = |reply| reply.is_ok())]
/// async fn on_event(log: &MemoryProcessedLog, event: &str) -> Result<Receipt, Error> {
///     Ok(Receipt)
/// }
/// ```
impl<T: Responder> kinds::OfResponse for &&&Probe<'_, T> {}

/// Processed if the status is 2xx.
impl<B> Settle for HttpResponse<B> {
    fn is_processed(&self) -> bool {
        is_success(self.status().as_u16())
    }

    fn none_is_processed() -> bool {
        false
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

/// Processed if the value that it holds is.
#[diagnostic::do_not_recommend]
impl<L: Settle, R: Settle> Settle for Either<L, R> {
    fn is_processed(&self) -> bool {
        match self {
            Self::Left(reply) => reply.is_processed(),
            Self::Right(reply) => reply.is_processed(),
        }
    }

    fn none_is_processed() -> bool {
        false
    }
}

settle_as_success! {
    none = false;
    [T] Json<T>,
    [T] Form<T>,
    [] Html,
}

/// A type that may stand before a status. The trait is local, because the compiler has to know that no type of the
/// `http` crate implements it.
pub trait BeforeStatus {}

impl BeforeStatus for &str {}
impl BeforeStatus for String {}
impl BeforeStatus for &[u8] {}
impl BeforeStatus for Vec<u8> {}
impl BeforeStatus for Bytes {}
impl BeforeStatus for Html {}
impl<T> BeforeStatus for Json<T> {}
impl<T> BeforeStatus for Form<T> {}
impl<B> BeforeStatus for HttpResponse<B> {}

/// Processed if the status is 2xx. It replaces the status of the first element.
#[diagnostic::do_not_recommend]
impl<R: BeforeStatus> Settle for (R, StatusCode) {
    fn is_processed(&self) -> bool {
        is_success(self.1.as_u16())
    }

    fn none_is_processed() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use actix_web::test::TestRequest;
    use actix_web::web::BytesMut;

    use super::*;
    use crate::error::Error;
    use crate::reply::Outcome;

    /// A reply counts as actix-web would answer it.
    fn assert_counts_by_its_status<R: Settle + Responder>(name: &str, reply: R) {
        let is_processed = reply.is_processed();
        let status = reply.respond_to(&TestRequest::default().to_http_request()).status();
        assert_eq!(is_processed, status.is_success(), "{name} is answered {status}");
    }

    macro_rules! assert_counts_by_its_status {
        ($($reply:expr),* $(,)?) => {$(
            assert_counts_by_its_status(stringify!($reply), $reply);
        )*};
    }

    #[test]
    fn every_reply_of_actix_counts_by_its_status() {
        const FAILED: StatusCode = StatusCode::BAD_GATEWAY;
        assert_counts_by_its_status!(
            "text",
            "text".to_owned(),
            Cow::Borrowed("text"),
            &b"bytes"[..],
            b"bytes".to_vec(),
            Bytes::from_static(b"bytes"),
            BytesMut::from(&b"bytes"[..]),
            Json(7),
            Form([("key", "value")]),
            Html::new("text"),
            Redirect::to("/"),
            Some("text"),
            None::<&'static str>,
            None::<String>,
            None::<Cow<'static, str>>,
            None::<Bytes>,
            None::<Json<u8>>,
            None::<HttpResponse>,
            None::<(String, StatusCode)>,
            None::<Outcome<HttpResponse>>,
            Some(HttpResponse::new(FAILED)),
            Either::<HttpResponse, String>::Left(HttpResponse::new(FAILED)),
            Either::<HttpResponse, String>::Right(String::new()),
            Outcome::Processed(HttpResponse::new(FAILED)),
            Outcome::<HttpResponse>::Duplicate,
            Ok::<_, Error>(HttpResponse::new(FAILED)),
            Ok::<_, Error>(()),
            Err::<HttpResponse, _>(Error::store("mark", "gone")),
        );
    }

    #[test]
    fn every_status_counts_in_every_place_that_sets_it() {
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).unwrap();
            assert_counts_by_its_status!(
                HttpResponse::new(status),
                HttpResponse::build(status).body("text"),
                ("text", status),
                ("text".to_owned(), status),
                (Json(7), status),
                (HttpResponse::Ok().finish(), status),
            );
        }
    }
}
