//! One delivery, which can be stopped at each of its waits.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::wait::{Place, Wait};
use crate::steps::told::Told;

pub(super) struct Delivery<'a> {
    future: Pin<Box<dyn Future<Output = bool> + 'a>>,
    told: &'a Told,
    number: usize,
    woken: Arc<Woken>,
    /// Its waits: where it was each time that it was polled and was not ready.
    pub(super) waits: Vec<Wait>,
}

/// Whether the delivery asked to be polled. Otherwise polls for other reasons would count as waits.
struct Woken {
    flag: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::SeqCst);
        if let Ok(task) = self.task.lock()
            && let Some(task) = &*task
        {
            task.wake_by_ref();
        }
    }
}

impl<'a> Delivery<'a> {
    pub(super) fn new(number: usize, told: &'a Told, future: impl Future<Output = bool> + 'a) -> Self {
        let woken = Arc::new(Woken { flag: AtomicBool::new(true), task: Mutex::new(None) });
        Self { future: Box::pin(future), told, number, woken, waits: Vec::new() }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if let Ok(mut task) = self.woken.task.lock() {
            *task = Some(context.waker().clone());
        }
        if !self.woken.flag.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.told.with(|plan| {
            plan.delivery = self.number;
            plan.polls += 1;
        });
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled =
            catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(&mut Context::from_waker(&waker))));
        let polled = polled.unwrap_or_else(|panic| {
            self.told.with(|plan| plan.panics.push(message(&*panic)));
            Poll::Ready(false)
        });
        if polled.is_pending() {
            let place = self.told.with(|plan| Place::of(self.number, plan));
            self.waits.push(self.waits.last().copied().unwrap_or_default().next(place));
        }
        polled
    }

    /// Whether the sender would take the reply as a success. A panic is none.
    pub(super) async fn reply(&mut self) -> bool {
        poll_fn(|context| self.poll(context)).await
    }

    /// Continues up to a wait, or to the first one after it if there are fewer at its place this time. Returns the reply
    /// if it came before.
    pub(super) async fn until(&mut self, wait: Wait) -> Option<bool> {
        poll_fn(|context| match self.poll(context) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending if self.waits.last() >= Some(&wait) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Whether it is at that wait. A call of the log may wait less often this time.
    pub(super) fn has_come_to(&self, wait: Wait) -> bool {
        self.waits.last() == Some(&wait) || wait.is_within_a_call()
    }

    /// Drops what the delivery holds as a panic does.
    pub(super) fn panic(self) {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _unwinding = self;
            resume_unwind(Box::new("a panic of the test"))
        }));
        drop(unwound);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    text.unwrap_or("of a value that is no text").to_owned()
}
