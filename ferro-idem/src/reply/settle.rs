//! The trait by which a reply says whether its event is processed.

use std::borrow::Cow;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use super::HttpFailure;
#[cfg(doc)]
use super::Outcome;
use crate::error::Error;

/// A return type that says whether the event is now processed.
///
/// **A reply means "processed" only if it is a success to the sender: every response type of axum and
/// http counts by its status (2xx, and nothing else), an `Err` at any depth is a failure, and a plain
/// value inside an `Ok` is a success.**
///
/// The reply decides how a claim or a transaction ends. It has no effect on a plain fence, which marks before
/// the body. A failure gives the event back, also inside an `Ok`: `Ok(StatusCode::BAD_GATEWAY)` releases the
/// claim or rolls the transaction back, and the next delivery runs.
///
/// | reply | processed if |
/// |---|---|
/// | `()` | always |
/// | `Result<T, E>` | it is `Ok`, and the `T` is processed |
/// | [`Outcome<T>`] | it is a duplicate, or the `T` is processed |
/// | `Option<T>`, a pointer, `Cow` | what is inside is processed; `None` is, but for replies that actix-web answers with 404 |
/// | `StatusCode`, `http::Response<B>`, `response::Parts` | 2xx |
/// | `Redirect` | never: a redirect is a failure to a sender of webhooks |
/// | a tuple that begins with a `StatusCode`, `Parts` or `Response<()>`, or ends with actix-web's `StatusCode` | that is 2xx |
/// | another tuple of axum's | its last element is processed |
/// | `Json`, `Html`, `Form`, text, bytes, `Body`, headers, `NoContent` | always: axum answers 200 or 204 |
/// | a rejection of axum's, [`Error`] | never |
///
/// The types of axum and http need the feature `axum`. Those of actix-web and poem count in the same way under the
/// features of these names; a response type whose status cannot be seen does not compile. Neither does a list or a map
/// of `Result`s inside an `Ok`, a `ControlFlow`, a `Poll` or an `ExitStatus`, because a failure in it would count as a
/// success. If the framework cannot encode a header or JSON after the handler, it answers 500. That is not part of the
/// reply, because the body has succeeded by then.
///
/// The application's own types implement the trait. For a foreign type, return axum's `Response`
/// (`.into_response()`), or write `#[idempotent_webhook(processed = |reply| bool)]`.
///
/// ```
/// use ferro_idem::{DuplicateReply, Error, MemoryProcessedLog, Settle, idempotent_webhook};
///
/// #[derive(Debug, PartialEq)]
/// enum Ack {
///     Done,
///     Again,
/// }
///
/// impl Settle for Ack {
///     fn is_processed(&self) -> bool {
///         *self == Self::Done
///     }
/// }
/// # impl DuplicateReply for Ack { fn duplicate_reply() -> Self { Self::Done } }
///
/// #[idempotent_webhook(claim)]
/// async fn refund(log: &MemoryProcessedLog, event: &str, bank_is_open: bool) -> Result<Ack, Error> {
///     Ok(if bank_is_open { Ack::Done } else { Ack::Again })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// assert_eq!(refund(&log, "evt_1", false).await?, Ack::Again); // released
/// assert_eq!(refund(&log, "evt_1", true).await?, Ack::Done); // runs again, completed
/// assert_eq!(refund(&log, "evt_1", false).await?, Ack::Done); // a duplicate
/// # Ok(()) }
/// ```
#[cfg_attr(
    feature = "axum",
    diagnostic::on_unimplemented(
        message = "`{Self}` does not say whether the event is processed",
        label = "a claim or a transaction is settled by a reply of this type",
        note = "say when it is: `#[idempotent_webhook(processed = |reply| EXPR)]`",
        note = "or return `()`, `Outcome<T>`, a response type of axum or http (`.into_response()` makes a `Response`), \
                or a `Result` of one of these",
        note = "or implement `ferro_idem::Settle` for a type of your own, and return that"
    )
)]
#[cfg_attr(
    not(feature = "axum"),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not say whether the event is processed",
        label = "a claim or a transaction is settled by a reply of this type",
        note = "say when it is: `#[idempotent_webhook(processed = |reply| EXPR)]`",
        note = "or return `()`, `Outcome<T>`, or any `Result`: an `Err` gives the event back",
        note = "for the response types of axum, actix-web or poem, turn on the feature of ferro-idem that is named so",
        note = "or implement `ferro_idem::Settle` for a type of your own, and return that"
    )
)]
pub trait Settle {
    /// Whether this reply means that the event needs no further delivery.
    fn is_processed(&self) -> bool;

    /// The same of `None`, where this type is expected in an `Option`. Frameworks that answer a missing reply with a
    /// failure say no.
    #[doc(hidden)]
    fn none_is_processed() -> bool
    where
        Self: Sized,
    {
        true
    }

    /// The status of a failure, if it has one.
    #[doc(hidden)]
    fn http_failure(&self) -> Option<HttpFailure> {
        None
    }
}

/// Whether `None` is a success in place of text, bytes or a reference. actix-web answers it with 404, and it cannot be
/// seen from the type which framework answers.
pub(crate) const MISSING_IS_SUCCESS: bool = !cfg!(feature = "actix-web");

impl Settle for () {
    fn is_processed(&self) -> bool {
        true
    }
}

/// There is no such reply.
#[diagnostic::do_not_recommend]
impl Settle for Infallible {
    fn is_processed(&self) -> bool {
        match *self {}
    }
}

/// An error is never a success, not even inside an `Ok`.
#[diagnostic::do_not_recommend]
impl Settle for Error {
    fn is_processed(&self) -> bool {
        false
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        Some(HttpFailure { status: self.status(), retry_after: self.retry_after() })
    }
}

impl<T: Settle, E> Settle for Result<T, E> {
    fn is_processed(&self) -> bool {
        self.as_ref().is_ok_and(T::is_processed)
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        self.as_ref().ok().and_then(T::http_failure)
    }

    fn none_is_processed() -> bool {
        T::none_is_processed()
    }
}

/// `None` does not report a failure, unless the framework answers it with one.
#[diagnostic::do_not_recommend]
impl<T: Settle> Settle for Option<T> {
    fn is_processed(&self) -> bool {
        self.as_ref().map_or_else(T::none_is_processed, T::is_processed)
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        self.as_ref().and_then(T::http_failure)
    }

    fn none_is_processed() -> bool {
        T::none_is_processed()
    }
}

macro_rules! settle_by_target {
    ($($pointer:ty),*) => {$(
        /// Decides by its target.
        #[diagnostic::do_not_recommend]
        impl<T: Settle + ?Sized> Settle for $pointer {
            fn is_processed(&self) -> bool {
                (**self).is_processed()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                (**self).http_failure()
            }

            fn none_is_processed() -> bool {
                MISSING_IS_SUCCESS
            }
        }
    )*};
}

settle_by_target!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

/// Decides by its value.
#[diagnostic::do_not_recommend]
impl<T: Settle + ToOwned + ?Sized> Settle for Cow<'_, T> {
    fn is_processed(&self) -> bool {
        (**self).is_processed()
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        (**self).http_failure()
    }

    fn none_is_processed() -> bool {
        MISSING_IS_SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_reply_is_a_success_unless_it_is_an_error_at_any_depth() {
        assert!(().is_processed());
        assert!(Ok::<(), u8>(()).is_processed());
        assert!(!Err::<(), u8>(1).is_processed());
        assert!(Outcome::Processed(()).is_processed());
        assert!(Outcome::<Result<(), u8>>::Duplicate.is_processed());
        assert!(!Outcome::Processed(Err::<(), u8>(1)).is_processed());
        assert!(!Ok::<_, u8>(Outcome::Processed(Err::<(), u8>(1))).is_processed());
        assert!(!Ok::<Result<(), u8>, u8>(Err(1)).is_processed());
        assert!(!Some(Err::<(), u8>(1)).is_processed());
        assert!(None::<Result<(), u8>>.is_processed());
    }

    #[test]
    fn a_pointer_is_what_it_points_to() {
        let failed: Result<(), u8> = Err(1);
        assert!(!Box::new(failed).is_processed());
        assert!(!Rc::new(failed).is_processed());
        assert!(!(Arc::new(failed) as Arc<dyn Settle>).is_processed());
        assert!(!Settle::is_processed(&&failed));
        assert!(!Cow::Borrowed(&failed).is_processed());
        assert!(Box::new(()).is_processed());
    }

    #[test]
    fn an_error_inside_an_ok_is_a_failure() {
        assert!(!Ok::<_, u8>(Error::store("mark the event", "no answer")).is_processed());
    }
}
