//! What the guarantees of a handler have decided, for a caller within the process that delivers again: the inbox.
//!
//! The reply of a handler does not say which guarantee answered it. A duplicate of a claim or a transaction is proof
//! that the event is processed; a duplicate of a plain fence only says that the event was seen.

#[cfg(all(feature = "replay", not(feature = "inbox")))]
pub(crate) use self::off::by_the_inbox;
#[cfg(not(feature = "inbox"))]
pub(crate) use self::off::{fence_decided, in_progress};
#[cfg(all(feature = "replay", feature = "inbox"))]
pub(crate) use self::on::by_the_inbox;
#[cfg(feature = "inbox")]
pub(crate) use self::on::{Observed, fence_decided, in_progress};

#[cfg(feature = "inbox")]
mod on {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use crate::nesting;

    /// What was decided in one run of a handler.
    #[derive(Debug, Default)]
    pub(crate) struct Observed {
        fence_ran: AtomicBool,
        fence_duplicate: AtomicBool,
        retry_after: Mutex<Option<Duration>>,
    }

    struct Observer {
        observed: Arc<Observed>,
        /// How many annotated handlers are polled around this one.
        depth: usize,
    }

    thread_local! {
        /// The innermost observer of the handler that this thread is polling.
        static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
    }

    /// Puts the outer observer back, also after a panic.
    struct Restore(Option<Observer>);

    impl Drop for Restore {
        fn drop(&mut self) {
            OBSERVER.set(self.0.take());
        }
    }

    impl Observed {
        /// Polls a handler, and records what its guarantees decide meanwhile on this thread.
        pub(crate) fn during<T>(self: &Arc<Self>, poll: impl FnOnce() -> T) -> T {
            let observer = Observer { observed: Arc::clone(self), depth: nesting::depth() };
            let _restore = Restore(OBSERVER.replace(Some(observer)));
            poll()
        }

        /// Whether a plain fence has let a body run. It never lets one run for this event again.
        pub(crate) fn fence_ran(&self) -> bool {
            self.fence_ran.load(Ordering::Relaxed)
        }

        /// Whether a plain fence has answered that the event was seen before.
        pub(crate) fn fence_duplicate(&self) -> bool {
            self.fence_duplicate.load(Ordering::Relaxed)
        }

        /// When the lease of another delivery ends, if that is why no body ran.
        pub(crate) fn retry_after(&self) -> Option<Duration> {
            *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A plain fence has decided. A fence inside the body of a claim or a transaction is left out: that body decides
    /// what its reply means.
    pub(crate) fn fence_decided(is_first: bool) {
        OBSERVER.with_borrow(|observer| {
            if let Some(Observer { observed, depth }) = observer
                && *depth == nesting::depth()
            {
                let decision = if is_first { &observed.fence_ran } else { &observed.fence_duplicate };
                decision.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Whether the inbox delivers to the handler that this thread polls.
    #[cfg(feature = "replay")]
    pub(crate) fn by_the_inbox() -> bool {
        OBSERVER.with_borrow(Option::is_some)
    }

    /// Another delivery holds the event.
    pub(crate) fn in_progress(retry_after: Duration) {
        OBSERVER.with_borrow(|observer| {
            if let Some(Observer { observed, .. }) = observer {
                let mut longest = observed.retry_after.lock().unwrap_or_else(PoisonError::into_inner);
                *longest = (*longest).max(Some(retry_after));
            }
        });
    }
}

#[cfg(not(feature = "inbox"))]
mod off {
    use std::time::Duration;

    #[inline]
    pub(crate) fn fence_decided(_: bool) {}

    #[inline]
    pub(crate) fn in_progress(_: Duration) {}

    #[cfg(feature = "replay")]
    #[inline]
    pub(crate) fn by_the_inbox() -> bool {
        false
    }
}

#[cfg(all(test, feature = "inbox", feature = "memory"))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Observed;
    use crate::claim::claim;
    use crate::entry::Entry;
    use crate::event::EventRef;
    use crate::fence::fence;
    use crate::memory::MemoryProcessedLog;
    use crate::nesting::Site;

    const SITE: &Site = &Site { name: "a test", line: 0 };

    async fn observe<F: Future>(handler: F) -> (Arc<Observed>, F::Output) {
        let observed = Arc::new(Observed::default());
        let mut handler = std::pin::pin!(handler);
        let output = std::future::poll_fn(|context| observed.during(|| handler.as_mut().poll(context))).await;
        (observed, output)
    }

    async fn pass_the_fence(log: &MemoryProcessedLog) {
        let decided = fence(log, EventRef::new("evt_1"), SITE).await;
        assert!(matches!(decided, Entry::Run(_) | Entry::Duplicate));
    }

    #[tokio::test]
    async fn a_fence_is_seen_to_run_and_to_answer_a_duplicate() {
        let log = MemoryProcessedLog::new();
        let (first, ()) = observe(pass_the_fence(&log)).await;
        assert!(first.fence_ran() && !first.fence_duplicate());
        let (second, ()) = observe(pass_the_fence(&log)).await;
        assert!(!second.fence_ran() && second.fence_duplicate());
        let (nothing, ()) = observe(async {}).await;
        assert!(!nothing.fence_ran() && !nothing.fence_duplicate());
    }

    #[tokio::test]
    async fn a_fence_inside_a_claimed_body_is_the_bodys_own_matter() {
        let (claims, fences) = (MemoryProcessedLog::new(), MemoryProcessedLog::new());
        pass_the_fence(&fences).await;
        let (observed, ()) = observe(async {
            let entry = claim(&claims, EventRef::new("evt_1"), Duration::from_mins(1), SITE).await;
            let Entry::Run(mut guard) = entry else { panic!("{:?}", EventRef::new("evt_1")) };
            guard.run(std::pin::pin!(pass_the_fence(&fences))).await.unwrap();
            guard.settle(None).await.unwrap();
        })
        .await;
        assert!(!observed.fence_ran() && !observed.fence_duplicate());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_another_deliverys_lease_is_seen() {
        let log = MemoryProcessedLog::new();
        let minute = Duration::from_mins(1);
        let held = claim(&log, EventRef::new("evt_1"), minute, SITE).await;
        let (observed, _) = observe(claim(&log, EventRef::new("evt_1"), minute, SITE)).await;
        assert_eq!(observed.retry_after(), Some(minute));
        drop(held);
    }
}
