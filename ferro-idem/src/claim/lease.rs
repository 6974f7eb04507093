//! The claim as the body sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{ClaimLog, ClaimOutcome, Ownership};
use crate::delivery::Delivery;
use crate::error::Error;
use crate::event::EventRef;
use crate::lease_length::DEFAULT_LEASE;
use crate::nesting::Frame;
use crate::owner::Owner;
use crate::running::Running;
use crate::steps::{Step, step};

/// A claimed event, as the body sees it: `#[idempotent_webhook(claim(c))]` binds it to `c`.
///
/// Clones refer to the same claim. The body can read it but not settle it: the body's reply decides whether
/// the event is completed or released.
///
/// ```
/// use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
///
/// #[idempotent_webhook(claim(c))]
/// async fn refund(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
///     let key = c.idempotency_key("refund"); // for the other API: the same on every attempt
///     assert_eq!((c.event_id(), c.fencing_token(), key.len()), ("evt_1", 1, 64));
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// refund(&MemoryProcessedLog::new(), "evt_1").await
/// # }
/// ```
#[derive(Clone)]
pub struct Claim {
    lease: Arc<Lease>,
}

/// Everything known about a claim. The body reads it, the renewal prolongs it, and the guard settles it.
pub(super) struct Lease {
    pub(super) log: Arc<dyn ClaimLog>,
    pub(super) event_id: String,
    pub(super) held: Ownership,
    pub(super) length: Duration,
    pub(super) running: Running,
    /// The claim's start on this machine's clock, read before the request was sent.
    pub(super) start: Instant,
    /// The end of the lease, in milliseconds after `start`. It is counted from before the request was sent,
    /// so it is never later than the end on the store's clock.
    pub(super) holds_for: AtomicU64,
}

/// Why a lease is over.
pub(super) enum Loss {
    /// The store says that the claim is not current: another delivery has taken the event over, or somebody
    /// has settled the event by hand.
    NotHeld,
    /// The store did not renew the lease in time. `None` if no request was sent, because the thread was
    /// blocked or the process did not run.
    NotRenewed(Option<Error>),
}

impl Lease {
    pub(super) fn prolong(&self, asked_at: Instant) {
        let until = asked_at.saturating_duration_since(self.start).saturating_add(self.length);
        self.holds_for.store(millis(until), Ordering::Relaxed);
    }

    pub(super) fn until(&self) -> Instant {
        self.start + Duration::from_millis(self.holds_for.load(Ordering::Relaxed))
    }

    pub(super) async fn renew(&self) -> Result<bool, Error> {
        step(Step::Renew, self.log.renew(&self.event_id, self.held, self.length)).await
    }

    pub(super) async fn complete(&self) -> Result<bool, Error> {
        step(Step::Complete, self.log.complete(&self.event_id, self.held)).await
    }

    pub(super) async fn withdraw(&self) -> Result<bool, Error> {
        step(Step::Withdraw, self.log.withdraw(&self.event_id, self.held)).await
    }

    pub(super) async fn release(&self) -> Result<bool, Error> {
        step(Step::Release, self.log.release(&self.event_id, self.held)).await
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Claims for unit tests of code that takes a claim.
///
/// ```
/// use ferro_idem::Claim;
///
/// fn refund_request(claim: &Claim) -> String {
///     format!("Idempotency-Key: {}", claim.idempotency_key("refund"))
/// }
///
/// let (first, second) = (Claim::for_test("evt_1"), Claim::for_test("evt_1").with_attempt(2));
/// assert_eq!(refund_request(&first), refund_request(&second));
/// ```
impl Claim {
    /// The first attempt of this event, with a lease of [`DEFAULT_LEASE`]. It is in no log.
    pub fn for_test(event_id: impl Into<String>) -> Self {
        Self::of_nothing(event_id.into(), 1)
    }

    /// The claim of the same event at another attempt, with the fencing token of that attempt.
    #[must_use]
    pub fn with_attempt(self, attempt: u64) -> Self {
        Self::of_nothing(self.lease.event_id.clone(), attempt)
    }

    fn of_nothing(event_id: String, token: u64) -> Self {
        let frame = Frame::outside();
        let running = Running::new(frame, Delivery::new("claim", frame.handler, None));
        let held = Ownership { owner: Owner::from_bytes([0; 16]), token };
        Self::new(Arc::new(Lease {
            log: Arc::new(NoLog),
            event_id,
            held,
            length: DEFAULT_LEASE,
            running,
            start: Instant::now(),
            holds_for: AtomicU64::new(millis(DEFAULT_LEASE)),
        }))
    }
}

/// The log of a claim that was made for a test. Such a claim is never settled.
struct NoLog;

#[async_trait]
impl ClaimLog for NoLog {
    async fn claim(&self, _: EventRef<'_>, _: Owner, _: Duration) -> Result<ClaimOutcome, Error> {
        Ok(ClaimOutcome::Processed)
    }

    async fn renew(&self, _: &str, _: Ownership, _: Duration) -> Result<bool, Error> {
        Ok(false)
    }

    async fn complete(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(false)
    }

    async fn release(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(false)
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(Self)
    }
}

impl Claim {
    pub(super) fn new(lease: Arc<Lease>) -> Self {
        Self { lease }
    }

    /// The claimed key: the event's id, prefixed with `scope:` if the handler has a scope.
    pub fn event_id(&self) -> &str {
        &self.lease.event_id
    }

    /// A number that grows with every takeover of this event.
    ///
    /// Store it beside the effect, or pass it to a system that rejects a token lower than one that it has
    /// seen. This stops a delivery that was paused for longer than its lease and has not noticed yet.
    pub fn fencing_token(&self) -> u64 {
        self.lease.held.token
    }

    /// Which run of the body this is: 1 for the first, and one more for each further run.
    ///
    /// A delivery that was dropped while it claimed has run no body and is not counted. After a crash, or if
    /// the store could not be reached, it is unknown whether a body had begun. Such a claim counts as an
    /// attempt after its lease has ended. So does every claim of a log of your own that does not implement
    /// [`ClaimLog::withdraw`].
    pub fn attempt(&self) -> u64 {
        self.lease.held.token
    }

    /// An idempotency key for another system: the same on every attempt of this event and `name`, and
    /// different for any other event or name.
    ///
    /// The key has 64 hex digits of a SHA-256, so it does not reveal the id. It fits Stripe's
    /// `Idempotency-Key` header, which takes up to 255 characters
    /// (<https://docs.stripe.com/api/idempotent_requests>). `name` distinguishes several calls of one body:
    /// `c.idempotency_key("refund")`.
    pub fn idempotency_key(&self, name: &str) -> String {
        use sha2::{Digest, Sha256};
        // The length keeps ("ab", "c") apart from ("a", "bc").
        let digest = Sha256::new()
            .chain_update(b"ferro-idem/1")
            .chain_update((self.lease.event_id.len() as u64).to_be_bytes())
            .chain_update(&self.lease.event_id)
            .chain_update(name)
            .finalize();
        hex::encode(digest)
    }

    /// The time that is left of the lease, at least. The lease is renewed while the body runs. Use this to
    /// decide whether to start an operation that cannot be stopped.
    pub fn lease_remaining(&self) -> Duration {
        self.lease.until().saturating_duration_since(Instant::now())
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Claim")
            .field("event_id", &self.event_id())
            .field("fencing_token", &self.fencing_token())
            .field("lease_remaining", &self.lease_remaining())
            .finish()
    }
}
