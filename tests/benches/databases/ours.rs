//! The logs under test, as handlers.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, ProcessedEventLog};
use ferro_idem::{Outcome, idempotent_webhook};

use crate::load::{Delivery, Handler};

/// Their type, everywhere.
pub(crate) const TYPE: &str = "invoice.paid";

fn event(id: &str) -> EventRef<'_> {
    EventRef::new(id).expect("a valid id").with_type(TYPE)
}

/// A mark, by calling the log directly.
pub(crate) struct Fence<L>(pub(crate) L);

impl<L: ProcessedEventLog> Handler for Fence<L> {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move { self.0.try_mark_event(event(id)).await.expect("the database is there") })
    }
}

/// The same under the attribute.
pub(crate) struct Attribute<L>(pub(crate) L);

#[idempotent_webhook]
async fn handler<L: ProcessedEventLog>(log: &L, event: &str) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}

impl<L: ProcessedEventLog> Handler for Attribute<L> {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let outcome = handler(&self.0, id).await.expect("the database is there");
            matches!(outcome, Outcome::Processed(()))
        })
    }
}

/// A claim, and its completion at once.
pub(crate) struct Claim<L>(pub(crate) L);

impl<L: ClaimLog> Handler for Claim<L> {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let owner = Owner::random().expect("the system has random numbers");
            let lease = Duration::from_mins(1);
            match self.0.claim(event(id), owner, lease).await.expect("the database is there") {
                ClaimOutcome::Acquired { token } => {
                    let held = Ownership { owner, token };
                    let completed = self.0.complete(id, held).await.expect("the database is there");
                    assert!(completed, "nobody else has it");
                    true
                }
                _ => false,
            }
        })
    }
}
