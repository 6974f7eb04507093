//! Deliveries, with a fixed number in flight.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cpu::Cpu;
use crate::stripe_ids::stripe_event_id;

/// Whether this delivery of the event was the first.
pub(crate) type Delivery<'f> = Pin<Box<dyn Future<Output = bool> + Send + 'f>>;

/// A handler that takes deliveries.
pub(crate) trait Handler: Send + Sync {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f>;
}

/// The ids of the deliveries of a position on: a new event, then one from half as long ago, and so on.
/// Half are duplicates, and most of their events are long settled.
pub(crate) fn deliveries(positions: Range<usize>) -> Arc<[String]> {
    let event = |position: usize| {
        let newest = position / 2;
        let is_new = position.is_multiple_of(2);
        stripe_event_id(if is_new { newest } else { newest / 2 } as u64)
    };
    positions.map(event).collect()
}

/// Those of [`deliveries`] that are new.
pub(crate) fn new_events(deliveries: &[String]) -> Vec<&str> {
    deliveries.iter().step_by(2).map(String::as_str).collect()
}

/// The cost of a number of deliveries.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) seconds: f64,
    cpu: Cpu,
    latencies: Vec<Duration>,
}

impl Round {
    /// Delivers all of them, `in_flight` at a time. After each answer, the next delivery starts.
    pub(crate) async fn deliver(
        &mut self,
        handler: &Arc<dyn Handler>,
        ids: &Arc<[String]>,
        in_flight: usize,
    ) {
        let next = Arc::new(AtomicUsize::new(0));
        let cpu = Cpu::now();
        let start = Instant::now();
        let senders: Vec<_> = (0..in_flight)
            .map(|_| tokio::spawn(send(Arc::clone(handler), Arc::clone(ids), Arc::clone(&next))))
            .collect();
        let mut firsts = 0;
        for sender in senders {
            let (waited, first) = sender.await.expect("no delivery panics");
            self.latencies.extend(waited);
            firsts += first;
        }
        self.seconds += start.elapsed().as_secs_f64();
        self.cpu += Cpu::now() - cpu;
        assert_eq!(firsts, ids.len() / 2, "each event is first once");
    }

    pub(crate) fn per_second(&self) -> f64 {
        count(self.latencies.len()) / self.seconds
    }

    /// Microseconds of processor a delivery, here and in the server.
    pub(crate) fn cpu(&self) -> [f64; 2] {
        [self.cpu.client, self.cpu.server].map(|ticks| f64::from(ticks) * 1e4 / count(self.latencies.len()))
    }

    /// Milliseconds a delivery: the median, and what 99 of 100 stay below.
    pub(crate) fn percentiles(&mut self) -> [f64; 2] {
        self.latencies.sort_unstable();
        let last = self.latencies.len() - 1;
        [50, 99].map(|percent| self.latencies[last * percent / 100].as_secs_f64() * 1e3)
    }
}

async fn send(
    handler: Arc<dyn Handler>,
    ids: Arc<[String]>,
    next: Arc<AtomicUsize>,
) -> (Vec<Duration>, usize) {
    let mut latencies = Vec::new();
    let mut firsts = 0;
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        let start = Instant::now();
        firsts += usize::from(handler.deliver(id).await);
        latencies.push(start.elapsed());
    }
    (latencies, firsts)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
