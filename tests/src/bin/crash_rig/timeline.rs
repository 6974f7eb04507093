//! How many deliveries were answered, and how many failed, at each moment of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::disasters::Disaster;
use crate::sender::Tally;

/// The length of a sample.
pub(crate) const SAMPLE: Duration = Duration::from_millis(250);

/// As many samples as a rate is the mean of.
const IN_A_RATE: usize = 4;

/// The part of the usual rate that counts as full speed: the rate of a run without any disaster varies by as much.
const FULL: f64 = 0.8;

/// What was answered within a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) answered: u64,
    /// Answered with an error, or not at all.
    pub(crate) failed: u64,
}

/// A disaster, in samples since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) disaster: Disaster,
    pub(crate) begin: usize,
    /// When clients were led to another server for the last time.
    pub(crate) moved: Option<usize>,
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    samples: Mutex<Vec<Sample>>,
    spans: Mutex<Vec<Span>>,
    /// The last move, as a sample's number and 1.
    moved: AtomicU64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            samples: Mutex::default(),
            spans: Mutex::default(),
            moved: AtomicU64::new(0),
        }
    }
}

impl Timeline {
    /// Samples until it is dropped.
    pub(crate) async fn sample(&self, tally: &Tally) {
        let mut ticks = interval(SAMPLE);
        let mut before = Sample::default();
        loop {
            ticks.tick().await;
            let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let answered = number(&tally.processed) + number(&tally.duplicates) + number(&tally.in_progress);
            let failed = number(&tally.unavailable) + number(&tally.other) + number(&tally.unanswered);
            let until_now = Sample { answered, failed };
            let sample = Sample { answered: answered - before.answered, failed: failed - before.failed };
            before = until_now;
            let now = self.now();
            let mut samples = lock(&self.samples);
            // A tick may be late.
            samples.resize(now, Sample::default());
            samples.push(sample);
        }
    }

    fn now(&self) -> usize {
        usize::try_from(self.start.elapsed().as_millis() / SAMPLE.as_millis()).unwrap_or(usize::MAX)
    }

    /// Clients are led to another server now.
    pub(crate) fn moved(&self) {
        self.moved.store(u64::try_from(self.now() + 1).unwrap_or(0), Ordering::Relaxed);
    }

    /// Notes when the disaster begins and ends.
    pub(crate) async fn during(&self, disaster: Disaster, befalling: impl Future<Output = ()>) {
        let begin = self.now();
        self.moved.store(0, Ordering::Relaxed);
        befalling.await;
        let moved = usize::try_from(self.moved.load(Ordering::Relaxed)).ok();
        let moved = moved.and_then(|moved| moved.checked_sub(1));
        lock(&self.spans).push(Span { disaster, begin, moved, end: self.now() });
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        lock(&self.samples).clone()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        lock(&self.spans).clone()
    }

    /// How long after each promotion deliveries were answered as fast as usual, in ascending order.
    pub(crate) fn back_after(&self) -> Vec<Duration> {
        let (samples, spans) = (self.samples(), self.spans());
        let promotions = spans.iter().filter(|span| span.disaster == Disaster::Promote);
        let mut after: Vec<Duration> =
            promotions.filter_map(|span| back_after(&samples, &spans, span.moved?)).collect();
        after.sort_unstable();
        after
    }
}

/// The time from a sample until the rate is the usual one. `None` if the run ends before.
fn back_after(samples: &[Sample], spans: &[Span], moved: usize) -> Option<Duration> {
    let usual = FULL * usual(samples, spans)?;
    let rates = samples.get(moved..)?.windows(IN_A_RATE);
    let until = rates.map(answered).position(|rate| rate >= usual)?;
    Some(SAMPLE * u32::try_from(until).ok()?)
}

/// The median of the rates before the first disaster, in answers in a rate's time. Those between two disasters may be of
/// a time that is not over the first one.
pub(crate) fn usual(samples: &[Sample], spans: &[Span]) -> Option<f64> {
    let first = spans.iter().map(|span| span.begin).min()?;
    let mut rates: Vec<f64> = samples.get(..first)?.windows(IN_A_RATE).map(answered).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

#[expect(clippy::cast_precision_loss, reason = "a second has few deliveries")]
fn answered(rate: &[Sample]) -> f64 {
    rate.iter().map(|sample| sample.answered).sum::<u64>() as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_speed_is_that_of_the_time_before_disasters() {
        let sample = |answered| Sample { answered, failed: 0 };
        let mut samples = vec![sample(10); 40];
        samples[10..20].fill(sample(0));
        samples[24..].fill(sample(2));
        let spans = [Span { disaster: Disaster::Promote, begin: 10, moved: Some(12), end: 20 }];
        assert_eq!(usual(&samples, &spans), Some(40.0));
        // From 12 to 20 there is nothing, and four samples at full speed begin at 20.
        assert_eq!(back_after(&samples, &spans, 12), Some(SAMPLE * 8));
        samples.truncate(20);
        assert_eq!(back_after(&samples, &spans, 12), None);
    }
}
