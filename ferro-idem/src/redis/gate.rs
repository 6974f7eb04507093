//! Limits the requests in flight to a server, above all to one that does not answer.
//!
//! A request that was written to a silent connection stays in the client's memory until the connection breaks, even if
//! its caller has gone. The server may still execute it, so it has to be taken back. After a number of unanswered
//! requests, calls therefore send only an occasional probe, and continue as soon as a probe is answered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::slot::{SLOTS, slot};

/// Each node of a cluster has ranges of slots. The events of one lane are therefore mostly on one node, and a silent
/// node delays only its own lanes.
const LANES: u16 = 16;

/// The largest number of requests of one lane that are in flight at the same time.
const MAX_IN_FLIGHT: usize = 512;

/// After so many consecutive unanswered requests of one lane, its calls wait for a probe.
const MAX_UNANSWERED: u32 = 64;

const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Admits the requests of one log.
#[derive(Debug)]
pub(super) struct Gate([Lane; LANES as usize]);

/// The requests for a range of slots.
#[derive(Debug)]
pub(super) struct Lane {
    in_flight: Semaphore,
    /// The number of unanswered requests since the last answer.
    unanswered: AtomicU32,
    answered: Notify,
    next_probe: Mutex<Option<Instant>>,
}

/// What a call sends next.
#[derive(Debug)]
pub(super) enum Turn<'l> {
    /// The call's own request. The permit is held until the answer.
    Request(SemaphorePermit<'l>),
    /// A command that changes nothing. Any answer to it wakes the other calls, through [`Lane::hear`].
    Probe,
}

/// No caller waits for the answer any more, so nothing is sent.
#[derive(Debug)]
pub(super) struct Over;

impl Default for Gate {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Lane {
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            unanswered: AtomicU32::new(0),
            answered: Notify::new(),
            next_probe: Mutex::default(),
        }))
    }
}

impl Gate {
    pub(super) fn lane(&self, key: &[u8]) -> &Lane {
        let [first, ..] = &self.0;
        self.0.get(usize::from(slot(key) / (SLOTS / LANES))).unwrap_or(first)
    }
}

impl Lane {
    /// Waits until something may be sent. Sets no limit of its own: callers apply their deadline.
    pub(super) async fn enter(&self, is_over: impl Fn() -> bool) -> Result<Turn<'_>, Over> {
        while self.is_silent() {
            if is_over() {
                return Err(Over);
            }
            let mut answered = pin!(self.answered.notified());
            // An answer that arrives from here on wakes this call.
            answered.as_mut().enable();
            let Some(next) = self.due_probe() else { return Ok(Turn::Probe) };
            if self.is_silent() {
                drop(timeout_at(next, answered).await);
            }
        }
        let mut acquired = pin!(self.in_flight.acquire());
        poll_fn(|context| {
            if is_over() {
                return Poll::Ready(Err(Over));
            }
            // The semaphore is never closed.
            acquired.as_mut().poll(context).map(|permit| permit.map(Turn::Request).map_err(|_| Over))
        })
        .await
    }

    /// Records an answer, whether it is a success or a refusal.
    pub(super) fn hear(&self) {
        if self.unanswered.swap(0, Ordering::Relaxed) >= MAX_UNANSWERED {
            self.answered.notify_waiters();
        }
    }

    /// Records a request that failed without an answer.
    pub(super) fn miss(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= MAX_UNANSWERED
    }

    /// Returns when the next probe is due, or `None` if this call sends it now. The interval between probes does not
    /// depend on how long their callers stay.
    fn due_probe(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next_probe = self.next_probe.lock().unwrap_or_else(PoisonError::into_inner);
        match *next_probe {
            Some(next) if now < next => Some(next),
            _ => {
                *next_probe = Some(now + PROBE_EVERY);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use futures_util::poll;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn silent() -> Gate {
        let gate = Gate::default();
        (0..MAX_UNANSWERED).for_each(|_| gate.lane(b"evt_1").miss());
        gate
    }

    /// Enters, and counts the probes, which are answered from this moment on.
    async fn enter<'l>(lane: &'l Lane, probes: &Cell<u32>, answers_from: Instant) -> SemaphorePermit<'l> {
        loop {
            match lane.enter(|| false).await.unwrap() {
                Turn::Request(permit) => return permit,
                Turn::Probe => {
                    probes.set(probes.get() + 1);
                    if Instant::now() >= answers_from {
                        lane.hear();
                    }
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_gets_a_probe_now_and_then() {
        let (gate, probes) = (silent(), &Cell::new(0));
        let lane = gate.lane(b"evt_1");
        let never = Instant::now() + Duration::from_hours(1);
        // Callers that go after a second, one after the other.
        let callers = (0..1_000_u32).map(|number| async move {
            sleep(Duration::from_millis(number.into())).await;
            timeout(Duration::from_secs(1), enter(lane, probes, never)).await
        });
        assert!(join_all(callers).await.iter().all(Result::is_err));
        assert!((7..=9).contains(&probes.get()), "{} probes in 2 s", probes.get());
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_goes_on_after_one_answer() {
        let (gate, probes, start) = (silent(), &Cell::new(0), Instant::now());
        let answers_from = start + Duration::from_secs(1);
        join_all((0..400).map(|_| enter(gate.lane(b"evt_1"), probes, answers_from))).await;
        assert!(start.elapsed() < Duration::from_millis(1_300), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn other_lanes_do_not_wait() {
        let (gate, probes) = (silent(), &Cell::new(0));
        let other = (0..=u8::MAX).map(|key| gate.lane(&[key])).find(|lane| !lane.is_silent()).unwrap();
        drop(enter(other, probes, Instant::now()).await);
        assert_eq!(probes.get(), 0);
    }

    #[tokio::test]
    async fn what_is_in_flight_is_bounded() {
        let (gate, probes, now) = (Gate::default(), &Cell::new(0), Instant::now());
        let lane = gate.lane(b"evt_1");
        let mut permits = join_all((0..MAX_IN_FLIGHT).map(|_| enter(lane, probes, now))).await;
        let mut next = pin!(enter(lane, probes, now));
        assert!(poll!(next.as_mut()).is_pending());
        drop(permits.pop());
        drop(next.await);
    }
}
