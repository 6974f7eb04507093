//! The fence: an event is marked before the body, which runs at most once.

mod run;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use self::run::run_fenced;
use crate::entry::Entry;
use crate::error::Error;
use crate::key::Key;
use crate::log::{Marking, ProcessedEventLog};
#[cfg(feature = "metrics")]
use crate::metrics;
use crate::nesting::{FencedBody, Frame, Handler};
use crate::observed;
use crate::steps::{self, Refusal, Step};
use crate::trace::Delivery;

/// Marks the event. Does nothing until the returned future is polled.
#[inline]
pub fn fence<'a, L: ProcessedEventLog + ?Sized>(log: &'a L, key: Key<'a>, handler: Handler) -> Fence<'a> {
    let delivery = Delivery::new("fence", handler, key.ok());
    let frame = key.map_err(Error::from).and_then(|event| {
        let frame = Frame::new(log.store_id(), event.id(), handler)?;
        Ok((event, frame))
    });
    match frame {
        Ok((event, frame)) => {
            let marking = steps::boxed(Step::Mark, log.try_mark_event(event));
            #[cfg(feature = "metrics")]
            let marking = metrics::fenced(marking, event.id(), frame);
            Fence::Marking(marking, event.id(), Some((frame, delivery)))
        }
        Err(error) => {
            #[cfg(feature = "metrics")]
            metrics::fence_refused(&error);
            Fence::Refused(Some((Box::new(error), delivery)))
        }
    }
}

/// A hand-written future adds few words to the handler's future, and an `async fn` would add more.
#[must_use = "the event is marked when this is awaited"]
pub enum Fence<'a> {
    Marking(Marking<'a>, &'a str, Option<(Frame, Delivery)>),
    /// The log is not called.
    Refused(Option<(Box<Error>, Delivery)>),
}

impl Future for Fence<'_> {
    type Output = Entry<Marked>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Entry<Marked>> {
        match self.get_mut() {
            Self::Marking(marking, key, delivered) => {
                let Some((_, delivery)) = delivered else { return Poll::Pending };
                let marked = delivery.enter(|| marking.as_mut().poll(context));
                let Poll::Ready(marked) = marked else { return Poll::Pending };
                let Some((frame, delivery)) = delivered.take() else { return Poll::Pending };
                Poll::Ready(entry(marked, key, frame, delivery))
            }
            Self::Refused(refused) => match refused.take() {
                Some((error, delivery)) => Poll::Ready(failed(*error, &delivery)),
                None => Poll::Pending,
            },
        }
    }
}

#[inline]
fn entry(marked: Result<bool, Error>, key: &str, frame: Frame, delivery: Delivery) -> Entry<Marked> {
    match marked {
        Ok(true) => {
            observed::fence_decided(true);
            delivery.begun(Some(1), frame.event);
            Entry::Run(Marked { body: FencedBody::new(frame), delivery })
        }
        Ok(false) => match frame.refuse_nested_duplicate(key) {
            Ok(()) => {
                observed::fence_decided(false);
                steps::refused(Refusal::Duplicate);
                delivery.duplicate(frame.event);
                Entry::Duplicate
            }
            Err(nested) => failed(nested, &delivery),
        },
        Err(error) => failed(error, &delivery),
    }
}

fn failed(error: Error, delivery: &Delivery) -> Entry<Marked> {
    delivery.failed(&error);
    Entry::Failed(error)
}

/// An event that this delivery has marked. It exists while the body runs.
pub struct Marked {
    body: FencedBody,
    delivery: Delivery,
}
