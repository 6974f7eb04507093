//! What the attribute expands to calls of. Not for users: it changes without notice.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

pub use std::option::Option::{None, Some};
pub use std::pin::pin;
pub use std::result::Result::{Err, Ok};
pub use std::string::String;

pub use crate::claim::{Claiming, DEFAULT_LEASE, claim};
use crate::claim::{Guard, MIN_LEASE};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId, WebhookEvent};
use crate::log::{Marking, ProcessedEventLog};
use crate::reply::{DuplicateReply, FromFenceError, Outcome, Settle};
use crate::trace::Delivery;
use crate::transaction::Open;
pub use crate::transaction::{Beginning, begin};

/// A key to fence, or why it cannot be one.
pub type Key<'a> = Result<EventRef<'a>, InvalidEventId>;

/// What the fence said.
#[derive(Debug)]
pub enum Checked {
    /// Run the body.
    First,
    /// Answer as a duplicate.
    Duplicate,
    /// The fence could not be checked.
    Failed(Error),
}

#[inline]
pub fn event<E: WebhookEvent + ?Sized>(event: &E) -> Key<'_> {
    EventRef::of(event)
}

#[inline]
pub fn event_id<I: IdText + ?Sized>(id: &I) -> Key<'_> {
    EventRef::new(id.id_text())
}

/// `AsRef<str>`, with a message of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event id",
    label = "not an `AsRef<str>`",
    note = "an event id is text: write `event_id = EXPR.to_string()`"
)]
pub trait IdText {
    fn id_text(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> IdText for T {
    #[inline]
    fn id_text(&self) -> &str {
        self.as_ref()
    }
}

/// Puts `scope:` before the id. The caller lends the buffer, so that an unscoped key costs nothing.
#[inline]
pub fn scoped<'a>(scope: &str, key: Key<'a>, buffer: &'a mut String) -> Key<'a> {
    let event = key?;
    buffer.reserve_exact(scope.len() + 1 + event.id().len());
    buffer.push_str(scope);
    buffer.push(':');
    buffer.push_str(event.id());
    Ok(EventRef::new(buffer)?.with_type(event.event_type()))
}

/// Asks the log. Nothing happens until the returned future is polled.
#[inline]
pub fn fence<'a, L: ProcessedEventLog + ?Sized>(log: &'a L, key: Key<'a>) -> Fence<'a> {
    let delivery = Delivery::new("fence", key.ok());
    match key {
        Ok(event) => Fence::Asked(log.try_mark_event(event), delivery),
        Err(reason) => Fence::Refused(reason, delivery),
    }
}

/// A future in place of an `async fn`: two words in the handler's own future.
#[must_use = "the fence is checked when it is awaited"]
pub enum Fence<'a> {
    Asked(Marking<'a>, Delivery),
    Refused(InvalidEventId, Delivery),
}

impl Future for Fence<'_> {
    type Output = Checked;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Checked> {
        match self.get_mut() {
            Self::Asked(marking, delivery) => {
                delivery.enter(|| marking.as_mut().poll(context)).map(|marked| match marked {
                    Ok(true) => {
                        delivery.first(1);
                        Checked::First
                    }
                    Ok(false) => {
                        delivery.duplicate();
                        Checked::Duplicate
                    }
                    Err(error) => {
                        delivery.failed(&error);
                        Checked::Failed(error)
                    }
                })
            }
            Self::Refused(reason, delivery) => {
                let error = Error::from(*reason);
                delivery.failed(&error);
                Poll::Ready(Checked::Failed(error))
            }
        }
    }
}

#[inline]
pub fn duplicate_reply<R: DuplicateReply>() -> R {
    R::duplicate_reply()
}

#[inline]
pub fn error_reply<R: FromFenceError>(error: Error) -> R {
    R::from_fence_error(error)
}

/// Calls `on_error`. The bound is what lets a closure leave its argument's type out.
#[inline]
pub fn error_reply_by<R, F: FnOnce(Error) -> R>(on_error: F, error: Error) -> R {
    on_error(error)
}

/// Whether a lease can be renewed, for leases that are known at compile time.
pub const fn checked_lease(lease: Duration) -> Duration {
    assert!(
        lease.as_nanos() >= MIN_LEASE.as_nanos(),
        "the lease is too short to be renewed: use 500 ms or more"
    );
    lease
}

/// Decides whether a reply settles its event: by `Settle` where the type has it, by its variant for any
/// other `Result` or `Outcome`. `(&&&Probe(&reply)).rule()` takes the first rule that fits: the lookup takes one
/// reference off after the other, and each rule is implemented for one less.
pub struct Probe<'a, R>(pub &'a R);

pub struct AskSettle;
pub struct AskVariant;

/// In a module, for the expansion to import all.
pub mod rules {
    use super::{AskSettle, AskVariant, Probe, Settle, SucceedsByVariant};

    pub trait RuleOfSettle {
        #[inline]
        fn rule(&self) -> AskSettle {
            AskSettle
        }
    }

    pub trait RuleOfVariant {
        #[inline]
        fn rule(&self) -> AskVariant {
            AskVariant
        }
    }

    /// Fits everything, and then asks for `Settle`: that error says how to go on.
    pub trait RuleOfTheRest {
        #[inline]
        fn rule(&self) -> AskSettle {
            AskSettle
        }
    }

    impl<R: Settle> RuleOfSettle for &&Probe<'_, R> {}
    impl<R: SucceedsByVariant> RuleOfVariant for &Probe<'_, R> {}
    impl<R> RuleOfTheRest for Probe<'_, R> {}
}

impl AskSettle {
    #[inline]
    pub fn is_processed<R: Settle>(self, reply: &R) -> bool {
        reply.is_processed()
    }
}

impl AskVariant {
    #[inline]
    pub fn is_processed<R: SucceedsByVariant>(self, reply: &R) -> bool {
        reply.succeeds()
    }
}

/// A reply that tells by its variant, whatever it holds.
pub trait SucceedsByVariant {
    fn succeeds(&self) -> bool;
}

impl<T, E> SucceedsByVariant for Result<T, E> {
    #[inline]
    fn succeeds(&self) -> bool {
        self.is_ok()
    }
}

impl<T> SucceedsByVariant for Outcome<T> {
    #[inline]
    fn succeeds(&self) -> bool {
        true
    }
}

/// Settles by the reply of a body that ran under a claim; without one, the lease was lost.
pub async fn settle_claim<R>(
    guard: Guard,
    reply: Option<R>,
    is_processed: impl FnOnce(&R) -> bool,
) -> Result<R, Error> {
    match reply {
        Some(reply) => guard.settle(is_processed(&reply)).await.map(|()| reply),
        None => Err(guard.lost()),
    }
}

/// Settles by the reply of a body that ran in a transaction.
pub async fn settle_transaction<T: DerefMut + Send + 'static, R>(
    open: Open<T>,
    reply: R,
    is_processed: impl FnOnce(&R) -> bool,
) -> Result<R, Error> {
    open.settle(is_processed(&reply)).await?;
    Ok(reply)
}
