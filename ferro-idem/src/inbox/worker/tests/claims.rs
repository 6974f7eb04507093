//! Claims that a worker makes before its handlers ask for them, and completions that it waits for after they returned.
#![cfg(feature = "memory")]

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::*;
use crate::claim::{ClaimLog, ClaimOutcome, Ownership, claim, run_claimed};
use crate::entry::Entry;
use crate::event::EventRef;
use crate::memory::MemoryProcessedLog;
use crate::nesting::{Site, StoreId};
use crate::owner::Owner;
use crate::reply::failure::untold;

const SITE: &Site = &Site { name: "a handler", line: 0 };
const MINUTE: Duration = Duration::from_mins(1);

/// What `#[idempotent_webhook(claim)]` makes of a handler. The token of the claim, if the body ran.
async fn claimed<L: ClaimLog>(
    log: &L,
    event: &Event,
    body: impl Future<Output = Result<(), String>> + Send,
) -> Result<Option<u64>, String> {
    let id = event["id"].as_str().unwrap();
    match claim(log, EventRef::new(id), MINUTE, SITE).await {
        Entry::Run(guard) => {
            let token = guard.claim().fencing_token();
            let body = Box::pin(async move { body.await.map(|()| Some(token)) });
            let is_processed = |reply: &Result<_, String>| reply.is_ok();
            run_claimed(guard, body, is_processed, untold).await.map_err(|error| error.to_string())?
        }
        Entry::Duplicate => Ok(None),
        Entry::Failed(error) => Err(error.to_string()),
    }
}

/// Whether another delivery would get the event now, and with which token. It gives the event back.
async fn token_of_another(log: &MemoryProcessedLog, id: &str) -> Option<u64> {
    let owner = Owner::random().unwrap();
    match log.claim(EventRef::new(id).unwrap(), owner, MINUTE).await.unwrap() {
        ClaimOutcome::Acquired { token } => {
            assert!(log.withdraw(id, Ownership { owner, token }).await.unwrap());
            Some(token)
        }
        ClaimOutcome::InProgress { .. } | ClaimOutcome::Processed => None,
    }
}

fn id(event: u32) -> String {
    format!("evt_{event}")
}

fn receive(queue: &Double, events: std::ops::Range<u32>) {
    for event in events {
        queue.receive(&id(event), None);
    }
}

/// A worker that has learned how its handler claims, and whose handlers wait for permits now.
async fn learned(log: &MemoryProcessedLog, lease: Duration) -> (Arc<Double>, Run, Arc<Semaphore>, Count) {
    let (queue, permits, bodies) = (Double::new(), Arc::new(Semaphore::new(20)), Count::default());
    let (handled, allowed, counted) = (log.clone(), Arc::clone(&permits), bodies.clone());
    let worker = worker(&queue, move |event: Event| {
        let (log, allowed, bodies) = (handled.clone(), Arc::clone(&allowed), counted.clone());
        async move {
            let body = async {
                allowed.acquire().await.unwrap().forget();
                bodies.up();
                Ok(())
            };
            let token = claimed(&log, &event, body).await?;
            assert_eq!(token, Some(1), "the first claim of an event");
            Ok::<(), String>(())
        }
    });
    let run = run(worker.with_concurrency(2).with_lease(lease));
    receive(&queue, 0..20);
    queue.until(|queue| queue.rows().is_empty()).await;
    (queue, run, permits, bodies)
}

#[tokio::test(start_paused = true)]
async fn the_next_events_are_claimed_together() {
    let log = MemoryProcessedLog::new();
    let (queue, run, permits, bodies) = learned(&log, MINUTE).await;
    receive(&queue, 20..30);
    sleep(SECOND / 10).await;
    for event in 20..30 {
        assert_eq!(token_of_another(&log, &id(event)).await, None, "{event} is claimed");
    }
    permits.add_permits(10);
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(bodies.get(), 30);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_worker_gives_back_is_free_for_others() {
    let log = MemoryProcessedLog::new();
    let (queue, run, permits, bodies) = learned(&log, MINUTE).await;
    receive(&queue, 20..30);
    sleep(5 * SECOND).await;
    let mut free = 0;
    for event in 20..30 {
        let is_waiting = queue.row(&id(event)).unwrap().state == State::Waiting;
        let expected = is_waiting.then_some(1);
        assert_eq!(token_of_another(&log, &id(event)).await, expected, "{event}");
        free += u32::from(is_waiting);
    }
    assert_eq!(free, 8, "two of them run");
    permits.add_permits(10);
    queue.until(|queue| queue.rows().is_empty()).await;
    assert_eq!(bodies.get(), 30);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_withdraws_its_claims() {
    let log = MemoryProcessedLog::new();
    let (queue, run, _permits, _) = learned(&log, MINUTE).await;
    receive(&queue, 20..30);
    sleep(SECOND / 10).await;
    run.ended.abort();
    sleep(SECOND / 10).await;
    for event in 20..30 {
        assert!(token_of_another(&log, &id(event)).await.is_some(), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_delays_no_event_for_longer_than_the_workers_lease() {
    let log = MemoryProcessedLog::new();
    // The handler's own lease is longer.
    let (queue, run, permits, _) = learned(&log, 40 * SECOND).await;
    receive(&queue, 20..30);
    sleep(SECOND / 10).await;
    let mut claimed = 0;
    for event in 20..30 {
        claimed += u32::from(token_of_another(&log, &id(event)).await.is_none());
    }
    assert_eq!(claimed, 2, "those whose bodies run");
    permits.add_permits(10);
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_another_log_is_not_used() {
    let (queue, logs) = (Double::new(), [MemoryProcessedLog::new(), MemoryProcessedLog::new()]);
    let handled = logs.clone();
    let of = |event: u32| usize::from(event >= 20 && event.is_multiple_of(2));
    let run = run(worker(&queue, move |event: Event| {
        let number: u32 = event["id"].as_str().unwrap()[4..].parse().unwrap();
        let log = handled[of(number)].clone();
        async move { claimed(&log, &event, async { Ok(()) }).await.map(drop) }
    })
    .with_concurrency(2));
    receive(&queue, 0..60);
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
    for event in 0..60 {
        let [mut free, mut processed] = [&logs[0], &logs[1]];
        if of(event) == 0 {
            std::mem::swap(&mut free, &mut processed);
        }
        assert_eq!(token_of_another(free, &id(event)).await, Some(1), "{event} was claimed in the wrong log");
        assert_eq!(token_of_another(processed, &id(event)).await, None, "{event} is processed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_handler_leaves_alone_is_free() {
    let (queue, log) = (Double::new(), MemoryProcessedLog::new());
    let handled = log.clone();
    let run = run(worker(&queue, move |event: Event| {
        let log = handled.clone();
        let is_left_alone = event["id"].as_str().unwrap() >= "evt_40";
        async move {
            if is_left_alone {
                return Ok(());
            }
            claimed(&log, &event, async { Ok(()) }).await.map(drop)
        }
    })
    .with_concurrency(1));
    for event in 10..99 {
        queue.receive(&id(event), None);
    }
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
    for event in 10..99 {
        let expected = (event >= 40).then_some(1);
        assert_eq!(token_of_another(&log, &id(event)).await, expected, "{event}");
    }
}

/// A log whose completions take their time, and fail as often as this.
#[derive(Clone, Default)]
struct Slow {
    log: MemoryProcessedLog,
    completions: Duration,
    failures: Arc<AtomicU32>,
    /// Completions are refused, as after a takeover.
    is_lost: bool,
}

#[async_trait]
impl ClaimLog for Slow {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.log.claim(event, owner, lease).await
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        self.log.renew(event_id, held, lease).await
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        sleep(self.completions).await;
        let fails = self.failures.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match fails {
            Ok(_) if self.is_lost => {
                self.log.release(event_id, held).await?;
                Ok(false)
            }
            Ok(_) => {
                self.log.release(event_id, held).await?;
                Err(Error::store("complete the claim", "no answer"))
            }
            Err(_) => self.log.complete(event_id, held).await,
        }
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.release(event_id, held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }

    fn store_id(&self) -> StoreId {
        ClaimLog::store_id(&self.log)
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_do_not_wait_for_completions_and_events_do() {
    let (queue, bodies) = (Double::new(), Count::default());
    let log = Slow { completions: 10 * SECOND, ..Slow::default() };
    let (handled, counted) = (log.clone(), bodies.clone());
    let run = run(worker(&queue, move |event: Event| {
        let (log, bodies) = (handled.clone(), counted.clone());
        async move {
            let body = async {
                bodies.up();
                Ok(())
            };
            claimed(&log, &event, body).await.map(drop)
        }
    })
    .with_concurrency(1));
    let start = Instant::now();
    receive(&queue, 0..20);
    queue.until(|_| bodies.get() == 20).await;
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert_eq!(queue.rows().len(), 20, "none is processed before its claim is completed");
    queue.until(|queue| queue.rows().is_empty()).await;
    assert!((10 * SECOND..12 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_fails_is_a_failed_attempt() {
    for is_lost in [false, true] {
        let (queue, bodies) = (Double::new(), Count::default());
        let log = Slow { failures: Arc::new(AtomicU32::new(1)), is_lost, ..Slow::default() };
        let (handled, counted) = (log.clone(), bodies.clone());
        let run = run(worker(&queue, move |event: Event| {
            let (log, bodies) = (handled.clone(), counted.clone());
            async move {
                let body = async {
                    bodies.up();
                    Ok(())
                };
                claimed(&log, &event, body).await.map(drop)
            }
        }));
        receive(&queue, 0..1);
        queue.until(|queue| queue.row("evt_0").is_some_and(|row| row.last_error.is_some())).await;
        let row = queue.row("evt_0").unwrap();
        let error = row.last_error.unwrap();
        assert_eq!((row.state, row.attempts), (State::Waiting, 1), "{error}");
        assert_eq!(is_lost, error.contains("lost"), "{error}");
        queue.until(|queue| queue.rows().is_empty()).await;
        assert_eq!(bodies.get(), 2);
        run.stop().await;
    }
}

/// The worker does not complete what an inner handler has done: the outer body needs it to be done.
#[tokio::test(start_paused = true)]
async fn a_body_that_calls_a_handler_waits_for_its_completion() {
    let (queue, outer) = (Double::new(), MemoryProcessedLog::new());
    let inner = Slow { completions: 10 * SECOND, ..Slow::default() };
    let (done, seen) = (inner.clone(), Count::default());
    let counted = seen.clone();
    let run = run(worker(&queue, move |event: Event| {
        let (outer, inner, seen) = (outer.clone(), done.clone(), counted.clone());
        async move {
            let body = async {
                claimed(&inner, &event, async { Ok(()) }).await?;
                assert_eq!(token_of_another(&inner.log, "evt_0").await, None);
                seen.up();
                Ok(())
            };
            claimed(&outer, &event, body).await.map(drop)
        }
    }));
    let start = Instant::now();
    receive(&queue, 0..1);
    queue.until(|_| seen.get() == 1).await;
    assert!(start.elapsed() >= 10 * SECOND, "{:?}", start.elapsed());
    queue.until(|queue| queue.rows().is_empty()).await;
    run.stop().await;
}
