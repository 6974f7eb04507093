//! Bounds what is on its way to a server, above all to one that does not answer.
//!
//! A request that was written to a silent connection stays in the client's memory until the connection breaks, whatever
//! became of its caller. It may also be carried out later, so that it has to be taken back. After some requests without
//! an answer, calls therefore send nothing but a probe now and then, and go on when one is answered.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Nodes of a cluster have ranges of slots each. Events of one lane are therefore mostly on one node, and a node that is
/// silent keeps only its own lanes waiting.
const LANES: u16 = 16;
const SLOTS: u16 = 16_384;

/// How many requests of one lane are on their way at the same time.
const MAX_IN_FLIGHT: usize = 512;

/// How many requests of one lane fail without an answer, one after the other, until its calls wait.
const MAX_UNANSWERED: u32 = 64;

const PROBE_EVERY: Duration = Duration::from_millis(250);

/// What one log sends.
#[derive(Debug)]
pub(super) struct Gate([Lane; LANES as usize]);

/// The requests for a range of slots.
#[derive(Debug)]
pub(super) struct Lane {
    in_flight: Semaphore,
    /// How many failed without an answer since the last answer.
    unanswered: AtomicU32,
    answered: Notify,
    next_probe: Mutex<Option<Instant>>,
}

/// What a call sends next.
#[derive(Debug)]
pub(super) enum Turn<'l> {
    /// Its request. The permit lasts until the answer.
    Request(SemaphorePermit<'l>),
    /// A command that changes nothing. If there is any answer to it, [`Lane::hear`] wakes the other calls.
    Probe,
}

/// Nobody waits for the call's answer any more, so that nothing is sent for it.
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
    /// Waits until something may be sent, which may take for ever.
    pub(super) async fn enter(&self, is_over: impl Fn() -> bool) -> Result<Turn<'_>, Over> {
        while self.is_silent() {
            if is_over() {
                return Err(Over);
            }
            let mut answered = pin!(self.answered.notified());
            // From here on, no answer is missed.
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
            // It is never closed.
            acquired.as_mut().poll(context).map(|permit| permit.map(Turn::Request).map_err(|_| Over))
        })
        .await
    }

    /// An answer, whatever it says.
    pub(super) fn hear(&self) {
        if self.unanswered.swap(0, Ordering::Relaxed) >= MAX_UNANSWERED {
            self.answered.notify_waiters();
        }
    }

    /// A request failed without an answer.
    pub(super) fn miss(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= MAX_UNANSWERED
    }

    /// `None`: this call sends the next probe, now. Otherwise, when the next one is due. How often probes are sent does
    /// not depend on how long their callers stay.
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

/// The slot of a cluster that has the key
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let (_, after) = key.split_at_checked(key.iter().position(|byte| *byte == b'{')? + 1)?;
        let (tag, _) = after.split_at_checked(after.iter().position(|byte| *byte == b'}')?)?;
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
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

    #[test]
    fn slots_are_those_of_a_cluster() {
        // From the specification, and from CLUSTER KEYSLOT.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((slot(b"foo"), slot(b"somekey"), slot(b"foo{hash_tag}")), (12_182, 11_058, 2_515));
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
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
