//! The contract that every log keeps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;

/// How long an event has to be remembered: 35 days.
///
/// An event can be resent by hand at Stripe for up to 30 days
/// (<https://docs.stripe.com/webhooks#automatic-retries>). If its mark is deleted before that, it runs again.
pub const RETENTION: Duration = Duration::from_hours(35 * 24);

/// Remembers which events were seen, so that each is processed at most once.
///
/// # The promise
///
/// Of all calls with one id, from any thread, process or machine that shares the store, exactly
/// one gets `Ok(true)`. Ids are compared byte for byte.
///
/// # Cancel safety
///
/// Dropping the returned future leaves the store consistent and affects no other caller. The mark may have
/// been made nevertheless. The event then counts as seen, and under a plain fence it does not run again.
///
/// # A log of your own
///
/// One method is enough. Let the database decide in one statement, because a `SELECT` followed by an `INSERT`
/// lets two deliveries through. The feature `conformance` has tests that check your log.
///
/// ```
/// use ferro_idem::{Error, ProcessedEventLog, async_trait};
/// # struct Row; struct Db;
/// # impl Db { async fn insert_if_absent(&self, _: &str) -> Result<u64, std::io::Error> { Ok(1) } }
///
/// struct MyLog {
///     db: Db,
/// }
///
/// #[async_trait]
/// impl ProcessedEventLog for MyLog {
///     async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
///         let rows = self
///             .db
///             .insert_if_absent(event_id)
///             .await
///             .map_err(|error| Error::store("mark the event as processed", error))?;
///         Ok(rows == 1)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a log of processed events",
    label = "not a `ProcessedEventLog`",
    note = "pass one of ferro-idem's logs, or implement `ferro_idem::ProcessedEventLog` for `{Self}`",
    note = "if the log is a field, say which: `#[idempotent_webhook(log = app.log)]`"
)]
#[async_trait]
pub trait ProcessedEventLog: Send + Sync {
    /// Records the id.
    ///
    /// Returns `Ok(true)` if this call is the first to record the id: run the side effects. Returns
    /// `Ok(false)` if the id is already present: this is a retry, so skip them.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer: the side effects must not run, and the sender has to
    /// deliver again. [`Error::InvalidEventId`] if the id is empty, holds NUL or is longer than
    /// [`EventRef::MAX_ID_BYTES`].
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error>;

    /// Records the id together with the event's type. `#[idempotent_webhook]` calls this method.
    ///
    /// Override it to record the type.
    ///
    /// # Errors
    ///
    /// Those of [`try_mark_processed`](Self::try_mark_processed).
    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.try_mark_processed(event.id()).await
    }

    /// Not part of the contract. It identifies the store, so that a handler that calls another handler for
    /// the same event gets [`Error::Nested`].
    #[doc(hidden)]
    fn store_id(&self) -> StoreId {
        StoreId::of(self)
    }
}

/// The return type that `#[async_trait]` gives to an `async fn` that marks.
pub(crate) type Marking<'f> = Pin<Box<dyn Future<Output = Result<bool, Error>> + Send + 'f>>;

/// Returns the target's own boxed future. An `async fn` here would box it again.
macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<T: ProcessedEventLog + ?Sized> ProcessedEventLog for $pointer {
            fn try_mark_processed<'log, 'id, 'f>(&'log self, event_id: &'id str) -> Marking<'f>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).try_mark_processed(event_id)
            }

            fn try_mark_event<'log, 'event, 'f>(&'log self, event: EventRef<'event>) -> Marking<'f>
            where
                'log: 'f,
                'event: 'f,
                Self: 'f,
            {
                (**self).try_mark_event(event)
            }

            fn store_id(&self) -> StoreId {
                (**self).store_id()
            }
        }
    )*};
}

forward_to_target!(&T, &mut T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in which all events are new except one.
    struct SeenOne;

    #[async_trait]
    impl ProcessedEventLog for SeenOne {
        async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
            Ok(event_id != "seen")
        }
    }

    #[tokio::test]
    async fn a_log_that_knows_ids_alone_is_asked_by_the_events_id() {
        for (id, is_first) in [("seen", false), ("new", true)] {
            let event = EventRef::new(id).unwrap().with_type("paid");
            assert_eq!(SeenOne.try_mark_event(event).await.unwrap(), is_first);
            assert_eq!(Arc::new(SeenOne).try_mark_event(event).await.unwrap(), is_first);
            assert_eq!((&SeenOne as &dyn ProcessedEventLog).try_mark_processed(id).await.unwrap(), is_first);
        }
    }

    #[test]
    fn an_event_is_kept_for_35_days() {
        assert_eq!(RETENTION.as_secs(), 3_024_000);
    }
}
