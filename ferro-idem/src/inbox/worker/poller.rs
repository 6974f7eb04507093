//! Takes events from the store and starts their attempts. One for each worker, so that an idle process sends one
//! statement for each interval, whatever its concurrency.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ahead::{Ahead, MAX_WAIT};
use super::attempt::Next;
use super::claims::Prepared;
use super::outage::Outage;
use super::queue::Queue;
use super::settings::Settings;
use crate::error::Error;
use crate::inbox::backoff::random_part_of;
use crate::inbox::delivery::{TakeLimits, Taken, TakenBatch};

/// Attempts whose handler has ended and that are not settled yet. More of them start no handler.
const MAX_SETTLING: usize = 256;

/// How many moments at which events of this worker are due again are remembered. The poll finds the others.
const MAX_DUE: usize = 1_024;

/// How often a busy worker frees events that wait for another one of their order key that is gone.
const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

/// The same for an inbox that has no order now, and may have had one before.
const SWEEP_INTERVAL_WITHOUT_ORDER: Duration = Duration::from_secs(30);

/// How long a stopped attempt gets to give its event back.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(5);

/// The result of a take, and whether it asked for as many events as it got.
type Taking = Pin<Box<dyn Future<Output = (u32, Result<(TakenBatch, u64), Error>)> + Send>>;

pub(super) trait Start {
    /// Prepares the attempt of an event that may have to wait for a free slot.
    fn prepare(&self, taken: Taken) -> Prepared;

    /// Starts the attempt of one event.
    fn start(
        &self,
        prepared: Prepared,
        slot: OwnedSemaphorePermit,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = Result<Next, Error>> + Send + 'static;
}

pub(super) struct Poller<W> {
    work: W,
    queue: Arc<dyn Queue>,
    settings: Settings,
    slots: Arc<Semaphore>,
    attempts: JoinSet<Result<Next, Error>>,
    stop: watch::Sender<bool>,
    /// Taken, and waiting for a free slot.
    waiting: VecDeque<Prepared>,
    ahead: Ahead,
    taking: Option<Taking>,
    /// There may be events that are due.
    is_hungry: bool,
    next_poll: Instant,
    /// When events of this worker are due again.
    due: BTreeSet<Instant>,
    next_sweep: Instant,
    outage: Outage,
}

/// What the poller waits for.
enum Happening {
    Shutdown,
    Woken,
    Took(u32, Result<(TakenBatch, u64), Error>),
    Ended(Result<Next, Error>),
    FreeSlot(OwnedSemaphorePermit),
    Timer,
}

impl<W: Start> Poller<W> {
    pub(super) fn new(work: W, queue: Arc<dyn Queue>, settings: Settings) -> Self {
        Self {
            work,
            queue,
            settings,
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            attempts: JoinSet::new(),
            stop: watch::Sender::new(false),
            waiting: VecDeque::new(),
            ahead: Ahead::new(),
            taking: None,
            is_hungry: true,
            next_poll: Instant::now(),
            due: BTreeSet::new(),
            next_sweep: Instant::now(),
            outage: Outage::default(),
        }
    }

    /// Runs until the shutdown, and drains.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let queue = Arc::clone(&self.queue);
        let mut woken = queue.woken();
        let result = loop {
            self.begin_take();
            match self.next(shutdown.as_mut(), woken.as_mut()).await {
                Happening::Shutdown => break Ok(()),
                Happening::Woken => {
                    woken = queue.woken();
                    self.is_hungry = true;
                }
                Happening::Timer => self.on_timer(),
                Happening::Took(limit, Ok((batch, freed))) => self.on_batch(limit, batch, freed),
                Happening::Took(_, Err(error)) if self.queue.is_permanent(&error) => break Err(error),
                Happening::Took(_, Err(error)) => self.next_poll = self.outage.failed(&error),
                Happening::Ended(Err(error)) => break Err(error),
                Happening::Ended(Ok(next)) => self.on_ended(next),
                Happening::FreeSlot(slot) => self.start(slot),
            }
        };
        self.drain().await;
        result
    }

    /// Waits for what comes next. Cancel safe: nothing is lost but the wait.
    async fn next<'w>(
        &mut self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
        mut woken: Pin<&mut (dyn Future<Output = ()> + Send + 'w)>,
    ) -> Happening {
        let may_start =
            !self.waiting.is_empty() && self.attempts.len() < self.settings.concurrency + MAX_SETTLING;
        let mut slot = pin!(Arc::clone(&self.slots).acquire_owned());
        let mut timer = pin!(sleep_until(self.next_timer()));
        poll_fn(|context| {
            if shutdown.as_mut().poll(context).is_ready() {
                return Poll::Ready(Happening::Shutdown);
            }
            if let Poll::Ready(Some(ended)) = self.attempts.poll_join_next(context) {
                // A task that panicked outside of the handler has given its event back.
                return Poll::Ready(Happening::Ended(ended.unwrap_or(Ok(Next::Waits))));
            }
            if may_start && let Poll::Ready(Ok(slot)) = slot.as_mut().poll(context) {
                return Poll::Ready(Happening::FreeSlot(slot));
            }
            if let Some(taking) = &mut self.taking
                && let Poll::Ready((limit, took)) = taking.as_mut().poll(context)
            {
                self.taking = None;
                return Poll::Ready(Happening::Took(limit, took));
            }
            if woken.as_mut().poll(context).is_ready() {
                return Poll::Ready(Happening::Woken);
            }
            timer.as_mut().poll(context).map(|()| Happening::Timer)
        })
        .await
    }

    fn next_timer(&self) -> Instant {
        let poll = [
            Some(self.next_poll),
            self.due.first().copied(),
            self.waiting.front().map(|first| self.given_up_at(&first.taken)),
        ];
        poll.into_iter().flatten().min().unwrap_or(self.next_poll)
    }

    /// When an event that still waits for a slot is given back.
    fn given_up_at(&self, taken: &Taken) -> Instant {
        let lease = self.settings.lease;
        let taken_at = taken.lease_until.checked_sub(lease).unwrap_or(taken.lease_until);
        taken_at + (lease / 4).min(MAX_WAIT)
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.waiting.front().is_some_and(|first| self.given_up_at(&first.taken) <= now) {
            self.ahead.waited_too_long();
            self.give_back();
        }
        while self.due.first().is_some_and(|due| *due <= now) {
            self.due.pop_first();
            self.is_hungry = true;
        }
        if self.next_poll <= now {
            self.is_hungry = true;
            self.next_poll = now + self.interval();
        }
    }

    /// Between three quarters of the interval and all of it, so that processes that started together do not stay so.
    fn interval(&self) -> Duration {
        let interval = self.settings.poll_interval;
        interval.saturating_sub(random_part_of(interval / 4))
    }

    /// Takes events if there may be some and there is room for them.
    fn begin_take(&mut self) {
        if !self.is_hungry
            || self.taking.is_some()
            || self.outage.until().is_some_and(|until| Instant::now() < until)
        {
            return;
        }
        let ahead = self.ahead.events();
        let free = self.slots.available_permits();
        // With enough events at hand, a larger batch later is cheaper.
        if self.waiting.len() > ahead / 2 || self.attempts.len() >= self.settings.concurrency + MAX_SETTLING {
            return;
        }
        let room = (free + ahead).saturating_sub(self.waiting.len());
        let Ok(events @ 1..) = u32::try_from(room) else { return };
        self.is_hungry = false;
        let limits =
            TakeLimits { events, lease: self.settings.lease, max_attempts: self.settings.max_attempts };
        let now = Instant::now();
        let has_order = self.settings.has_order;
        let sweep = if self.next_sweep <= now {
            self.next_sweep = now + if has_order { SWEEP_INTERVAL } else { SWEEP_INTERVAL_WITHOUT_ORDER };
            Sweep::Always
        } else if has_order {
            Sweep::IfEmpty
        } else {
            Sweep::Never
        };
        let queue = Arc::clone(&self.queue);
        self.taking = Some(Box::pin(async move { (events, take(&*queue, limits, sweep).await) }));
    }

    fn on_batch(&mut self, limit: u32, batch: TakenBatch, freed: u64) {
        self.outage.over();
        self.next_poll = Instant::now() + self.interval();
        let TakenBatch { taken, parked } = batch;
        for event in &parked {
            super::trace::used_up(&event.event_id, event.attempts);
        }
        let found = taken.len() + parked.len();
        self.is_hungry |= freed > 0 || u32::try_from(found).is_ok_and(|found| found >= limit);
        self.ahead.took(taken.len(), taken.iter().map(|event| event.stored.len()).sum());
        self.wait(taken);
    }

    fn wait(&mut self, taken: Vec<Taken>) {
        let work = &self.work;
        self.waiting.extend(taken.into_iter().map(|taken| work.prepare(taken)));
    }

    fn on_ended(&mut self, next: Next) {
        match next {
            Next::After(due_in) if self.due.len() < MAX_DUE => {
                self.due.insert(Instant::now() + due_in);
            }
            Next::OfKey => self.is_hungry = true,
            Next::After(_) | Next::Waits => {}
        }
    }

    fn start(&mut self, slot: OwnedSemaphorePermit) {
        let Some(prepared) = self.waiting.pop_front() else { return };
        if self.waiting.is_empty() && Instant::now() < self.given_up_at(&prepared.taken) {
            self.ahead.drained();
        }
        self.attempts.spawn(self.work.start(prepared, slot, self.stop.subscribe()));
    }

    /// Gives back what no handler has begun. If that fails, the lease ends by itself.
    fn give_back(&mut self) {
        for prepared in self.waiting.drain(..) {
            let queue = Arc::clone(&self.queue);
            self.attempts.spawn(async move {
                give_back(&*queue, prepared).await;
                Ok(Next::Waits)
            });
        }
    }

    /// Gives back what has not begun, and waits for running handlers until the limit. Then they are stopped, and their
    /// events are given back.
    async fn drain(&mut self) {
        let limit = Instant::now() + self.settings.drain_limit;
        self.give_back();
        if let Some(taking) = self.taking.take()
            && let Ok((_, Ok((batch, _)))) = timeout_at(limit, taking).await
        {
            let unprepared = |taken| Prepared { taken, claim: None };
            self.waiting.extend(batch.taken.into_iter().map(unprepared));
            self.give_back();
        }
        if timeout_at(limit, self.ended()).await.is_err() {
            self.stop.send_replace(true);
            drop(timeout_at(Instant::now() + GIVE_BACK_LIMIT, self.ended()).await);
        }
    }

    async fn ended(&mut self) {
        poll_fn(|context: &mut Context<'_>| {
            loop {
                match self.attempts.poll_join_next(context) {
                    Poll::Ready(Some(_)) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}

/// Whether a take looks for events that wait for another one of their order key that is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Never,
    IfEmpty,
    Always,
}

/// Takes events, and sweeps. If the sweep fails, it comes again: the events that were taken must not be dropped.
async fn take(queue: &dyn Queue, limits: TakeLimits, sweep: Sweep) -> Result<(TakenBatch, u64), Error> {
    let batch = queue.take(limits).await?;
    let is_empty = batch.taken.is_empty() && batch.parked.is_empty();
    let freed = match sweep {
        Sweep::Always => queue.free_heads().await.unwrap_or(0),
        Sweep::IfEmpty if is_empty => queue.free_heads().await.unwrap_or(0),
        _ => 0,
    };
    Ok((batch, freed))
}

/// The claim goes first: the next worker would find the event in progress.
async fn give_back(queue: &dyn Queue, Prepared { taken, claim }: Prepared) {
    if let Some(claim) = claim {
        claim.withdraw().await;
    }
    drop(queue.release(&taken.held).await);
}

/// If the worker is dropped, the events that no handler has begun are given back in the background.
impl<W> Drop for Poller<W> {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        for prepared in self.waiting.drain(..) {
            let queue = Arc::clone(&self.queue);
            runtime.spawn(async move { give_back(&*queue, prepared).await });
        }
    }
}
