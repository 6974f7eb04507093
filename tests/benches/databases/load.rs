//! Deliveries, so many of them in flight at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::stripe_ids::stripe_event_id;

/// Whether this delivery of the event was the first.
pub(crate) type Delivery<'f> = Pin<Box<dyn Future<Output = bool> + Send + 'f>>;

/// What takes deliveries.
pub(crate) trait Handler: Send + Sync {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f>;
}

/// What a run of deliveries took.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) deliveries: usize,
    pub(crate) seconds: f64,
    /// Milliseconds a delivery.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Timing {
    pub(crate) fn per_second(&self) -> f64 {
        count(self.deliveries) / self.seconds
    }
}

/// The ids of so many deliveries: a new event, then one from half as long ago, and so on. Half are
/// duplicates, and their events are long settled.
pub(crate) fn deliveries(number: usize) -> Arc<[String]> {
    let event = |position: usize| {
        let newest = position / 2;
        let is_new = position.is_multiple_of(2);
        stripe_event_id(if is_new { newest } else { newest / 2 } as u64)
    };
    (0..number).map(event).collect()
}

/// Those of [`deliveries`] that are new.
pub(crate) fn new_events(deliveries: &[String]) -> Vec<&str> {
    deliveries.iter().step_by(2).map(String::as_str).collect()
}

/// Delivers all of them, `in_flight` at a time: whoever has an answer takes the next.
pub(crate) async fn deliver(handler: &Arc<dyn Handler>, ids: &Arc<[String]>, in_flight: usize) -> Timing {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let senders: Vec<_> = (0..in_flight)
        .map(|_| tokio::spawn(send(Arc::clone(handler), Arc::clone(ids), Arc::clone(&next))))
        .collect();
    let mut latencies = Vec::with_capacity(ids.len());
    let mut firsts = 0;
    for sender in senders {
        let (waited, first) = sender.await.expect("no delivery panics");
        latencies.extend(waited);
        firsts += first;
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(firsts, ids.len().div_ceil(2), "each event is first once");
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Timing { deliveries: ids.len(), seconds, p50: percentile(50), p99: percentile(99) }
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
