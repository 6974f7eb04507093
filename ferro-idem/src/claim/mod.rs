//! The claim: at least once, one at a time.

#[allow(missing_debug_implementations)]
mod guard;
mod lease;
#[cfg(all(test, feature = "memory"))]
mod model;
mod prompter;
mod renewal;
#[cfg(feature = "memory")]
pub(crate) mod row;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;
use crate::owner::Owner;

pub use self::guard::Guard;
pub use self::guard::claim;
pub use self::lease::Claim;

/// A log that can lend an event to one delivery at a time.
///
/// An event is *claimed* while a delivery works on it, *processed* when that delivery completed it,
/// and *released* when it gave up. A claim that is neither renewed nor settled runs out with its
/// lease, and the next delivery takes the event over: a crash loses nothing.
///
/// # The promise
///
/// - Of all calls of [`claim`](Self::claim), one is [`Acquired`](ClaimOutcome::Acquired) at a time.
/// - Each takeover has a higher fencing token than all before. Settling takes the pair of owner and fencing token, so
///   that a delivery that lost its lease changes nothing.
/// - Leases are on the store's clock.
/// - A mark of a plain fence ([`ProcessedEventLog`](crate::ProcessedEventLog)) over the same id counts
///   as processed; under a plain fence, a claimed or released event counts as seen.
///
/// # Cancel safety
///
/// Dropping any of these futures leaves the store consistent: the change was made or it was not.
/// `#[idempotent_webhook(claim)]` does not drop them: they finish in the background.
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
    /// Takes the event for `lease`, unless another delivery has it or it is processed.
    ///
    /// The same `owner` again is the same claim, renewed, with the same fencing token: repeat a call whose
    /// reply was lost with the owner that it had.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked: the body must not run.
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error>;

    /// Makes the claim last for `lease` from now. `false`: it is no longer this one's.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: whether it was renewed is unknown.
    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error>;

    /// Records the event as processed, for ever. `false`: the claim is no longer this one's.
    ///
    /// To complete again what this claim completed is `true`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: whether it was recorded is unknown.
    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error>;

    /// Gives the event back, so that the next delivery runs at once. `false`: the claim is no longer
    /// this one's.
    ///
    /// To release again what this claim released is `true`, until another delivery has the event.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: whether it was released is unknown; the lease will run out.
    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error>;

    /// Takes back a claim under which no body ran, so that [`Claim::attempt`] does not count it.
    ///
    /// `#[idempotent_webhook(claim)]` calls this if the delivery was dropped before its claim was answered. Nobody
    /// has seen the fencing token then, so the next claim may have the same token again. It must have another
    /// owner, and this claim's own steps must be refused from now on. `false`: the claim is no longer this one's.
    ///
    /// The default is [`release`](Self::release): the next claim then counts one attempt more.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: whether it was taken back is unknown; the lease will run out.
    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.release(event_id, held).await
    }

    /// A handle on the same store that borrows nothing: what was begun for a delivery is finished
    /// through it when the delivery's own future has been dropped.
    fn handle(&self) -> Arc<dyn ClaimLog>;

    /// Not part of the contract: by this, a handler inside a handler is told that the log is the same.
    #[doc(hidden)]
    fn store_id(&self) -> StoreId {
        StoreId::of(self)
    }
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The event is this owner's for the lease.
    Acquired {
        /// 1 for the first claim of an event, higher with each takeover.
        token: u64,
    },
    /// Another delivery has it.
    InProgress {
        /// The time that its lease has left.
        retry_after: Duration,
    },
    /// The event was processed before.
    Processed,
}

/// Proof of a claim. The fencing token alone could be another claim's after a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// Who claimed.
    pub owner: Owner,
    /// Under which fence.
    pub token: u64,
}

/// What `#[async_trait]` makes of an `async fn` of a log.
type Step<'f, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'f>>;

/// Hands on the target's own boxed futures: written as `async fn`, each pointer would box again.
macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<T: ClaimLog + ?Sized> ClaimLog for $pointer
        where
            Self: Send + Sync,
        {
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
        }
    )*};
}

forward_to_target!(&T, &mut T, Box<T>, Arc<T>);
