//! The outcome of a delivery.

use super::{DuplicateReply, HttpFailure, Settle};

/// The outcome of a delivery, for handlers that return a value.
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
    /// The body ran and returned this value.
    Processed(T),
    /// The event was seen before, so the body did not run.
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

impl<T> DuplicateReply for Outcome<T> {
    fn duplicate_reply() -> Self {
        Self::Duplicate
    }
}

/// A duplicate is processed. A value of the body decides for itself.
impl<T: Settle> Settle for Outcome<T> {
    fn is_processed(&self) -> bool {
        match self {
            Self::Processed(value) => value.is_processed(),
            Self::Duplicate => true,
        }
    }

    fn http_failure(&self) -> Option<HttpFailure> {
        self.as_ref().processed().and_then(T::http_failure)
    }

    fn none_is_processed() -> bool {
        T::none_is_processed()
    }
}
