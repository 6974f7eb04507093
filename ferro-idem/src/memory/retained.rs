//! Marks that are forgotten after a while.

use std::time::{Duration, Instant};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use super::key::Key;
use super::sweep::{self, SweepBudget};

/// Remembers each mark for `retention`.
///
/// Invariants:
/// - A mark older than `retention` never answers "seen", whether it has been swept or not.
/// - A sweep visits every mark, and happens after as many new marks as the last sweep left. So each mark pays
///   a constant share of it, and at most half of the marks (plus [`sweep::SMALLEST`]) have expired and are
///   not swept.
pub(super) struct Retained {
    retention: Duration,
    marked_at: DashMap<Key, Instant, RandomState>,
    budget: SweepBudget,
}

/// What happens to a mark that an operator looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Mark,
    Forget,
}

impl Retained {
    pub(super) fn new(retention: Duration) -> Self {
        Self { retention, marked_at: DashMap::default(), budget: SweepBudget::new() }
    }

    /// See [`Seen::if_unseen`](super::Seen::if_unseen).
    pub(super) fn if_unseen<T>(
        &self,
        id: &str,
        now: Instant,
        decide: impl FnOnce() -> (bool, T),
    ) -> Option<T> {
        let (adds, decision) = match self.marked_at.entry(Key::new(id)) {
            Entry::Occupied(seen) if !self.has_expired(*seen.get(), now) => return None,
            Entry::Occupied(mut expired) => {
                let (marks, decision) = decide();
                if marks {
                    expired.insert(now);
                }
                (false, decision)
            }
            Entry::Vacant(unseen) => {
                let (marks, decision) = decide();
                if marks {
                    drop(unseen.insert(now));
                }
                (marks, decision)
            }
        };
        if adds && self.budget.spend() {
            self.sweep(now);
        }
        Some(decision)
    }

    /// When the event was marked, unless that has expired. The event stays locked while `look` runs.
    pub(super) fn locked<T>(
        &self,
        id: &str,
        now: Instant,
        look: impl FnOnce(Option<Instant>) -> (Verdict, T),
    ) -> T {
        let (decided, adds) = match self.marked_at.entry(Key::new(id)) {
            Entry::Occupied(mut entry) => {
                let marked_at = Some(*entry.get()).filter(|marked_at| !self.has_expired(*marked_at, now));
                let (verdict, decided) = look(marked_at);
                match verdict {
                    Verdict::Keep => {}
                    Verdict::Mark => drop(entry.insert(now)),
                    Verdict::Forget => drop(entry.remove()),
                }
                (decided, false)
            }
            Entry::Vacant(entry) => {
                let (verdict, decided) = look(None);
                let adds = verdict == Verdict::Mark;
                if adds {
                    drop(entry.insert(now));
                }
                (decided, adds)
            }
        };
        if adds && self.budget.spend() {
            self.sweep(now);
        }
        decided
    }

    /// The keys of all marks that have not expired.
    pub(super) fn each_key(&self, now: Instant, mut each: impl FnMut(&[u8])) {
        for entry in self.marked_at.iter().filter(|entry| !self.has_expired(*entry.value(), now)) {
            each(entry.key().as_bytes());
        }
    }

    /// Forgets the marks that are at least this old, and returns their number and the number of all.
    pub(super) fn purge(&self, older_than: Duration, now: Instant) -> (u64, u64) {
        let (mut deleted, mut read) = (0, 0);
        self.marked_at.retain(|_, marked_at| {
            read += 1;
            let stays = now.saturating_duration_since(*marked_at) < older_than;
            deleted += u64::from(!stays);
            stays
        });
        (deleted, read)
    }

    pub(super) fn len(&self) -> usize {
        self.marked_at.len()
    }

    fn has_expired(&self, marked_at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(marked_at) >= self.retention
    }

    fn sweep(&self, now: Instant) {
        self.marked_at.retain(|_, marked_at| !self.has_expired(*marked_at, now));
        let left = self.marked_at.len();
        if self.marked_at.capacity() / 4 > left.max(sweep::SMALLEST) {
            self.marked_at.shrink_to_fit();
        }
        self.budget.refill(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Retained {
        fn mark(&self, id: &str, now: Instant) -> bool {
            self.if_unseen(id, now, || (true, ())).is_some()
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_mark_is_remembered_exactly_for_the_retention() {
        let events = Retained::new(HOUR);
        let start = Instant::now();
        assert!(events.mark("evt_1", start));
        assert!(!events.mark("evt_1", start + HOUR.checked_sub(Duration::from_nanos(1)).unwrap()));
        assert!(events.mark("evt_1", start + HOUR), "the retention is over");
        assert!(!events.mark("evt_1", start + HOUR), "and was marked anew");
    }

    #[test]
    fn a_duplicate_does_not_prolong_the_memory() {
        let events = Retained::new(HOUR);
        let start = Instant::now();
        events.mark("evt_1", start);
        events.mark("evt_1", start + HOUR / 2);
        assert!(events.mark("evt_1", start + HOUR));
    }

    #[test]
    fn a_log_keeps_at_most_twice_the_live_events() {
        let events = Retained::new(HOUR);
        let start = Instant::now();
        let live = 5_000;
        let mut most = 0;
        for number in 0..100_000_u32 {
            let now = start + HOUR * number / live;
            assert!(events.mark(&format!("evt_{number}"), now));
            most = most.max(events.len());
        }
        assert!(most <= 2 * live as usize + sweep::SMALLEST, "kept {most} for {live} live");
    }

    #[test]
    fn memory_goes_back_after_a_burst() {
        let events = Retained::new(HOUR);
        let start = Instant::now();
        for number in 0..100_000 {
            events.mark(&format!("burst_{number}"), start);
        }
        let after_burst = events.marked_at.capacity();
        for number in 0..200_000 {
            events.mark(&format!("later_{number}"), start + HOUR * (1 + number / 1_000));
        }
        assert!(
            events.marked_at.capacity() < after_burst / 4,
            "capacity for {} of {after_burst} left",
            events.marked_at.capacity()
        );
    }

    #[test]
    fn a_clock_that_steps_back_forgets_nothing() {
        let events = Retained::new(HOUR);
        let now = Instant::now() + HOUR;
        assert!(events.mark("evt_1", now));
        assert!(!events.mark("evt_1", now.checked_sub(HOUR / 2).unwrap()));
    }
}
