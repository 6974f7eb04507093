//! Runs a fenced body, and traces how it ends. A fence does not need this: without the feature `tracing` of the macro
//! crate, the body is a part of the user's function. It is here in any case, because cargo can unite that crate's
//! features with those of a build for another platform.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Marked;
use crate::nesting::FencedBody;
use crate::reply::failure::{Failure, NO_SUCCESS};
use crate::trace::{Delivery, Interruption};

/// Runs the body within the delivery's span. `failure` says why the reply is not a success, if it is none.
///
/// The body is on the heap, so that the handler's future stores no argument twice.
#[inline]
pub fn run_fenced<F, W>(marked: Marked, body: Pin<Box<F>>, failure: W) -> Fenced<F, W>
where
    F: Future,
    W: FnOnce(&F::Output) -> Option<Failure> + Unpin,
{
    let Marked { body: nesting, delivery } = marked;
    let end = TracedEnd { delivery, is_polled: false, is_over: false };
    Fenced { body, failure: Some(failure), end, _nesting: nesting }
}

/// A fenced body. If it is dropped, the body is dropped first.
#[must_use = "nothing happens until this is awaited"]
pub struct Fenced<F, W> {
    body: Pin<Box<F>>,
    failure: Option<W>,
    end: TracedEnd,
    _nesting: FencedBody,
}

/// Traces that the body ended without a reply.
struct TracedEnd {
    delivery: Delivery,
    /// It stays so in a panic.
    is_polled: bool,
    is_over: bool,
}

impl Drop for TracedEnd {
    fn drop(&mut self) {
        if !self.is_over {
            self.delivery.body_failed(Interruption::of(self.is_polled).as_str(), &Failure::default());
        }
    }
}

impl<F, W> Future for Fenced<F, W>
where
    F: Future,
    W: FnOnce(&F::Output) -> Option<Failure> + Unpin,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { body, failure, end, .. } = self.get_mut();
        end.is_polled = true;
        let delivery = &end.delivery;
        let reply = delivery.enter(|| {
            let reply = body.as_mut().poll(context);
            let failed = match (&reply, failure) {
                (Poll::Ready(reply), failure) => failure.take().and_then(|failure| failure(reply)),
                (Poll::Pending, _) => None,
            };
            (reply, failed)
        });
        end.is_polled = false;
        let (reply, failed) = reply;
        if reply.is_ready() {
            end.is_over = true;
            match failed {
                Some(failure) => end.delivery.body_failed(NO_SUCCESS, &failure),
                None => end.delivery.body_succeeded(),
            }
        }
        reply
    }
}
