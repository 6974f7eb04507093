//! The fence: an event is marked before the body, which runs at most once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::entry::Entry;
use crate::error::Error;
use crate::event::InvalidEventId;
use crate::key::Key;
use crate::log::{Marking, ProcessedEventLog};
use crate::trace::Delivery;

/// Marks the event. Nothing happens until the returned future is polled.
#[inline]
pub fn fence<'a, L: ProcessedEventLog + ?Sized>(log: &'a L, key: Key<'a>) -> Fence<'a> {
    let delivery = Delivery::new("fence", key.ok());
    match key {
        Ok(event) => Fence::Marking(log.try_mark_event(event), delivery),
        Err(reason) => Fence::Invalid(reason, delivery),
    }
}

/// A future in place of an `async fn`: it adds two words to the handler's own future.
#[must_use = "the event is marked when this is awaited"]
pub enum Fence<'a> {
    Marking(Marking<'a>, Delivery),
    Invalid(InvalidEventId, Delivery),
}

impl Future for Fence<'_> {
    type Output = Entry<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Entry<()>> {
        match self.get_mut() {
            Self::Marking(marking, delivery) => {
                delivery.enter(|| marking.as_mut().poll(context)).map(|marked| match marked {
                    Ok(true) => {
                        delivery.first(1);
                        Entry::Run(())
                    }
                    Ok(false) => {
                        delivery.duplicate();
                        Entry::Duplicate
                    }
                    Err(error) => {
                        delivery.failed(&error);
                        Entry::Failed(error)
                    }
                })
            }
            Self::Invalid(reason, delivery) => {
                let error = Error::from(*reason);
                delivery.failed(&error);
                Poll::Ready(Entry::Failed(error))
            }
        }
    }
}
