//! What a handler's guarantees and a caller within the process that delivers again tell each other: the inbox's worker.
//!
//! The reply of a handler does not say which guarantee answered it. A duplicate of a claim or a transaction is proof
//! that the event is processed; a duplicate of a plain fence only says that the event was seen.
//!
//! The worker can spare a handler the wait for its claim, see [`ahead`](crate::claim::ClaimAhead), and for the
//! claim's completion: nobody but the worker hears the reply, and the worker takes the event for processed only after
//! the completion.

#[cfg(all(feature = "replay", not(feature = "inbox")))]
pub(crate) use self::off::by_the_inbox;
#[cfg(not(feature = "inbox"))]
pub(crate) use self::off::{claims, completes, fence_decided, in_progress};
#[cfg(all(feature = "replay", feature = "inbox"))]
pub(crate) use self::on::by_the_inbox;
#[cfg(feature = "inbox")]
pub(crate) use self::on::{Observed, claims, completes, fence_decided, in_progress};

#[cfg(feature = "inbox")]
mod on {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tokio::task::JoinHandle;

    use crate::claim::{ClaimAhead, ClaimLog, ClaimPattern};
    use crate::detach_on_drop::DetachOnDrop;
    use crate::error::Error;
    use crate::event::EventRef;
    use crate::nesting;

    /// What was decided in one run of a handler.
    #[derive(Debug, Default)]
    pub(crate) struct Observed {
        fence_ran: AtomicBool,
        fence_duplicate: AtomicBool,
        rest: Mutex<Rest>,
    }

    #[derive(Debug, Default)]
    struct Rest {
        event_id: Arc<str>,
        retry_after: Option<Duration>,
        has_claimed: bool,
        pattern: Option<ClaimPattern>,
        claim: Option<ClaimAhead>,
        completions: Vec<JoinHandle<Result<(), Error>>>,
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
        /// Before the run of a handler for the event with this id, and with the claim that was made for it.
        pub(crate) fn new(event_id: Arc<str>, claim: Option<ClaimAhead>) -> Arc<Self> {
            let rest = Rest { event_id, claim, ..Rest::default() };
            Arc::new(Self { rest: Mutex::new(rest), ..Self::default() })
        }

        /// A panic cannot leave it half-changed.
        fn rest(&self) -> MutexGuard<'_, Rest> {
            self.rest.lock().unwrap_or_else(PoisonError::into_inner)
        }

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
            self.rest().retry_after
        }

        /// How the handler has claimed first, if the next claim can be told from it.
        pub(crate) fn pattern(&self) -> Option<ClaimPattern> {
            self.rest().pattern.clone()
        }

        /// Withdraws the claim that was made for the handler, if it has not taken it over.
        pub(crate) async fn withdraw_claim(&self) {
            let claim = self.rest().claim.take();
            if let Some(claim) = claim {
                claim.withdraw().await;
            }
        }

        /// Waits until the claims of the handler are completed.
        ///
        /// # Errors
        ///
        /// That of the first that cannot be completed: the event is not processed.
        pub(crate) async fn completed(&self) -> Result<(), Error> {
            let completions = std::mem::take(&mut self.rest().completions);
            let mut result = Ok(());
            for completion in completions {
                let completed = match completion.await {
                    Ok(completed) => completed,
                    Err(ended) => Err(Error::store("complete the claim", ended)),
                };
                result = result.and(completed);
            }
            result
        }

        fn claims<L: ClaimLog + ?Sized>(
            &self,
            log: &L,
            event: EventRef<'_>,
            length: Duration,
        ) -> Option<ClaimAhead> {
            let mut rest = self.rest();
            if !std::mem::replace(&mut rest.has_claimed, true) {
                rest.pattern = ClaimPattern::of(log, event, length, &rest.event_id);
            }
            rest.claim.take_if(|claim| claim.is_for(log, event, length))
        }
    }

    /// The observer of the handler that is polled, unless this is in the body of a claim or a transaction: that body
    /// decides what its reply means, and needs what it calls to be done when it returns.
    fn with_observed<T>(look: impl FnOnce(&Observed) -> Option<T>) -> Option<T> {
        OBSERVER.with_borrow(|observer| {
            let Observer { observed, depth } = observer.as_ref()?;
            if *depth == nesting::depth() { look(observed) } else { None }
        })
    }

    /// A plain fence has decided.
    pub(crate) fn fence_decided(is_first: bool) {
        with_observed(|observed| {
            let decision = if is_first { &observed.fence_ran } else { &observed.fence_duplicate };
            decision.store(true, Ordering::Relaxed);
            Some(())
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
                let longest = &mut observed.rest().retry_after;
                *longest = (*longest).max(Some(retry_after));
            }
        });
    }

    /// A handler is about to claim. Returns the claim that was made for it.
    pub(crate) fn claims<L: ClaimLog + ?Sized>(
        log: &L,
        event: EventRef<'_>,
        length: Duration,
    ) -> Option<ClaimAhead> {
        with_observed(|observed| observed.claims(log, event, length))
    }

    /// Completes a claim whose body has succeeded. A worker waits for that itself, so that the handler returns at once.
    /// It goes on if all of its callers are gone. What is returned is for the handler to wait for.
    pub(crate) fn completes(
        completion: DetachOnDrop<Result<(), Error>>,
    ) -> Option<DetachOnDrop<Result<(), Error>>> {
        let mut completion = Some(completion);
        with_observed(|observed| {
            let runtime = Handle::try_current().ok()?;
            observed.rest().completions.push(runtime.spawn(completion.take()?));
            Some(())
        });
        completion
    }
}

#[cfg(not(feature = "inbox"))]
mod off {
    use std::time::Duration;

    use crate::claim::{ClaimAhead, ClaimLog};
    use crate::detach_on_drop::DetachOnDrop;
    use crate::error::Error;
    use crate::event::EventRef;

    #[inline]
    pub(crate) fn fence_decided(_: bool) {}

    #[inline]
    pub(crate) fn in_progress(_: Duration) {}

    #[cfg(feature = "replay")]
    #[inline]
    pub(crate) fn by_the_inbox() -> bool {
        false
    }

    #[inline]
    pub(crate) fn claims<L: ClaimLog + ?Sized>(_: &L, _: EventRef<'_>, _: Duration) -> Option<ClaimAhead> {
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "with an inbox there may be nothing to wait for")]
    #[inline]
    pub(crate) fn completes(
        completion: DetachOnDrop<Result<(), Error>>,
    ) -> Option<DetachOnDrop<Result<(), Error>>> {
        Some(completion)
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
        let observed = Observed::new("evt_1".into(), None);
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
