//! A log whose calls fail as a test tells.

mod plan;
#[cfg(feature = "replay")]
mod replay;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::plan::Plan;
pub use self::transaction::FailingTransaction;
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::steps::Step;
use crate::steps::failing::{Fails, failing};

/// A log whose calls fail as a test tells, over any other log.
///
/// It has the contracts of the log that it wraps: [`ProcessedEventLog`], [`ClaimLog`],
/// [`TransactionalLog`](crate::TransactionalLog), and those of `replay`. The body of a transaction gets the same `tx`.
/// Clones and the handles that finish a dropped delivery in the background share what they were told.
///
/// [`check`](super::check) makes each call fail in turn by itself. This log is for the test of one situation: what the
/// caller of your handler is answered, what is logged, which other system was called.
///
/// A call that fails as told returns [`Error::Store`].
///
/// ```
/// use ferro_idem::testing::{FailingLog, Fails, Step};
/// use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, idempotent_webhook};
///
/// #[idempotent_webhook(claim(c))]
/// async fn ship<L: ClaimLog>(log: &L, event: &str, parcels: &mut Vec<String>) -> Result<(), Error> {
///     parcels.push(c.idempotency_key("parcel"));
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let log = FailingLog::new(MemoryProcessedLog::new());
/// let mut parcels = Vec::new();
///
/// // The event is completed, but the answer is lost: the sender hears of a failure.
/// log.fail_next(Step::Complete, Fails::AfterEffect);
/// let error = ship(&log, "evt_1", &mut parcels).await.unwrap_err();
/// assert!(error.is_retryable());
///
/// // It delivers again, and that is a duplicate.
/// ship(&log, "evt_1", &mut parcels).await.unwrap();
/// assert_eq!(parcels.len(), 1);
/// assert!(log.unused().is_empty(), "the handler never completed the event");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FailingLog<L> {
    log: L,
    plan: Arc<Plan>,
}

impl<L> FailingLog<L> {
    /// A log that fails in nothing yet.
    pub fn new(log: L) -> Self {
        Self { log, plan: Arc::default() }
    }

    /// Makes the next call of this step fail. Told twice, the next two calls fail, in this order.
    ///
    /// A call that fails by itself, before it could fail as told, counts as the call that was meant.
    ///
    /// A transaction is rolled back, as that of a lost connection is, if its begin fails after its effect, or if its
    /// commit or rollback fails before its effect.
    pub fn fail_next(&self, step: Step, fails: Fails) {
        self.plan.fail_next(step, fails);
    }

    /// Makes every call of this step fail, until [`stop_failing`](Self::stop_failing). What
    /// [`fail_next`](Self::fail_next) says comes first.
    ///
    /// ```
    /// # use ferro_idem::testing::{FailingLog, Fails, Step};
    /// # use ferro_idem::{MemoryProcessedLog, ProcessedEventLog};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let log = FailingLog::new(MemoryProcessedLog::new());
    /// log.fail_every(Step::Mark, Fails::BeforeEffect); // an outage
    /// assert!(log.try_mark_processed("evt_1").await.is_err());
    /// assert!(log.try_mark_processed("evt_1").await.is_err());
    /// log.stop_failing();
    /// assert!(log.try_mark_processed("evt_1").await.unwrap(), "no call has marked it");
    /// # }
    /// ```
    pub fn fail_every(&self, step: Step, fails: Fails) {
        self.plan.fail_every(step, fails);
    }

    /// From now on no call fails. Forgets what was told and has not happened.
    pub fn stop_failing(&self) {
        self.plan.stop_failing();
    }

    /// What [`fail_next`](Self::fail_next) was told, and no call has met. A test asserts that this is empty, so that it
    /// does not pass because the handler never made the call.
    pub fn unused(&self) -> Vec<(Step, Fails)> {
        self.plan.unused()
    }

    /// The calls so far, in their order, with those that failed.
    pub fn calls(&self) -> Vec<Step> {
        self.plan.calls()
    }

    /// The log that it wraps. Its calls do not fail.
    pub fn inner(&self) -> &L {
        &self.log
    }

    async fn call<T>(
        &self,
        step: Step,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        failing(step, self.plan.next(step), call).await?
    }
}

#[async_trait]
impl<L: ProcessedEventLog> ProcessedEventLog for FailingLog<L> {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.call(Step::Mark, self.log.try_mark_processed(event_id)).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.call(Step::Mark, self.log.try_mark_event(event)).await
    }

    fn store_id(&self) -> StoreId {
        self.log.store_id()
    }
}

#[async_trait]
impl<L: ClaimLog> ClaimLog for FailingLog<L> {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.call(Step::Claim, self.log.claim(event, owner, lease)).await
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.call(Step::Renew, self.log.renew(event_id, held, lease)).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.call(Step::Complete, self.log.complete(event_id, held)).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.call(Step::Release, self.log.release(event_id, held)).await
    }

    async fn withdraw(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.call(Step::Withdraw, self.log.withdraw(event_id, held)).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(FailingLog { log: self.log.handle(), plan: Arc::clone(&self.plan) })
    }

    fn store_id(&self) -> StoreId {
        self.log.store_id()
    }
}
