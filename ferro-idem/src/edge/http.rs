//! Replies made of the types of the `http` crate, which axum and poem share.

#[cfg(feature = "replay")]
mod replay;

use http::header::RETRY_AFTER;
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode};

#[cfg(feature = "replay")]
pub(crate) use self::replay::{headers_of, kept_of, status_of};
use super::{is_success, settle_as_success};
use crate::error::Error;
use crate::key::IdBytes;
use crate::reply::{DuplicateReply, FromFenceError, HttpFailure, Settle};

// `do_not_recommend` keeps these impls out of the compiler's suggestions, which should list what people choose from.

/// `event_id = headers.get("x-delivery-id")`.
impl IdBytes for HeaderValue {
    fn id_bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The `http` crate's type for a status of this crate.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The status that the table in [`Error`] names.
impl From<&Error> for StatusCode {
    fn from(error: &Error) -> Self {
        status(error.status())
    }
}

/// For handlers that return `Result<_, StatusCode>`.
impl From<Error> for StatusCode {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl DuplicateReply for StatusCode {
    fn duplicate_reply() -> Self {
        Self::OK
    }
}

impl FromFenceError for StatusCode {
    fn from_fence_error(error: Error) -> Self {
        Self::from(&error)
    }
}

/// Processed if the status is 2xx.
impl Settle for StatusCode {
    fn is_processed(&self) -> bool {
        is_success(self.as_u16())
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        Some(HttpFailure::of(self.as_u16()))
    }
}

/// Processed if the status is 2xx.
impl<B> Settle for Response<B> {
    fn is_processed(&self) -> bool {
        self.status().is_processed()
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        Some(failure_of(self.status(), self.headers()))
    }
}

/// Processed if the status is 2xx.
#[diagnostic::do_not_recommend]
impl Settle for Parts {
    fn is_processed(&self) -> bool {
        self.status.is_processed()
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        Some(failure_of(self.status, &self.headers))
    }
}

fn failure_of(status: StatusCode, headers: &HeaderMap) -> HttpFailure {
    HttpFailure::of(status.as_u16()).with_retry_after(headers.get(RETRY_AFTER).map(HeaderValue::as_bytes))
}

settle_as_success! {
    [] HeaderMap,
    [] Extensions,
    [K, V, const N: usize] [(K, V); N],
}

/// A part that axum, poem and http accept before the last element of a tuple, and that does not change its status.
///
/// The trait is local, because the compiler has to know that `StatusCode` does not implement it.
#[diagnostic::on_unimplemented(
    message = "the status of a tuple that begins with `{Self}` is not known",
    label = "not a part of axum's or http's own",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`",
    note = "or begin the tuple with a `StatusCode`, or return `Response` (`.into_response()`)"
)]
pub trait KeepsStatus {}

impl KeepsStatus for () {}
impl KeepsStatus for HeaderMap {}
impl KeepsStatus for Extensions {}
impl<K, V, const N: usize> KeepsStatus for [(K, V); N] {}
impl<T: KeepsStatus> KeepsStatus for Option<T> {}

/// Processed if its only element is.
#[diagnostic::do_not_recommend]
impl<R: Settle> Settle for (R,) {
    fn is_processed(&self) -> bool {
        self.0.is_processed()
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        self.0.http_failure()
    }
}

/// The tuples that axum answers: an optional status, then up to 16 parts, then the rest of the reply.
macro_rules! settle_tuple {
    ($($part:ident)*) => {
        /// Processed if the status is 2xx. It replaces the status of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (StatusCode, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                self.0.http_failure()
            }
        }

        /// Processed if the status is 2xx. It replaces the status of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Parts, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                self.0.http_failure()
            }
        }

        /// Processed if the status is 2xx. It replaces the status of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Response<()>, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                self.0.http_failure()
            }
        }
    };
}

macro_rules! settle_parts {
    ($($part:ident)+) => {
        impl<$($part: KeepsStatus),+> KeepsStatus for ($($part,)+) {}

        /// Processed if its last element is, because the others do not change the status.
        #[diagnostic::do_not_recommend]
        impl<$($part: KeepsStatus,)+ R: Settle> Settle for ($($part,)+ R) {
            fn is_processed(&self) -> bool {
                #[allow(non_snake_case)]
                let ($($part,)+ last) = self;
                $(let _ = $part;)+
                last.is_processed()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                #[allow(non_snake_case)]
                let ($($part,)+ last) = self;
                $(let _ = $part;)+
                last.http_failure()
            }
        }
    };
}

macro_rules! settle_tuples {
    ($($first:ident $($rest:ident)*)?) => {
        settle_tuple!($($first $($rest)*)?);
        $(
            settle_parts!($first $($rest)*);
            settle_tuples!($($rest)*);
        )?
    };
}

settle_tuples!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13 T14 T15 T16);
