//! The replies to deliveries whose body does not run, and the meaning of a body's reply.

#[allow(missing_docs, missing_debug_implementations)]
pub(crate) mod failure;
mod http_failure;
#[allow(missing_docs)]
pub(crate) mod instead;
mod outcome;
mod settle;

pub use self::http_failure::HttpFailure;
pub use self::outcome::Outcome;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
pub(crate) use self::settle::MISSING_IS_SUCCESS;
pub use self::settle::Settle;
use crate::error::Error;

/// A return type that can answer a duplicate delivery.
///
/// The reply has to be a success, because otherwise the sender delivers the event again and again. There is
/// no implementation over `Default`, because a silent `Ok(0)` could be wrong.
///
/// Implemented for `()`, [`Outcome<T>`], and a `Result` of one of these; under the feature `axum` also
/// for `StatusCode`, `NoContent` and `Response`, under `actix-web` for `HttpResponse`, and under `poem` for
/// `StatusCode` and `Response`. Any other return type says what a duplicate gets with
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
        note = "for the responses of axum, actix-web or poem, turn on the feature of ferro-idem that is named so",
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
/// Implemented for `Result<T, E>` if `E: From<ferro_idem::Error>`, which holds for the error types of actix-web and
/// poem under the features of these names; under the feature `axum` also for `StatusCode` and `Response`, under
/// `actix-web` for `HttpResponse`, and under `poem` for `StatusCode` and `Response`. Any other return type says what an error becomes with
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
#[cfg_attr(
    feature = "axum",
    diagnostic::on_unimplemented(
        message = "`{Self}` cannot report that the fence failed",
        label = "a `ferro_idem::Error` has to become this type",
        note = "return `Result<_, E>` where `E: From<ferro_idem::Error>`: add `#[from] ferro_idem::Error` \
                to a variant of the error type, or write the `impl From<ferro_idem::Error>`",
        note = "or say what it becomes: `#[idempotent_webhook(on_error = |error| EXPR)]`"
    )
)]
#[cfg_attr(
    not(feature = "axum"),
    diagnostic::on_unimplemented(
        message = "`{Self}` cannot report that the fence failed",
        label = "a `ferro_idem::Error` has to become this type",
        note = "return `Result<_, E>` where `E: From<ferro_idem::Error>`: add `#[from] ferro_idem::Error` \
                to a variant of the error type, or write the `impl From<ferro_idem::Error>`",
        note = "or say what it becomes: `#[idempotent_webhook(on_error = |error| EXPR)]`",
        note = "for the responses of axum, actix-web or poem, turn on the feature of ferro-idem that is named so"
    )
)]
pub trait FromFenceError {
    /// The reply to a delivery that could not be fenced, claimed or committed.
    ///
    /// Most errors come before the body. Two can come after it has begun: [`Error::LeaseLost`] if the body
    /// was stopped, and [`Error::Store`] if its claim could not be completed or its transaction could not be
    /// committed. See the table in [`Error`].
    fn from_fence_error(error: Error) -> Self;
}

impl DuplicateReply for () {
    fn duplicate_reply() -> Self {}
}

// Without `do_not_recommend`, a missing reply is reported as a missing bound on `T`, which hides the fix.
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
