//! What a delivery is answered with when the body does not run, and what a reply means.

use std::borrow::Cow;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::Error;

/// A return type that can answer a duplicate delivery.
///
/// The reply is a success, or the sender delivers the event again and again. It does not claim more
/// than is known: there is no implementation over `Default`, because a silent `Ok(0)` would be a lie.
///
/// Implemented for `()`, [`Outcome<T>`], and a `Result` of one of these; under the feature `axum` also
/// for `StatusCode`, `NoContent` and `Response`. Any other return type says what a duplicate gets with
/// `#[idempotent_webhook(on_duplicate = EXPR)]`. The application's own types implement the trait:
///
/// ```
/// use ferro_idem::{DuplicateReply, Error, MemoryProcessedLog, idempotent_webhook};
///
/// #[derive(Debug, PartialEq)]
/// enum Reply {
///     Shipped,
///     AlreadyShipped,
/// }
///
/// impl DuplicateReply for Reply {
///     fn duplicate_reply() -> Self {
///         Self::AlreadyShipped
///     }
/// }
///
/// #[idempotent_webhook]
/// async fn ship(log: &MemoryProcessedLog, event: &str) -> Result<Reply, Error> {
///     Ok(Reply::Shipped)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// assert_eq!(ship(&log, "evt_1").await?, Reply::Shipped);
/// assert_eq!(ship(&log, "evt_1").await?, Reply::AlreadyShipped);
/// # Ok(()) }
/// ```
#[cfg_attr(
    feature = "axum",
    diagnostic::on_unimplemented(
        message = "`{Self}` has no reply to a duplicate delivery",
        label = "a duplicate delivery needs a reply of this type",
        note = "say what a duplicate gets: `#[idempotent_webhook(on_duplicate = EXPR)]`",
        note = "or return `()`, `Outcome<T>`, axum's `StatusCode`, `NoContent` or `Response`, or a `Result` of one of \
                these",
        note = "or implement `ferro_idem::DuplicateReply` for a type of your own, and return that"
    )
)]
#[cfg_attr(
    not(feature = "axum"),
    diagnostic::on_unimplemented(
        message = "`{Self}` has no reply to a duplicate delivery",
        label = "a duplicate delivery needs a reply of this type",
        note = "say what a duplicate gets: `#[idempotent_webhook(on_duplicate = EXPR)]`",
        note = "or return `()`, `Outcome<T>`, or a `Result` of one of these",
        note = "for axum's `StatusCode`, `NoContent` and `Response`, turn on the feature `axum` of ferro-idem",
        note = "or implement `ferro_idem::DuplicateReply` for a type of your own, and return that"
    )
)]
pub trait DuplicateReply {
    /// The reply to a delivery whose event was processed before.
    fn duplicate_reply() -> Self;
}

/// A return type that can report an [`Error`] of the guarantee.
///
/// The reply is a failure, so that the sender delivers the event again.
///
/// Implemented for `Result<T, E>` if `E: From<ferro_idem::Error>`; under the feature `axum` also for
/// `StatusCode` and `Response`. Any other return type says what an error becomes with
/// `#[idempotent_webhook(on_error = |error| EXPR)]`. The application's own types implement the trait:
///
/// ```
/// use ferro_idem::{DuplicateReply, Error, FromFenceError, MemoryProcessedLog, idempotent_webhook};
///
/// #[derive(Debug, PartialEq)]
/// enum Ack {
///     Done,
///     Again,
/// }
///
/// impl FromFenceError for Ack {
///     fn from_fence_error(error: Error) -> Self {
///         eprintln!("{error}");
///         Self::Again
///     }
/// }
/// # impl DuplicateReply for Ack { fn duplicate_reply() -> Self { Self::Done } }
///
/// #[idempotent_webhook]
/// async fn ship(log: &MemoryProcessedLog, event: &str) -> Ack {
///     Ack::Done
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let log = MemoryProcessedLog::new();
/// assert_eq!(ship(&log, "").await, Ack::Again, "an event needs an id");
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot report that the fence failed",
    label = "a `ferro_idem::Error` has to become this type",
    note = "return `Result<_, E>` where `E: From<ferro_idem::Error>`: add `#[from] ferro_idem::Error` \
            to a variant of the error type, or write the `impl From<ferro_idem::Error>`",
    note = "or say what it becomes: `#[idempotent_webhook(on_error = |error| EXPR)]`"
)]
pub trait FromFenceError {
    /// The reply to a delivery that could not be fenced, claimed or committed.
    ///
    /// Most errors come before the body. Two come after it has begun: [`Error::LeaseLost`], when the
    /// body was stopped, and [`Error::Store`], when its claim could not be completed or its transaction
    /// could not be committed. The table in [`Error`] says which is which.
    fn from_fence_error(error: Error) -> Self;
}

/// A return type that says whether the event is now processed.
///
/// **A reply means "processed" only if it is a success to the sender: every response type of axum and
/// http counts by its status (2xx, and nothing else), an `Err` at any depth is a failure, and a plain
/// value inside an `Ok` is a success.**
///
/// Claims and transactions are settled by it; the plain fence, which marks before the body, is not. A
/// failure gives the event back, in an `Ok` too: `Ok(StatusCode::BAD_GATEWAY)` releases the claim, or
/// rolls the transaction back, and the next delivery runs.
///
/// | reply | processed if |
/// |---|---|
/// | `()` | always |
/// | `Result<T, E>` | it is `Ok`, and the `T` is processed |
/// | [`Outcome<T>`] | it is a duplicate, or the `T` is processed |
/// | `Option<T>`, a pointer, `Cow` | what is inside is processed; `None` is |
/// | `StatusCode`, `http::Response<B>`, `response::Parts` | 2xx |
/// | `Redirect` | never: a redirect is a failure to a sender of webhooks |
/// | a tuple that begins with a `StatusCode`, `Parts` or `Response<()>` | that is 2xx |
/// | another tuple of axum's | its last element is processed |
/// | `Json`, `Html`, `Form`, text, bytes, `Body`, headers, `NoContent` | always: axum answers 200 or 204 |
/// | a rejection of axum's, [`Error`] | never |
///
/// The types of axum and http need the feature `axum`. What axum adds after the handler (500 if a
/// header or JSON cannot be encoded) is not part of the reply: the body has succeeded by then.
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
        note = "for the response types of axum and http, turn on the feature `axum` of ferro-idem",
        note = "or implement `ferro_idem::Settle` for a type of your own, and return that"
    )
)]
pub trait Settle {
    /// Whether this reply means that the event needs no further delivery.
    fn is_processed(&self) -> bool;
}

/// What a delivery came to, for handlers that return a value.
///
/// ```
/// use ferro_idem::{Error, MemoryProcessedLog, Outcome, idempotent_webhook};
///
/// #[idempotent_webhook(event = id)]
/// async fn grant_seat(log: &MemoryProcessedLog, id: &str) -> Result<Outcome<u32>, Error> {
///     Ok(Outcome::Processed(7))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// assert_eq!(grant_seat(&log, "evt_1").await?, Outcome::Processed(7));
/// assert_eq!(grant_seat(&log, "evt_1").await?, Outcome::Duplicate);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<T> {
    /// The body ran, and this is what it returned.
    Processed(T),
    /// The event was seen before: the body did not run.
    Duplicate,
}

impl<T> Outcome<T> {
    /// The body's value, or `None` for a duplicate.
    ///
    /// ```
    /// use ferro_idem::Outcome;
    ///
    /// assert_eq!(Outcome::Processed(7).processed(), Some(7));
    /// assert_eq!(Outcome::<u32>::Duplicate.processed(), None);
    /// ```
    pub fn processed(self) -> Option<T> {
        match self {
            Self::Processed(value) => Some(value),
            Self::Duplicate => None,
        }
    }

    /// Whether the body did not run.
    ///
    /// ```
    /// use ferro_idem::Outcome;
    ///
    /// assert!(Outcome::<u32>::Duplicate.is_duplicate());
    /// assert!(!Outcome::Processed(7).is_duplicate());
    /// ```
    pub const fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate)
    }

    /// The same outcome with another value. A duplicate stays a duplicate.
    ///
    /// ```
    /// use ferro_idem::Outcome;
    ///
    /// assert_eq!(Outcome::Processed(7).map(|seat| format!("seat {seat}")), Outcome::Processed("seat 7".to_owned()));
    /// assert_eq!(Outcome::<u32>::Duplicate.map(|seat| seat + 1), Outcome::Duplicate);
    /// ```
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Processed(value) => Outcome::Processed(change(value)),
            Self::Duplicate => Outcome::Duplicate,
        }
    }

    /// The outcome with a reference to the value.
    ///
    /// ```
    /// use ferro_idem::Outcome;
    ///
    /// let outcome = Outcome::Processed("seat 7".to_owned());
    /// assert_eq!(outcome.as_ref().map(String::len), Outcome::Processed(6));
    /// assert!(!outcome.is_duplicate());
    /// ```
    pub const fn as_ref(&self) -> Outcome<&T> {
        match self {
            Self::Processed(value) => Outcome::Processed(value),
            Self::Duplicate => Outcome::Duplicate,
        }
    }
}

impl DuplicateReply for () {
    fn duplicate_reply() -> Self {}
}

impl<T> DuplicateReply for Outcome<T> {
    fn duplicate_reply() -> Self {
        Self::Duplicate
    }
}

// Without `do_not_recommend`, a missing reply is reported as a missing bound on `T`, which hides
// the way out.
#[diagnostic::do_not_recommend]
impl<T: DuplicateReply, E> DuplicateReply for Result<T, E> {
    fn duplicate_reply() -> Self {
        Ok(T::duplicate_reply())
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> FromFenceError for Result<T, E> {
    fn from_fence_error(error: Error) -> Self {
        Err(error.into())
    }
}

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

/// Never, inside an `Ok` neither.
#[diagnostic::do_not_recommend]
impl Settle for Error {
    fn is_processed(&self) -> bool {
        false
    }
}

/// A duplicate is processed; what the body returned counts for itself.
impl<T: Settle> Settle for Outcome<T> {
    fn is_processed(&self) -> bool {
        match self {
            Self::Processed(value) => value.is_processed(),
            Self::Duplicate => true,
        }
    }
}

impl<T: Settle, E> Settle for Result<T, E> {
    fn is_processed(&self) -> bool {
        self.as_ref().is_ok_and(T::is_processed)
    }
}

/// `None` reports no failure.
#[diagnostic::do_not_recommend]
impl<T: Settle> Settle for Option<T> {
    fn is_processed(&self) -> bool {
        self.as_ref().is_none_or(T::is_processed)
    }
}

macro_rules! settle_by_target {
    ($($pointer:ty),*) => {$(
        /// By what it points to.
        #[diagnostic::do_not_recommend]
        impl<T: Settle + ?Sized> Settle for $pointer {
            fn is_processed(&self) -> bool {
                (**self).is_processed()
            }
        }
    )*};
}

settle_by_target!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

/// By what it holds.
#[diagnostic::do_not_recommend]
impl<T: Settle + ToOwned + ?Sized> Settle for Cow<'_, T> {
    fn is_processed(&self) -> bool {
        (**self).is_processed()
    }
}

#[cfg(test)]
mod tests {
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
