//! Replies made of the types of the `http` crate, which axum and poem share.

use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode};

use super::{is_success, settle_as_success};
use crate::error::Error;
use crate::key::IdBytes;
use crate::reply::{DuplicateReply, FromFenceError, Settle};

// `do_not_recommend` keeps the compiler's list of replies to those that people choose from.

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

/// The status of the table in [`Error`].
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

/// 2xx.
impl Settle for StatusCode {
    fn is_processed(&self) -> bool {
        is_success(self.as_u16())
    }
}

/// By the status.
impl<B> Settle for Response<B> {
    fn is_processed(&self) -> bool {
        self.status().is_processed()
    }
}

/// By the status.
#[diagnostic::do_not_recommend]
impl Settle for Parts {
    fn is_processed(&self) -> bool {
        self.status.is_processed()
    }
}

settle_as_success! {
    [] HeaderMap,
    [] Extensions,
    [K, V, const N: usize] [(K, V); N],
}

/// What axum, poem and http put before the last element of a tuple without changing its status.
///
/// Local, because the compiler has to know that a `StatusCode` is none of them.
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

/// By its only element.
#[diagnostic::do_not_recommend]
impl<R: Settle> Settle for (R,) {
    fn is_processed(&self) -> bool {
        self.0.is_processed()
    }
}

/// The tuples that axum answers: a status, or none, then up to 16 parts, then the rest of the reply.
macro_rules! settle_tuple {
    ($($part:ident)*) => {
        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (StatusCode, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }

        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Parts, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }

        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Response<()>, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }
    };
}

macro_rules! settle_parts {
    ($($part:ident)+) => {
        impl<$($part: KeepsStatus),+> KeepsStatus for ($($part,)+) {}

        /// By its last element, whose status the others keep.
        #[diagnostic::do_not_recommend]
        impl<$($part: KeepsStatus,)+ R: Settle> Settle for ($($part,)+ R) {
            fn is_processed(&self) -> bool {
                #[allow(non_snake_case)]
                let ($($part,)+ last) = self;
                $(let _ = $part;)+
                last.is_processed()
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
