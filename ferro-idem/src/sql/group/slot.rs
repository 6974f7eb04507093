//! The place where a caller finds its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::OwnedSemaphorePermit;

use super::BatchAnswer;
use super::clock::{RuntimeId, current_runtime};

/// The side that answers. Dropped without an answer, it tells its caller that there will be none.
pub(in crate::sql) struct Caller<A> {
    slot: Arc<Mutex<Slot<A>>>,
    runtime: Option<RuntimeId>,
    /// Kept until the answer, so that the callers of a group are bounded.
    _room: OwnedSemaphorePermit,
}

/// The side that waits. Dropped before it took the answer, it drops the answer.
pub(super) struct Answered<A> {
    slot: Arc<Mutex<Slot<A>>>,
}

enum Slot<A> {
    Waiting(Option<Waker>),
    Answered(BatchAnswer<A>),
    /// The caller is gone, or has its answer.
    Closed,
    /// There will be no answer.
    Abandoned,
}

pub(super) fn slot<A>(room: OwnedSemaphorePermit) -> (Caller<A>, Answered<A>) {
    let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
    (Caller { slot: Arc::clone(&slot), runtime: current_runtime(), _room: room }, Answered { slot })
}

/// A panic cannot leave a slot half-changed.
fn locked<A>(slot: &Mutex<Slot<A>>) -> MutexGuard<'_, Slot<A>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<A> Caller<A> {
    pub(super) fn is_gone(&self) -> bool {
        matches!(*locked(&self.slot), Slot::Closed)
    }

    /// Hands the answer back if the caller is gone.
    pub(super) fn tell(self, answer: BatchAnswer<A>) -> Result<(), BatchAnswer<A>> {
        let mut slot = locked(&self.slot);
        if !matches!(*slot, Slot::Waiting(_)) {
            return Err(answer);
        }
        let before = std::mem::replace(&mut *slot, Slot::Answered(answer));
        drop(slot);
        if let Slot::Waiting(Some(waker)) = before {
            waker.wake();
        }
        Ok(())
    }

    /// What wakes the caller; it does nothing if the caller is awake. `None`: it is gone.
    pub(super) fn take_waker(&self) -> Option<Waker> {
        match &mut *locked(&self.slot) {
            Slot::Waiting(waker) => Some(waker.take().unwrap_or_else(|| Waker::noop().clone())),
            _ => None,
        }
    }

    /// Whether the caller waits in this runtime.
    pub(super) fn is_in(&self, runtime: Option<RuntimeId>) -> bool {
        self.runtime == runtime && !self.is_gone()
    }

    pub(super) fn is_of(&self, answered: &Answered<A>) -> bool {
        Arc::ptr_eq(&self.slot, &answered.slot)
    }
}

impl<A> Drop for Caller<A> {
    fn drop(&mut self) {
        let mut slot = locked(&self.slot);
        if let Slot::Waiting(waker) = &mut *slot {
            let waker = waker.take();
            *slot = Slot::Abandoned;
            drop(slot);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<A> Answered<A> {
    /// `None`: there will be no answer.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Option<BatchAnswer<A>>> {
        let mut slot = locked(&self.slot);
        match &mut *slot {
            Slot::Waiting(waker) => {
                let before = waker.replace(context.waker().clone());
                drop(slot);
                drop(before);
                Poll::Pending
            }
            _ => match std::mem::replace(&mut *slot, Slot::Closed) {
                Slot::Answered(answer) => Poll::Ready(Some(answer)),
                _ => Poll::Ready(None),
            },
        }
    }
}

impl<A> Answered<A> {
    /// The caller is gone: nobody wakes it any more. Returns an answer that it has not taken.
    pub(super) fn close(&self) -> Option<BatchAnswer<A>> {
        match std::mem::replace(&mut *locked(&self.slot), Slot::Closed) {
            Slot::Answered(answer) => Some(answer),
            _ => None,
        }
    }
}

impl<A> Drop for Answered<A> {
    fn drop(&mut self) {
        // Dropping an answer can lead to other slots: not under this one's lock.
        drop(self.close());
    }
}
