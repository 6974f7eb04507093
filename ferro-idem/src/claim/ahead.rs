//! Claims that are made before the handler asks for them, by a caller within the process that has many events at hand:
//! the inbox's worker.
//!
//! A handler waits for its claim, so as many claims share a statement as handlers run at once. The worker knows more
//! events than that, and how its handler has claimed the last ones: in which log, under which key. So it claims the next
//! ones together, and each handler takes over the claim that it would have made. A claim that no handler takes over is
//! withdrawn, as if it had never been made.
//!
//! A handler that finds no such claim, or another one than it needs, claims as always.

#[cfg(not(feature = "inbox"))]
pub(crate) use self::off::ClaimAhead;
#[cfg(feature = "inbox")]
pub(crate) use self::on::{ClaimAhead, ClaimPattern};

#[cfg(feature = "inbox")]
mod on {
    use std::fmt;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
    use crate::error::Error;
    use crate::event::EventRef;
    use crate::lease_length::MIN_LEASE;
    use crate::nesting::StoreId;
    use crate::owner::Owner;

    /// How a handler claims its events.
    #[derive(Clone)]
    pub(crate) struct ClaimPattern {
        log: Arc<dyn ClaimLog>,
        store: StoreId,
        /// Before the event's id: the handler's scope.
        prefix: String,
        /// Whether the event's type is recorded.
        is_typed: bool,
        length: Duration,
    }

    impl ClaimPattern {
        /// The pattern of a claim for the event with this id. `None`: the next claim cannot be told from it.
        pub(crate) fn of<L: ClaimLog + ?Sized>(
            log: &L,
            claimed: EventRef<'_>,
            length: Duration,
            event_id: &str,
        ) -> Option<Self> {
            let store = log.shared_store_id()?;
            let prefix = claimed.id().strip_suffix(event_id)?.to_owned();
            let is_typed = claimed.event_type().is_some();
            (length >= MIN_LEASE).then(|| Self { log: log.handle(), store, prefix, is_typed, length })
        }

        /// The lease of the claims.
        pub(crate) fn length(&self) -> Duration {
            self.length
        }

        /// Claims the event in the background. `None`: that is not possible here.
        pub(crate) fn claim(&self, event_id: &str, event_type: &str) -> Option<ClaimAhead> {
            let key = format!("{}{event_id}", self.prefix);
            let event_type = self.is_typed.then(|| event_type.to_owned());
            let (owner, length, asked_at) = (Owner::random().ok()?, self.length, Instant::now());
            let log = Arc::clone(&self.log);
            let claiming = {
                let (key, event_type) = (key.clone(), event_type.clone());
                Handle::try_current().ok()?.spawn(async move {
                    let event = EventRef::new(&key)?.with_type(event_type.as_deref());
                    log.claim(event, owner, length).await
                })
            };
            let pattern = self.clone();
            let made = Made { pattern, key, event_type, owner, asked_at, claiming };
            Some(ClaimAhead { made: Some(Box::new(made)) })
        }
    }

    impl PartialEq for ClaimPattern {
        fn eq(&self, other: &Self) -> bool {
            let parts = |pattern: &Self| (pattern.store, pattern.is_typed, pattern.length);
            parts(self) == parts(other) && self.prefix == other.prefix
        }
    }

    impl fmt::Debug for ClaimPattern {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.debug_struct("ClaimPattern").field("prefix", &self.prefix).finish_non_exhaustive()
        }
    }

    /// A claim that no handler has taken over yet. It is withdrawn in the background if it is dropped.
    #[derive(Debug)]
    pub(crate) struct ClaimAhead {
        /// `None`: taken over, or withdrawn. On the heap, because every handler's future has room for a claim.
        made: Option<Box<Made>>,
    }

    #[derive(Debug)]
    struct Made {
        pattern: ClaimPattern,
        key: String,
        event_type: Option<String>,
        owner: Owner,
        /// The moment before the request was sent.
        asked_at: Instant,
        claiming: JoinHandle<Result<ClaimOutcome, Error>>,
    }

    impl ClaimAhead {
        /// Whether a handler that claims this would have made the same claim.
        pub(crate) fn is_for<L: ClaimLog + ?Sized>(
            &self,
            log: &L,
            event: EventRef<'_>,
            length: Duration,
        ) -> bool {
            self.made.as_ref().is_some_and(|made| {
                log.shared_store_id() == Some(made.pattern.store)
                    && (event.id(), length) == (made.key.as_str(), made.pattern.length)
                    && event.recorded_type().as_deref() == made.event_type.as_deref()
            })
        }

        /// Takes the claim over. Returns its owner, and when it was sent and what came of it. Without an outcome, claim
        /// as this owner: the claim that may have been made is that one then.
        pub(crate) async fn take_over(mut self) -> Option<(Owner, Option<(ClaimOutcome, Instant)>)> {
            // Left in place until the answer: if this future is dropped, the claim is withdrawn.
            let made = self.made.as_mut()?;
            let (owner, asked_at) = (made.owner, made.asked_at);
            let outcome = (&mut made.claiming).await;
            self.made = None;
            let outcome = outcome.ok().and_then(Result::ok);
            // Another delivery that had the event may have ended since.
            let outcome = outcome.filter(|outcome| !matches!(outcome, ClaimOutcome::InProgress { .. }));
            Some((owner, outcome.map(|outcome| (outcome, asked_at))))
        }

        /// Takes the claim back: no body has run under it. If that fails, its lease ends by itself.
        pub(crate) async fn withdraw(mut self) {
            if let Some(made) = self.made.take() {
                made.withdraw().await;
            }
        }
    }

    impl Made {
        async fn withdraw(self: Box<Self>) {
            let Self { pattern, key, owner, claiming, .. } = *self;
            if let Ok(Ok(ClaimOutcome::Acquired { token })) = claiming.await {
                drop(pattern.log.withdraw(&key, Ownership { owner, token }).await);
            }
        }
    }

    impl Drop for ClaimAhead {
        fn drop(&mut self) {
            if let (Some(made), Ok(runtime)) = (self.made.take(), Handle::try_current()) {
                runtime.spawn(made.withdraw());
            }
        }
    }
}

#[cfg(not(feature = "inbox"))]
mod off {
    use std::future::Ready;

    use tokio::time::Instant;

    use crate::claim::ClaimOutcome;
    use crate::owner::Owner;

    /// There are none.
    pub(crate) enum ClaimAhead {}

    type TakenOver = Option<(Owner, Option<(ClaimOutcome, Instant)>)>;

    impl ClaimAhead {
        pub(crate) fn take_over(self) -> Ready<TakenOver> {
            match self {}
        }
    }
}
