//! The claim: at least once, one at a time.

mod ahead;
#[allow(missing_debug_implementations)]
mod guard;
mod in_time;
mod lease;
#[cfg(all(test, feature = "memory"))]
mod model;
mod prompter;
mod renewal;
#[cfg(feature = "memory")]
pub(crate) mod row;
#[allow(missing_docs)]
mod run;
mod send;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::owner::Owner;

pub(crate) use self::ahead::ClaimAhead;
#[cfg(feature = "inbox")]
pub(crate) use self::ahead::ClaimPattern;
#[cfg(feature = "replay")]
pub(crate) use self::guard::{Claimed, Claiming};
pub use self::guard::{Guard, claim};
pub use self::lease::Claim;
pub use self::run::run_claimed;
#[cfg(feature = "replay")]
pub(crate) use self::send::SendClaim;

/// A log that can lend an event to one delivery at a time.
///
/// An event is *claimed* while a delivery works on it, *processed* after that delivery has completed it, and
/// *released* after it has given up. A claim that is neither renewed nor settled ends with its lease, and the
/// next delivery takes the event over. No event is lost in a crash.
///
/// # The promise
///
/// - Of all calls of [`claim`](Self::claim) for one event, at most one holds it at a time.
/// - Each takeover has a higher fencing token than every claim before. All other calls take the pair of owner
///   and fencing token, so that a delivery that lost its lease changes nothing.
/// - Leases are on the store's clock.
/// - A mark of a plain fence ([`ProcessedEventLog`](crate::ProcessedEventLog)) of the same id counts as
///   processed. To a plain fence, a claimed or released event counts as seen.
///
/// # Cancel safety
///
/// Dropping any of these futures leaves the store consistent: the change was made, or it was not. If a
/// delivery is dropped, `#[idempotent_webhook(claim)]` finishes them in the background.
///
/// # What the attribute does with it
///
/// ```
/// use std::time::Duration;
/// use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, MemoryProcessedLog, Owner, Ownership};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let (log, lease) = (MemoryProcessedLog::new(), Duration::from_secs(60));
/// let event = EventRef::new("evt_1")?;
/// let (owner, other) = (Owner::random()?, Owner::random()?);
///
/// let ClaimOutcome::Acquired { token } = log.claim(event, owner, lease).await? else {
///     return Ok(()); // a duplicate, or in progress
/// };
/// assert!(matches!(log.claim(event, other, lease).await?, ClaimOutcome::InProgress { .. }));
///
/// // The body runs here. After a success:
/// assert!(log.complete("evt_1", Ownership { owner, token }).await?);
/// assert_eq!(log.claim(event, other, lease).await?, ClaimOutcome::Processed);
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot claim events",
    label = "not a `ClaimLog`",
    note = "the logs that can claim are `MemoryProcessedLog`, `SqliteLog`, `PostgresLog`, `MySqlLog` and \
            `RedisLog`, or implement `ferro_idem::ClaimLog` for `{Self}`",
    note = "without `claim`, the attribute is a plain fence: at most once, over any `ProcessedEventLog`"
)]
#[async_trait]
pub trait ClaimLog: Send + Sync {
    /// Claims the event for `lease`, unless another delivery has it or it is processed.
    ///
    /// A second call with the same `owner` renews the same claim, with the same fencing token. If the reply
    /// to a call was lost, repeat it with the same owner.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer. The body must not run then.
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error>;

    /// Extends the claim to `lease` from now. Returns `false` if the claim has been taken over or settled.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether the claim was renewed.
    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error>;

    /// Records the event as processed, for good. Returns `false` if the claim has been taken over or
    /// released.
    ///
    /// Completing the same claim a second time returns `true`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether the event was recorded.
    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error>;

    /// Gives the event back, so that the next delivery runs at once. Returns `false` if the claim has been
    /// taken over or completed.
    ///
    /// Releasing the same claim a second time returns `true`, until another delivery claims the event.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether the claim was released. Its lease ends by itself.
    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error>;

    /// Takes back a claim under which no body has run, so that [`Claim::attempt`] does not count it.
    ///
    /// `#[idempotent_webhook(claim)]` calls this if the delivery was dropped before its claim was answered.
    /// The fencing token has not been used then, so the next claim may get the same token, with another
    /// owner. From then on, calls for this claim must return `false`. Returns `false` if the claim has been
    /// taken over or settled.
    ///
    /// The default calls [`release`](Self::release). The next claim then counts one attempt more.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if it is unknown whether the claim was taken back. Its lease ends by itself.
    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.release(event_id, held).await
    }

    /// A handle to the same store that borrows nothing. If a delivery is dropped, its calls are finished
    /// through this handle in the background.
    fn handle(&self) -> Arc<dyn ClaimLog>;

    /// Not part of the contract. It identifies the store, so that a handler that calls another handler for
    /// the same event gets [`Error::Nested`].
    #[doc(hidden)]
    fn store_id(&self) -> StoreId {
        StoreId::of(self)
    }

    /// Not part of the contract. As [`store_id`](Self::store_id), if no other store has this id for as long as a
    /// [`handle`](Self::handle) to this one exists. The inbox's worker then claims events together before its handler
    /// asks for them.
    #[doc(hidden)]
    fn shared_store_id(&self) -> Option<StoreId> {
        None
    }
}

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The owner holds the event for the length of the lease.
    Acquired {
        /// 1 for the first claim of an event, higher with each takeover.
        token: u64,
    },
    /// Another delivery holds the event.
    InProgress {
        /// The time that is left of its lease.
        retry_after: Duration,
    },
    /// The event was processed before.
    Processed,
}

/// The proof of a claim. Both values are needed, because after a purge another claim may get the same fencing
/// token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// The random value of the call that claimed.
    pub owner: Owner,
    /// The fencing token that the claim got.
    pub token: u64,
}

/// The return type that `#[async_trait]` gives to an `async fn` of a log.
type Step<'f, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'f>>;

/// Returns the target's own boxed futures. An `async fn` here would box them again.
macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<T: ClaimLog + ?Sized> ClaimLog for $pointer {
            fn claim<'log, 'event, 'f>(
                &'log self,
                event: EventRef<'event>,
                owner: Owner,
                lease: Duration,
            ) -> Step<'f, ClaimOutcome>
            where
                'log: 'f,
                'event: 'f,
                Self: 'f,
            {
                (**self).claim(event, owner, lease)
            }

            fn renew<'log, 'id, 'f>(
                &'log self,
                event_id: &'id str,
                held: Ownership,
                lease: Duration,
            ) -> Step<'f, bool>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).renew(event_id, held, lease)
            }

            fn complete<'log, 'id, 'f>(&'log self, event_id: &'id str, held: Ownership) -> Step<'f, bool>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).complete(event_id, held)
            }

            fn release<'log, 'id, 'f>(&'log self, event_id: &'id str, held: Ownership) -> Step<'f, bool>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).release(event_id, held)
            }

            fn withdraw<'log, 'id, 'f>(&'log self, event_id: &'id str, held: Ownership) -> Step<'f, bool>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).withdraw(event_id, held)
            }

            fn handle(&self) -> Arc<dyn ClaimLog> {
                (**self).handle()
            }

            fn store_id(&self) -> StoreId {
                (**self).store_id()
            }

            fn shared_store_id(&self) -> Option<StoreId> {
                (**self).shared_store_id()
            }
        }
    )*};
}

forward_to_target!(&T, &mut T, Box<T>, Arc<T>);
