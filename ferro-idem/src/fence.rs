//! The fence: an event is marked before the body, which runs at most once.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::Key;
use crate::log::{Marking, ProcessedEventLog};
use crate::nesting::{EventPrint, Frame};
use crate::observed;

/// Marks the event. Does nothing until the returned future is polled.
#[inline]
#[track_caller]
pub fn fence<'a, L: ProcessedEventLog + ?Sized>(log: &'a L, key: Key<'a>) -> Fence<'a> {
    let handler = Location::caller();
    let delivery = Delivery::new("fence", handler, key.ok());
    let frame = key.map_err(Error::from).and_then(|event| {
        let frame = Frame::new(log.store_id(), event.id(), handler)?;
        Ok((event, frame.event))
    });
    match frame {
        Ok((event, print)) => Fence::Marking(log.try_mark_event(event), print, delivery),
        Err(error) => Fence::Refused(Some(Box::new(error)), delivery),
    }
}

/// A hand-written future adds two words to the handler's future, and an `async fn` would add more.
#[must_use = "the event is marked when this is awaited"]
pub enum Fence<'a> {
    Marking(Marking<'a>, EventPrint, Delivery),
    /// The log is not called.
    Refused(Option<Box<Error>>, Delivery),
}

impl Future for Fence<'_> {
    type Output = Entry<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Entry<()>> {
        match self.get_mut() {
            Self::Marking(marking, event, delivery) => {
                delivery.enter(|| marking.as_mut().poll(context)).map(|marked| match marked {
                    Ok(true) => {
                        observed::fence_decided(true);
                        delivery.first(1, *event);
                        Entry::Run(())
                    }
                    Ok(false) => {
                        observed::fence_decided(false);
                        delivery.duplicate(*event);
                        Entry::Duplicate
                    }
                    Err(error) => {
                        delivery.failed(&error);
                        Entry::Failed(error)
                    }
                })
            }
            Self::Refused(error, delivery) => match error.take() {
                Some(error) => {
                    delivery.failed(&error);
                    Poll::Ready(Entry::Failed(*error))
                }
                None => Poll::Pending,
            },
        }
    }
}
