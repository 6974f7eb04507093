//! What a delivery is answered with when the body does not run, and what an answer means.

use crate::error::Error;

/// A return type that can answer a duplicate delivery.
///
/// The reply has to be a success, or the sender delivers the event again and again. It does not
/// claim more than is known: there is no implementation over `Default`, because a silent `Ok(0)`
/// would be a lie.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reply to a duplicate delivery",
    label = "a duplicate delivery needs a reply of this type",
    note = "return `()`, `Outcome<T>`, axum's `StatusCode` or `Response`, or a `Result` of one of these",
    note = "or say what a duplicate gets: `#[idempotent_webhook(on_duplicate = EXPR)]`",
    note = "or implement `ferro_idem::DuplicateReply` for `{Self}`"
)]
pub trait DuplicateReply {
    /// The reply to a delivery whose event was processed before.
    fn duplicate_reply() -> Self;
}

/// A return type that can report that the fence could not be checked.
///
/// The reply has to be a failure, so that the sender delivers the event again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot report that the fence failed",
    label = "a `ferro_idem::Error` has to become this type",
    note = "return `Result<_, E>` where `E: From<ferro_idem::Error>`: add `#[from] ferro_idem::Error` \
            to a variant of the error type, or write the `impl From<ferro_idem::Error>`",
    note = "or say what it becomes: `#[idempotent_webhook(on_error = |error| EXPR)]`"
)]
pub trait FromFenceError {
    /// The reply to a delivery that could not be fenced. The body has not run.
    fn from_fence_error(error: Error) -> Self;
}

/// A return type that says whether the event is now processed.
///
/// The guarantees that settle after the body ask it; the plain fence, which marks before the
/// body, does not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the event is processed",
    label = "a claim or a transaction is settled by a reply of this type",
    note = "return `()`, `Outcome<T>`, axum's `StatusCode` or `Response`, or any `Result`: an `Err` gives \
            the event back",
    note = "or implement `ferro_idem::Settle` for `{Self}`"
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
    /// The body's value, unless this was a duplicate.
    pub fn processed(self) -> Option<T> {
        match self {
            Self::Processed(value) => Some(value),
            Self::Duplicate => None,
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

/// A duplicate is processed; what was processed now is asked.
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
    }

    #[test]
    fn an_outcome_gives_what_the_body_returned() {
        assert_eq!(Outcome::Processed(7).processed(), Some(7));
        assert_eq!(Outcome::<u8>::Duplicate.processed(), None);
    }
}
